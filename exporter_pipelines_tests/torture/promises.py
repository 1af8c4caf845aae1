"""What is promised, in the words of docs/reliability.md and in its order."""

from __future__ import annotations

from enum import StrEnum


class Promise(StrEnum):
    """A promise to users; its value is what `build/torture.json` calls it."""

    WHOLE = "never half-written, mixed or doubled; kill -9 recovers"
    RECORDED = "killed between publishing and Dagster's event"
    IDEMPOTENT = "atomic, idempotent replacement"
    ACCOUNTED = "every row accounted for"
    SNAPSHOT = "consistent snapshot"
    ZONES = "day borders and zones"
    WRITERS = "two writers, zombie writer"
    BUCKETS = "the same in a bucket"
    DISK = "disk full, I/O errors"
    CONNECTION = "lost connection"
    STALLS = "stalls"
    SCHEMA = "schema drift"
    MEMORY = "bounded memory"
    ENDED = "no stuck runs"
    SECRETS = "no secrets, no row content"
    PRIVATE = "no raw identifier under a privacy policy"
    PATHS = "path safety"
    ARCHIVE = "a published day outlives its source"
    VERIFIED = "damage to published days is found"
    ERASED = "an erased subject is gone and stays gone"
