"""The pointer of a day: one small object that says which export is published.

It is written with a condition on the version that was read before, so of several writers exactly
one succeeds. It holds the manifest and the id of the attempt: two pointers are never equal, so an
old version cannot come back with the same ETag.

The answer to a write may be lost, and the store's client then reports the success of the first
try as a refusal of the second. So after any error the pointer is read again: its attempt says who
published.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter_pipelines.contracts.publication import GenerationChangedError
from exporter_pipelines.errors import DayUnavailableError, OutputUnavailableError
from exporter_pipelines.stores.objects.bucket import Bucket, ConditionFailedError, Object, Tag
from exporter_pipelines.stores.objects.problems import BucketRefusedError

PUBLISHED_BYTES = 1024
"""A pointer of a published day has at least this size, and that of a removed day has less. So one
listing tells which days are published."""

_TRIES = 5
_FAILURES = 2
"""Of a write; each has taken up to a minute."""

_WAIT_S = 0.2
_REMEMBERED = 30
"""Abandoned attempts that a pointer names."""


@dataclass(frozen=True)
class Pointer:
    """The content of a pointer; the default is a day without one.

    Attributes:
        tag: Version of the object; None when there is none.
        modified: When it was written, by the clock of the store.
        attempt: Which published the day, or removed it; None without a pointer, or a damaged one.
        manifest: As published; empty if the pointer is damaged.
        files: Name -> size of the data files.
        replaces: The attempt before it.
        abandoned: Attempts whose files were removed, so they must not publish.
        fence: Changes when there are more of them than can be named: then no attempt that began
            before may publish.
    """

    tag: Tag | None = None
    modified: dt.datetime | None = None
    attempt: str | None = None
    manifest: bytes | None = None
    files: Mapping[str, int] = field(default_factory=dict)
    replaces: str | None = None
    abandoned: Sequence[str] = ()
    fence: str = ""

    @classmethod
    def of(cls, found: Object | None) -> Pointer:
        """Read a pointer. What cannot be read is a published day with a damaged manifest."""
        if found is None:
            return cls()
        base = cls(tag=found.tag, modified=found.modified)
        try:
            document = json.loads(found.content)
            base = replace(
                base,
                replaces=document.get("replaces"),
                abandoned=[str(each) for each in document.get("abandoned", ())],
                fence=str(document.get("fence", "")),
            )
            if "removed_by" in document:
                return replace(base, attempt=str(document["removed_by"]))
            return replace(
                base,
                attempt=str(document["attempt"]),
                manifest=str(document["manifest"]).encode(),
                files={str(name): int(size) for name, size in document["files"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return replace(base, manifest=b"")

    def to_bytes(self) -> bytes:
        """The content of the object."""
        about: dict[str, object] = {"replaces": self.replaces, "fence": self.fence}
        about["abandoned"] = list(self.abandoned)
        if self.manifest is None:
            return json.dumps({"removed_by": self.attempt, **about}).encode()
        document = {"attempt": self.attempt, "files": dict(self.files), **about}
        text = json.dumps({**document, "manifest": self.manifest.decode()})
        return text.encode().ljust(PUBLISHED_BYTES)

    def without(self, attempts: Sequence[str]) -> Pointer:
        """The same day with more abandoned attempts."""
        named = [*self.abandoned, *(each for each in attempts if each not in self.abandoned)]
        if len(named) <= _REMEMBERED:
            return replace(self, abandoned=named)
        return replace(self, abandoned=named[-_REMEMBERED:], fence=secrets.token_hex(4))

    def forbids(self, attempt: str | None, begun_with: Pointer) -> bool:
        """Whether an attempt that began with a pointer was abandoned."""
        return attempt in self.abandoned or self.fence != begun_with.fence


def read_pointer(bucket: Bucket, key: str) -> Pointer:
    """The pointer as it is now."""
    return Pointer.of(bucket.read(key))


def switch(bucket: Bucket, key: str, base: Pointer, new: Pointer) -> None:
    """Publish or remove a day, if it is still that of `base`.

    Args:
        bucket, key: The pointer.
        base: As it was when the attempt began.
        new: With the id of the attempt. It takes over which attempts are abandoned.

    Raises:
        GenerationChangedError: another run published or removed the day.
        DayUnavailableError: the attempt was taken for dead, and its files are removed.
        OutputUnavailableError: the store failed, and the write may still be made.
    """
    now, problem, failures = base, None, 0
    for number in range(_TRIES):
        mine = replace(new, replaces=base.attempt, abandoned=now.abandoned, fence=now.fence)
        problem = _write(bucket, key, mine.to_bytes(), now.tag)
        if problem is None:
            return
        now = _read_back(bucket, key, problem)
        if new.attempt in (now.attempt, now.replaces):
            return  # in the second case, another run has already replaced what we published
        if now.manifest != base.manifest:
            raise GenerationChangedError(now.manifest)
        if now.forbids(new.attempt, base):
            raise DayUnavailableError(
                f"{bucket.location.uri(key)} was not written: the run was interrupted for so long "
                "that its files were removed.",
                "Run the day again.",
            )
        failures += isinstance(problem, OutputUnavailableError)
        if failures == _FAILURES or isinstance(problem, BucketRefusedError):
            break
        time.sleep(_WAIT_S * 2**number)
    raise _unknown(problem)


def abandon(bucket: Bucket, key: str, attempts: Sequence[str]) -> Pointer:
    """Forbid attempts to publish, whenever they wake up.

    Returns:
        The pointer afterwards. One of the attempts may be the published one.

    Raises:
        OutputUnavailableError: it is not known whether they are forbidden.
    """
    problem = None
    for number in range(_TRIES):
        now = read_pointer(bucket, key)
        dead = [each for each in attempts if each != now.attempt and each not in now.abandoned]
        if not dead:
            return now
        problem = _write(bucket, key, now.without(dead).to_bytes(), now.tag)
        if problem is None:
            return read_pointer(bucket, key)
        time.sleep(_WAIT_S * 2**number)
    raise _unknown(problem)


def _write(bucket: Bucket, key: str, content: bytes, tag: Tag | None) -> Exception | None:
    """Write a pointer; the problem, or None."""
    try:
        bucket.write_if(key, content, tag)
    except (ConditionFailedError, OutputUnavailableError) as error:
        return error
    return None


def _read_back(bucket: Bucket, key: str, problem: Exception) -> Pointer:
    try:
        return read_pointer(bucket, key)
    except OutputUnavailableError as error:
        raise _unknown(error if isinstance(problem, ConditionFailedError) else problem) from None


def _unknown(problem: Exception | None) -> OutputUnavailableError:
    if isinstance(problem, BucketRefusedError):
        return problem
    message = problem.message if isinstance(problem, OutputUnavailableError) else "No answer."
    return OutputUnavailableError(
        f"{message} It is not known whether the day was switched.",
        "Run the day again: it finds out.",
    )
