"""Exports into a bucket in processes of their own, and what is wrong with a day afterwards."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from exporter_pipelines.contracts.ledger import DayRecord
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.connection import connect
from exporter_pipelines.stores.objects.location import Location
from exporter_pipelines.stores.objects.pointers import Pointer
from exporter_pipelines.stores.objects.store import ObjectStore
from exporter_pipelines.stores.objects.sweep import Times
from exporter_pipelines_tests.support.object_servers import ObjectServer


def open_bucket(server: ObjectServer, times: Times | None = None, **options: Any) -> ObjectStore:
    """A store of a server, whose credentials this process gets."""
    os.environ.update(server.environment)
    bucket = connect(Location.of(server.url), server.endpoint)
    return ObjectStore(bucket, times=times, **options)


def die_at_request(number: int) -> Callable[[str, str], None]:
    """For `Bucket.before_request`: this process is killed before its n-th request; 0 for never."""
    left = [number]

    def before_request(_verb: str, _key: str) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    return before_request


def damage(store: ObjectStore, day: str, *, view: bool = True, may_be_absent: bool = False) -> str:
    """What is wrong with a day in a bucket; empty when it is published and whole.

    Args:
        store: Where it is.
        day: Of the logs.
        view: Whether the copy in data/ must be current; after a kill, it need not be.
        may_be_absent: Whether it need not be published, as after a first export that was killed.
    """
    data = store.read_manifest("logs", day)
    if data is None:
        return "" if may_be_absent else "the day is not published"
    manifest = Manifest.from_json(data)
    with store.published_day("logs", day) as published:
        for file in manifest.files:
            with published.open(file.path) as content:
                if hashlib.sha256(content.read()).hexdigest() != file.sha256:
                    return f"{file.path} is not what the manifest says"
    names = {each.name for each in store.bucket.listed(keys.view("logs", day))}
    if view and names != {MANIFEST_NAME, *(file.path for file in manifest.files)}:
        return f"the view has {names}"
    for file in manifest.files if view else ():
        found = store.bucket.read(f"{keys.view('logs', day)}/{file.path}")
        if not found or hashlib.sha256(found.content).hexdigest() != file.sha256:
            return f"the view has another {file.path}"
    if manifest.quarantine:
        name = PurePosixPath(manifest.quarantine.path).name
        with store.open_quarantine("logs", day, name) as rejected:
            if hashlib.sha256(rejected.read()).hexdigest() != manifest.quarantine.sha256:
                return f"{name} is not what the manifest says"
    generation = store.generation("logs", day)
    record = DayRecord.of(store.entries("logs", day), generation)
    return "" if record.expected == generation else f"the ledger expects {record.expected}"


def generations(store: ObjectStore, day: str) -> set[str]:
    """The attempts that have data files."""
    prefix = f"logs/{keys.GENERATIONS}/date={day}"
    return {each.key.removeprefix(prefix).split("/")[1] for each in store.bucket.listed(prefix)}


def kept_generations(store: ObjectStore, day: str) -> set[str]:
    """The attempts whose replaced exports are kept for their rows."""
    found = set()
    for of, name in store.replaced_exports("logs"):
        copy = store.bucket.read(f"{keys.replaced('logs', name)}/{keys.POINTER_COPY}")
        if of == day:
            found.add(str(Pointer.of(copy).attempt))
    return found
