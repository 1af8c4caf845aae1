"""A folder whose content is replaced as a whole: immutable versions, and a link to the newest.

    <root>/training_sets/<name>/v-<version>/    complete and never changed
    <root>/training_sets/<name>/latest          symbolic link to one of them
    <root>/training_sets/<name>/.building/<id>/ being written; the next build removes leftovers

A reader that opened a version keeps it: the one before the newest stays on disk.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from exporter_pipelines.contracts.versions import BuildingElsewhereError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import make_folder, sync_folder, translate_os_errors
from exporter_pipelines.stores.local.locks import FileLock
from exporter_pipelines.stores.local.published_day import is_plain_name, open_file, open_folder

LATEST = "latest"
_BUILDING = ".building"
_LOCK = ".lock"
_PREFIX = "v-"
_KEPT = 2
"""Versions that stay on disk: the newest, and the one before it for its readers."""


class LocalVersion:
    """A `contracts.versions.Version`. Below the output folder no link is followed.

    Args:
        root: The output folder.
        folder: Of the version.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self.folder = root, folder

    @property
    def version(self) -> str:
        """See `contracts.versions.Version`."""
        return self.folder.name.removeprefix(_PREFIX)

    @property
    def location(self) -> str:
        """See `contracts.versions.Version`."""
        return str(self.folder)

    def open(self, path: str) -> BinaryIO:
        """See `contracts.versions.Version`."""
        *folders, name = path.split("/")
        if not all(map(is_plain_name, folders)):
            raise OSError(errno.EINVAL, "not the path of a file", str(self.folder / repr(path)))
        folder = self.folder.joinpath(*folders)
        descriptor = open_folder(self._root, folder)
        try:
            return open_file(descriptor, name, folder)
        finally:
            os.close(descriptor)

    def size(self, path: str) -> int:
        """See `contracts.versions.Version`."""
        with self.open(path) as file:
            return os.fstat(file.fileno()).st_size

    def names(self) -> list[str]:
        """See `contracts.versions.Version`."""
        files = (path for path in self.folder.rglob("*") if _is_own(path, stat.S_ISREG))
        return sorted(str(path.relative_to(self.folder)) for path in files)


class VersionedFolder:
    """A `contracts.versions.Versions`: the versions of one training set.

    Args:
        root: The output folder.
        name: Of the set.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._root, self._name = root, name
        self.path = root / layout.TRAINING_SETS / layout.dataset_folder(root, name).name

    @property
    def location(self) -> str:
        """See `contracts.versions.Versions`."""
        return str(self.path)

    def newest(self) -> LocalVersion | None:
        """See `contracts.versions.Versions`."""
        link = self.path / LATEST
        try:
            target = link.parent / link.readlink()
        except OSError:
            return None
        is_version = target.parent == self.path and target.name.startswith(_PREFIX)
        return self.version(target.name.removeprefix(_PREFIX)) if is_version else None

    def version(self, version: str) -> LocalVersion | None:
        """See `contracts.versions.Versions`."""
        folder = self.path / f"{_PREFIX}{version}"
        return LocalVersion(self._root, folder) if _is_own(folder, stat.S_ISDIR) else None

    def stored(self) -> list[str]:
        """See `contracts.versions.Versions`."""
        return sorted(each.name.removeprefix(_PREFIX) for each in self.path.glob(f"{_PREFIX}*"))

    def left_behind(self) -> list[LocalVersion]:
        """See `contracts.versions.Versions`: `lock` removes them."""
        return []

    def unfinished(self) -> bool:
        """Whether a build is going on, or a killed one left files."""
        return (self.path / _BUILDING).is_dir()

    def remove(self, version: str) -> None:
        """See `contracts.versions.Versions`. The link to the newest version stays, and dangles."""
        folder = self.path / f"{_PREFIX}{version}"
        # Renamed first, so that no one opens a version that lacks files.
        with translate_os_errors(folder):
            if folder.is_dir():
                building = make_folder(self._root, layout.TRAINING_SETS, self._name, _BUILDING)
                gone = building / folder.name
                shutil.rmtree(gone, ignore_errors=True)
                os.rename(folder, gone)
                sync_folder(self.path)
                shutil.rmtree(building)

    def newest_was_removed(self) -> bool:
        """See `contracts.versions.Versions`."""
        return (self.path / LATEST).is_symlink() and self.newest() is None

    @contextmanager
    def lock(self, wait_s: float) -> Iterator[None]:
        """See `contracts.versions.Versions`; removes what a killed process left."""
        make_folder(self._root, layout.TRAINING_SETS, self._name)
        lock = FileLock(self.path / _LOCK)
        give_up = time.monotonic() + wait_s
        while not lock.try_acquire():
            if time.monotonic() > give_up:
                raise BuildingElsewhereError(
                    f"Another process has been building {self._name!r} for more than "
                    f"{wait_s:.0f} s.",
                    "Wait until it ends, or end it.",
                )
            time.sleep(0.1)
        try:
            with translate_os_errors(self.path):
                shutil.rmtree(self.path / _BUILDING, ignore_errors=True)
            yield
        finally:
            lock.release()

    @contextmanager
    def building(self) -> Iterator[Path]:
        """See `contracts.versions.Versions`: on the disk of the versions."""
        name = secrets.token_hex(8)
        folder = make_folder(self._root, layout.TRAINING_SETS, self._name, _BUILDING, name)
        try:
            yield folder
        finally:
            shutil.rmtree(folder.parent, ignore_errors=True)

    def publish(self, folder: Path, version: str) -> LocalVersion:
        """See `contracts.versions.Versions`; the caller holds the lock.

        Everything is on disk before the link is changed, so the old version stays until then,
        whenever the process is killed.
        """
        target = self.path / f"{_PREFIX}{version}"
        with translate_os_errors(target):
            _sync_tree(folder)
            shutil.rmtree(target, ignore_errors=True)  # damaged, or it would have been used
            os.rename(folder, target)
            sync_folder(self.path)
            link = self.path / f".{LATEST}.{secrets.token_hex(4)}"
            link.symlink_to(target.name)
            os.rename(link, self.path / LATEST)
            sync_folder(self.path)
        self._remove_old(target)
        return LocalVersion(self._root, target)

    def _remove_old(self, newest: Path) -> None:
        """Keep the version before the newest; a version that cannot be removed is left."""
        with suppress(OSError):
            others = [each for each in self.path.glob(f"{_PREFIX}*") if each != newest]
            others.sort(key=lambda each: each.stat().st_mtime, reverse=True)
            for old in others[_KEPT - 1 :]:
                shutil.rmtree(old, ignore_errors=True)
            for link in self.path.glob(f".{LATEST}.*"):
                link.unlink(missing_ok=True)


def _is_own(path: Path, is_kind: Callable[[int], bool]) -> bool:
    """Whether a path is of a kind, `stat.S_ISREG` or `stat.S_ISDIR`, and no link to one."""
    try:
        return is_kind(path.lstat().st_mode)
    except OSError:
        return False


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fchmod(descriptor, 0o640)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        elif path.is_dir():
            path.chmod(0o750)
            sync_folder(path)
    sync_folder(folder)
