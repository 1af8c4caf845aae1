"""One generation of a published day, held open by its folder's descriptor.

Belongs here: opening files in the folder without following symbolic links.
Does not belong here: the content of the files (`engine.load`, `verification`).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from exporter_pipelines.contracts.structure import Misplaced
from exporter_pipelines.stores.local.files import FILE_MODE, FOLDER_MODE

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a named pipe would wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


MAX_BYTES = 256 * 1024 * 1024
"""Limit of small files. A manifest takes about 500 bytes for each data file: enough for half a
million files a day."""


class LocalPublishedDay:
    """A `contracts.published_day.PublishedDay`: the folder of a day as it was when this was opened.

    Publishing exchanges whole folders and never changes one, so all files that are opened through
    this object are of one generation. A replaced folder stays readable for `cleanup.GRACE_S`.
    `root` may be behind symbolic links; below it none is followed.

    Args:
        root: Of the store.
        folder: Of the day, below `root`.

    Raises:
        FileNotFoundError: the folder does not exist.
        OSError: it is not readable, or a symbolic link is on its path (ELOOP).
    """

    is_remote = False

    def __init__(self, root: Path, folder: Path) -> None:
        self.path, self._root = folder, root
        self._descriptor = open_folder(root, folder)

    @property
    def location(self) -> str:
        """See `contracts.published_day.PublishedDay`."""
        return str(self.path)

    def open(self, name: str) -> BinaryIO:
        """Open a file of the day; the caller closes it.

        Raises:
            FileNotFoundError: it does not exist.
            OSError: it is not readable, is a symbolic link (ELOOP) or not a regular file (EINVAL).
        """
        return open_file(self._descriptor, name, self.path)

    def read_small(self, name: str) -> bytes:
        """See `contracts.published_day.PublishedDay`."""
        with self.open(name) as file:
            return content_of(file)

    def size(self, name: str) -> int:
        """See `contracts.published_day.PublishedDay`."""
        return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_size

    def names(self) -> list[str]:
        """All names in the folder, sorted."""
        return sorted(os.listdir(self._descriptor))  # noqa: PTH208 - a descriptor has no path

    def irregular(self, name: str = "") -> Misplaced | None:
        """See `contracts.published_day.PublishedDay`: a mode that others could use."""
        if not name:
            facts, expected = os.fstat(self._descriptor), FOLDER_MODE
        else:
            facts = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
            expected = FILE_MODE
        if is_mode(facts, expected):
            return None
        return irregular_mode(str((self.path / name).relative_to(self._root)), facts, expected)

    def is_current(self) -> bool:
        """Whether this folder is still the published one."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(self.path))
        except OSError:
            return False

    def close(self) -> None:
        """Close the folder. May be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> LocalPublishedDay:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            with suppress(OSError):
                self.close()


def is_mode(facts: os.stat_result, expected: int) -> bool:
    """Whether a mode allows no more than expected, and lets its owner read."""
    mode, needed = stat.S_IMODE(facts.st_mode) & 0o777, expected & 0o500
    return not mode & ~expected and mode & needed == needed


def irregular_mode(path: str, facts: os.stat_result, expected: int) -> Misplaced:
    """The finding for a file or folder that is not `is_mode`."""
    mode = stat.S_IMODE(facts.st_mode) & 0o777
    message = f"has mode {mode:04o} instead of {expected:04o}"
    return Misplaced("mode", path, message, f"chmod {expected:o} it.")


def open_folder(root: Path, folder: Path) -> int:
    """A descriptor of a folder below `root`; the caller closes it.

    Raises:
        OSError: ELOOP when one of the folders below `root` is a symbolic link.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in folder.relative_to(root).parts:
        outer = descriptor
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=outer)
        except NotADirectoryError:
            # Linux reports a symbolic link to a folder in the same way.
            if stat.S_ISLNK(os.stat(name, dir_fd=outer, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder)) from None
            raise
        finally:
            os.close(outer)
    return descriptor


def open_file(folder: int, name: str, path: Path) -> BinaryIO:
    """Open a regular file in a folder; the caller closes it.

    Args:
        folder: Descriptor of the folder.
        name: Of the file, without folders.
        path: Of the folder, for error messages.

    Raises:
        OSError: ELOOP for a symbolic link; EINVAL for a path, or for what is not a regular file.
    """
    if not is_plain_name(name):
        raise OSError(errno.EINVAL, "not the name of a file", str(path / repr(name)))
    descriptor = os.open(name, _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a file", str(path / name))
    return os.fdopen(descriptor, "rb")


def content_of(file: BinaryIO) -> bytes:
    """The content of an open small file; empty bytes if it is larger than `MAX_BYTES`."""
    return b"" if os.fstat(file.fileno()).st_size > MAX_BYTES else file.read()


def is_plain_name(name: str) -> bool:
    """Whether a name is that of an entry in a folder, and not a path out of it."""
    return name not in ("", ".", "..") and not {"/", "\0"} & set(name)
