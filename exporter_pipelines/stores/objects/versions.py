"""Training sets in a bucket: immutable versions, and one small object that names the newest.

    training_sets/<name>/v-<version>/...     complete and never changed
    training_sets/<name>/latest.json         names the newest version and the one before it

A reader that opened a version keeps it: the one before the newest stays.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeAlias

from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.bucket import Bucket, ConditionFailedError, Object
from exporter_pipelines.stores.objects.reading import open_object

_LATEST = "latest.json"
_PREFIX = "v-"
_KEPT = 2
_TRIES = 10
_LEFT_BY_A_BUILD = dt.timedelta(days=1)
"""A version that is not named, and older, was left by a build that was killed."""

Change: TypeAlias = Callable[[str | None, list[str]], tuple[str | None, list[str]]]
"""(newest version, versions that are named) -> the same after the change."""


class ObjectVersion:
    """A `contracts.versions.Version`."""

    def __init__(self, bucket: Bucket, prefix: str, version: str) -> None:
        self.version, self._bucket = version, bucket
        self._folder = f"{prefix}/{_PREFIX}{version}"

    @property
    def location(self) -> str:
        """See `contracts.versions.Version`."""
        return self._bucket.location.uri(self._folder)

    def open(self, path: str) -> BinaryIO:
        """See `contracts.versions.Version`."""
        return open_object(self._bucket, f"{self._folder}/{path}")

    def size(self, path: str) -> int:
        """See `contracts.versions.Version`."""
        return self._bucket.size(f"{self._folder}/{path}")

    def names(self) -> list[str]:
        """See `contracts.versions.Version`."""
        listed = self._bucket.listed(self._folder)
        return sorted(each.key.removeprefix(f"{self._folder}/") for each in listed)


class ObjectVersions:
    """A `contracts.versions.Versions`: the versions of one training set."""

    def __init__(self, bucket: Bucket, name: str, part_bytes: int) -> None:
        self._bucket, self._part_bytes = bucket, part_bytes
        self._prefix = keys.versions(name)

    @property
    def location(self) -> str:
        """See `contracts.versions.Versions`."""
        return self._bucket.location.uri(self._prefix)

    def newest(self) -> ObjectVersion | None:
        """See `contracts.versions.Versions`."""
        newest, named = self._latest()
        is_stored = newest is not None and newest in named
        return ObjectVersion(self._bucket, self._prefix, newest) if newest and is_stored else None

    def version(self, version: str) -> ObjectVersion | None:
        """See `contracts.versions.Versions`; only the newest two are stored."""
        if version not in self._named():
            return None
        return ObjectVersion(self._bucket, self._prefix, version)

    def stored(self) -> list[str]:
        """See `contracts.versions.Versions`."""
        return sorted(self._named())

    def left_behind(self) -> list[ObjectVersion]:
        """See `contracts.versions.Versions`."""
        named = self._named()
        stored = [name.removeprefix(_PREFIX) for name in self._folders()]
        others = [ObjectVersion(self._bucket, self._prefix, e) for e in stored if e not in named]
        # The card is sent first and has no rows; some stores list folders that are empty.
        return [each for each in others if {*each.names()} - {"README.md"}]

    def remove(self, version: str) -> None:
        """See `contracts.versions.Versions`. It is not named any more before its files are gone."""
        self._change_latest(lambda newest, named: (newest, [v for v in named if v != version]))
        listed = self._bucket.listed(f"{self._prefix}/{_PREFIX}{version}")
        self._bucket.remove([each.key for each in listed])

    def newest_was_removed(self) -> bool:
        """See `contracts.versions.Versions`."""
        newest, named = self._latest()
        return newest is not None and newest not in named

    @contextmanager
    def lock(self, wait_s: float) -> Iterator[None]:  # noqa: ARG002 - nothing is waited for
        """See `contracts.versions.Versions`. A bucket has no locks: both builds are complete."""
        yield

    @contextmanager
    def building(self) -> Iterator[Path]:
        """See `contracts.versions.Versions`: in the folder for temporary files."""
        with tempfile.TemporaryDirectory(prefix="exporter-training-") as folder:
            yield Path(folder)

    def publish(self, folder: Path, version: str) -> ObjectVersion:
        """See `contracts.versions.Versions`: every file is sent before the version is named."""
        target = f"{self._prefix}/{_PREFIX}{version}"
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{target}/{path.relative_to(folder).as_posix()}"
                self._bucket.upload(path, key, self._part_bytes)
        before = self._change_latest(
            lambda _newest, named: (version, [version, *(v for v in named if v != version)][:_KEPT])
        )
        self._remove_others(self._named(), before)
        return ObjectVersion(self._bucket, self._prefix, version)

    def _folders(self) -> list[str]:
        """`v-<version>` of all that is stored, also of what is not named."""
        return [name for name in self._bucket.folders(self._prefix) if name.startswith(_PREFIX)]

    def _named(self) -> list[str]:
        """The newest versions, the newest first; none if the object cannot be read."""
        return self._latest()[1]

    def _latest(self) -> tuple[str | None, list[str]]:
        """The version that was published last, and those that are stored, the newest first."""
        return _parsed(self._bucket.read(f"{self._prefix}/{_LATEST}"))

    def _change_latest(self, change: Change) -> list[str]:
        """Change what is named, as long as nobody else changes it; the names before.

        A refused write may also be one of this process whose answer was lost: what is there is
        read again, and nothing is left to change.
        """
        key = f"{self._prefix}/{_LATEST}"
        for _ in range(_TRIES):
            found = self._bucket.read(key)
            before = _parsed(found)
            after = change(*before)
            if after == before:
                return before[1]
            document = {"version": after[0], "versions": after[1]}
            content = json.dumps(document, indent=2).encode() + b"\n"
            with suppress(ConditionFailedError):
                self._bucket.write_if(key, content, found.tag if found else None)
                return before[1]
        raise OutputUnavailableError(
            f"{self._bucket.location.uri(key)} was changed by others each time.",
            "Build the training set again.",
        )

    def _remove_others(self, kept: list[str], before: list[str]) -> None:
        """Remove the versions that were named before, and what killed builds left."""
        for name in self._folders():
            version = name.removeprefix(_PREFIX)
            listed = self._bucket.listed(f"{self._prefix}/{name}") if version not in kept else []
            age = dt.datetime.now(dt.UTC) - _LEFT_BY_A_BUILD
            if version in before or all(each.modified < age for each in listed):
                self._bucket.remove([each.key for each in listed])


def _parsed(found: Object | None) -> tuple[str | None, list[str]]:
    """What `latest.json` says; nothing if it cannot be understood."""
    try:
        document = json.loads(found.content) if found else {}
        return document.get("version"), [str(each) for each in document.get("versions", ())]
    except (ValueError, AttributeError, TypeError):
        return None, []
