"""Tests that a bucket honours conditional writes, on which publishing rests.

Some servers that speak S3 accept the condition and ignore it. Two runs of one day would then both
publish, and one would be lost without an error.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from exporter_pipelines.errors import ConfigurationError, OutputUnavailableError
from exporter_pipelines.stores.objects.bucket import Bucket, ConditionFailedError, Tag
from exporter_pipelines.stores.objects.problems import BucketRefusedError

FOLDER = ".exporter-conditions"
_TIMES = 2


class ConditionsIgnoredError(ConfigurationError):
    """The bucket writes an object although the condition of the write is not met."""

    docs_anchor = "a-bucket-ignores-conditions"


def check_conditions(bucket: Bucket) -> None:
    """Write a small object under conditions that are met, and under conditions that are not.

    Raises:
        ConditionsIgnoredError: the bucket ignores conditions.
        OutputUnavailableError: the bucket cannot be written or read.
    """
    try:
        _check_with_an_object(bucket)
    except BucketRefusedError:
        raise
    except OutputUnavailableError:
        # An answer was cut, so it is not known what is there now: once more, with another object.
        _check_with_an_object(bucket)


def _check_with_an_object(bucket: Bucket) -> None:
    key = f"{FOLDER}/{secrets.token_hex(8)}"
    try:
        _must_write(bucket, key, b"1", None)
        first = _tag(bucket, key)
        for number in range(_TIMES):
            _must_refuse(bucket, key, b"create %d" % number, None, "that an object is new")
        _must_write(bucket, key, b"2", first)
        for number in range(_TIMES):
            _must_refuse(bucket, key, b"update %d" % number, first, "that an object is unchanged")
    finally:
        with suppress(OutputUnavailableError, FileNotFoundError):
            bucket.remove([key])


def _tag(bucket: Bucket, key: str) -> Tag:
    found = bucket.read(key)
    if found is None:
        raise OutputUnavailableError(
            f"{bucket.location.uri(key)} was written, but cannot be read.",
            "The store is not consistent; use another one.",
        )
    return found.tag


def _must_write(bucket: Bucket, key: str, content: bytes, tag: Tag | None) -> None:
    """Write under a condition that is met. The answer may be lost, so the object is read."""
    try:
        bucket.write_if(key, content, tag)
    except ConditionFailedError:
        found = bucket.read(key)
        if found is None or found.content != content:
            raise ConditionsIgnoredError(
                f"{bucket.location.uri()} refuses a conditional write whose condition is met.",
                "Use a store that supports If-Match and If-None-Match.",
            ) from None


def _must_refuse(bucket: Bucket, key: str, content: bytes, tag: Tag | None, what: str) -> None:
    with suppress(ConditionFailedError):
        bucket.write_if(key, content, tag)
        raise ConditionsIgnoredError(
            f"{bucket.location.uri()} ignores conditions: it was asked to write only on condition "
            f"{what}, and wrote although it was not.",
            "Two runs of a day could overwrite each other, so nothing is published there. Use a "
            "store that supports If-Match and If-None-Match: docs/object-stores.md lists some.",
        )
