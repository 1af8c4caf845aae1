"""The rejected rows of a day in a bucket.

An attempt writes them to their final place, so files of attempts that are still running are there,
too. The attempt in their name tells which is which; nothing is removed here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.attempts import attempts_of
from exporter_pipelines.stores.objects.bucket import Bucket, Listed
from exporter_pipelines.stores.objects.pointers import Pointer

_ATTEMPT = re.compile(r"-([0-9a-f]{8})\.jsonl")


def attempt_of(name: str) -> str:
    """The first digits of the attempt in the name of a quarantine file; empty without any."""
    match = _ATTEMPT.search(name)
    return match[1] if match else ""


def named_by(pointer: Pointer) -> str:
    """Name of the quarantine file of a published day; empty without one."""
    manifest = Manifest.if_readable(pointer.manifest)
    path = manifest.quarantine.path if manifest and manifest.quarantine else ""
    return path.rpartition("/")[2]


def ended(
    bucket: Bucket, dataset: str, day: str, published: Pointer, own: str = ""
) -> list[Listed]:
    """The quarantine files of a day, except those of attempts that may still be running.

    Args:
        bucket, dataset, day: The day.
        published: Its pointer, or the one that was replaced just now.
        own: An attempt of the caller, which counts as ended.
    """
    listed = bucket.listed(keys.quarantine(dataset, day))
    running: set[str] = set()
    if listed:
        names = {each.name for each in attempts_of(bucket, dataset, day)}
        running = {name[:8] for name in names - {published.attempt, own}}
    return [each for each in listed if attempt_of(each.name) not in running]


def remove_others(
    bucket: Bucket, dataset: str, day: str, published: Pointer, keep: Collection[str], own: str
) -> None:
    """Remove the quarantine files of earlier attempts, except those in `keep`."""
    ended_ones = ended(bucket, dataset, day, published, own)
    files = [each for each in ended_ones if each.name not in keep]
    kept = _of_kept_exports(bucket, dataset, day) if files else set()
    bucket.remove([each.key for each in files if each.name not in kept])


def _of_kept_exports(bucket: Bucket, dataset: str, day: str) -> set[str]:
    """Names of the quarantine files of replaced exports that are kept for their rows.

    The run that replaces an export moves its file. If it was killed, the sweep does.
    """
    copies = [
        each.key
        for each in bucket.listed(keys.replaced(dataset))
        if each.name == keys.POINTER_COPY and layout.day_of_attempt(each.key.split("/")[-2]) == day
    ]
    return {named_by(Pointer.of(bucket.read(key))) for key in copies}


def move_to_replaced(
    bucket: Bucket, dataset: str, day: str, replaced: Pointer, name: str, part_bytes: int
) -> None:
    """Move the rejected rows of a replaced export to it, so that they are kept as long."""
    file = named_by(replaced)
    source = f"{keys.quarantine(dataset, day)}/{file}"
    for each in bucket.listed(keys.quarantine(dataset, day)) if file else ():
        if each.key == source:
            target = f"{keys.replaced(dataset, name)}/{file}"
            with suppress(FileNotFoundError):  # somebody else has moved it
                bucket.copy(source, target, each.size, part_bytes)
                bucket.remove([source])
