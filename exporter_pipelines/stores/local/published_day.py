"""One generation of a published day, held by its folder's descriptor.

Belongs here: opening what lies in the folder without following a symbolic link.
Does not belong here: what the files say (`engine.load`, `verification`).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A named pipe would keep whoever opens it waiting for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LocalPublishedDay:
    """A `contracts.store.PublishedDay`: the folder of a day, whatever its name stands for by now.

    Publishing exchanges whole folders and changes none, so what is opened through one of these is
    of one generation. A replaced folder stays readable for its grace. Down to the root a
    symbolic link is the operator's choice; below it none is followed.

    Args:
        root: Of the store.
        folder: The day's, below `root`.

    Raises:
        FileNotFoundError: there is no such folder.
        OSError: it may not be read, or a symbolic link lies in its way (ELOOP).
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.path = folder
        self._descriptor = open_folder(root, folder)

    def open(self, name: str) -> BinaryIO:
        """A file of the day, to be closed by the caller.

        Raises:
            FileNotFoundError: there is none of this name.
            OSError: it may not be read, is a symbolic link (ELOOP) or no file at all.
        """
        return open_file(self._descriptor, name, self.path)

    def names(self) -> list[str]:
        """Everything in the folder, sorted."""
        return sorted(os.listdir(self._descriptor))  # noqa: PTH208 - a descriptor has no path

    def folder_stat(self) -> os.stat_result:
        """Of the folder."""
        return os.fstat(self._descriptor)

    def is_current(self) -> bool:
        """Whether the day's name still stands for this folder."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(self.path))
        except OSError:
            return False

    def close(self) -> None:
        """Let go of the folder. May be called twice."""
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
            # What Linux says of a link to a folder, too.
            if stat.S_ISLNK(os.stat(name, dir_fd=outer, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder)) from None
            raise
        finally:
            os.close(outer)
    return descriptor


def open_file(folder: int, name: str, path: Path) -> BinaryIO:
    """A regular file in a folder; the caller closes it.

    Args:
        folder: Descriptor.
        name: Of the file; a path is refused.
        path: Of the folder, for errors.

    Raises:
        OSError: ELOOP for a symbolic link, EINVAL for what is no file, or no name of one.
    """
    if not is_plain_name(name):
        raise OSError(errno.EINVAL, "not the name of a file", str(path / repr(name)))
    descriptor = os.open(name, _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a file", str(path / name))
    return os.fdopen(descriptor, "rb")


def is_plain_name(name: str) -> bool:
    """Whether a name leads to one entry of its folder and nowhere else."""
    return name not in ("", ".", "..") and not {"/", "\0"} & set(name)
