"""Tests a bucket for what exports rest on, with small objects that are removed afterwards.

For stores that this project was never tested with. `check_conditions` is the short version.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores.objects.bucket import Bucket, ConditionFailedError, Tag
from exporter_pipelines.stores.objects.conditions import (
    FOLDER,
    ConditionsIgnoredError,
    check_conditions,
)

WRITERS = 6


def try_bucket(bucket: Bucket, part_bytes: int, rounds: int) -> Iterator[str]:
    """Test a bucket; yields what was found, one sentence each.

    Args:
        bucket: Where.
        part_bytes: Size of the parts of a large object; three of them are written.
        rounds: Number of races.

    Raises:
        ConfigurationError: the bucket does not keep what it must keep.
        OutputUnavailableError: a request failed.
    """
    folder = f"{FOLDER}/{secrets.token_hex(8)}"
    try:
        check_conditions(bucket)
        yield "Writes whose condition is met are made, others are refused."
        for number in range(rounds):
            _race(bucket, f"{folder}/{number:04}")
        yield f"{2 * rounds} races of {WRITERS} writers for one object: each had one winner."
        yield _large_object(bucket, f"{folder}/large", part_bytes)
        yield _listing(bucket, f"{folder}/listed")
    finally:
        with suppress(OutputUnavailableError, FileNotFoundError):
            bucket.remove([each.key for each in bucket.listed(folder)])


def _race(bucket: Bucket, key: str) -> None:
    """Writers race to create an object, and then to change it."""
    _one_wins(bucket, key, None)
    found = bucket.read(key)
    assert found, key
    _one_wins(bucket, key, found.tag)


def _one_wins(bucket: Bucket, key: str, tag: Tag | None) -> None:
    start = threading.Barrier(WRITERS)

    def write(content: bytes) -> bool:
        start.wait()
        try:
            bucket.write_if(key, content, tag)
        except ConditionFailedError:
            # The answer to our own write may be lost: then it is what is there.
            found = bucket.read(key)
            return found is not None and found.content == content
        return True

    contents = [secrets.token_bytes(16) for _ in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        winners = [
            content for content, won in zip(contents, pool.map(write, contents), strict=True) if won
        ]
    found = bucket.read(key)
    if len(winners) != 1 or found is None or found.content != winners[0]:
        raise ConditionsIgnoredError(
            f"{bucket.location.uri()}: of {WRITERS} writers that changed one object at the same "
            f"time under the same condition, {len(winners)} got a success as their answer.",
            "Two runs of a day could overwrite each other, so do not export there.",
        )


def _large_object(bucket: Bucket, key: str, part_bytes: int) -> str:
    """Write an object in three parts, copy it, and read the copy."""
    part = secrets.token_bytes(1024) * (part_bytes // 1024)
    file = bucket.writer(key, part_bytes)
    for _ in range(3):
        bucket.feed(key, file.write, part)
    bucket.finish(key, file.close)
    bucket.copy(key, f"{key}-copy", 3 * len(part), part_bytes)
    written, read = hashlib.sha256(part * 3), hashlib.sha256()
    for chunk in bucket.stream(f"{key}-copy"):
        read.update(chunk)
    if written.digest() != read.digest():
        raise OutputUnavailableError(
            f"{bucket.location.uri(key)} was written in parts and copied, but the copy is another "
            "one.",
            "Use another store.",
        )
    return f"An object of {3 * len(part):,} bytes was written in parts, copied and read back."


def _listing(bucket: Bucket, prefix: str) -> str:
    """Listings show every write and removal at once."""
    expected = [f"{prefix}/{number:02}" for number in range(20)]
    for number, key in enumerate(expected, 1):
        bucket.write(key, b"x")
        _expect(bucket, prefix, expected[:number])
    bucket.remove(expected[:10])
    _expect(bucket, prefix, expected[10:])
    return "Listings show objects as soon as they are written, and none that are removed."


def _expect(bucket: Bucket, prefix: str, expected: list[str]) -> None:
    found = [each.key for each in bucket.listed(prefix)]
    if found != expected:
        raise OutputUnavailableError(
            f"{bucket.location.uri(prefix)}: a listing has {len(found)} objects instead of "
            f"{len(expected)}.",
            "The store is not consistent; use another one.",
        )
