"""File operations on Linux that either happen whole or not at all.

Belongs here: creating, replacing, syncing and exchanging single names.
Does not belong here: the layout of an export (`store`), locks (`locks`).
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter_pipelines.contracts.staged_day import Data
from exporter_pipelines.errors import DayUnavailableError, OutputUnavailableError
from exporter_pipelines.stores.local.disk_room import FULL, what_is_lacking

FILE_MODE = 0o640
PRIVATE_FILE_MODE = 0o600
FOLDER_MODE = 0o750

SWAPPED = ".swapped"
"""Suffix under which `exchange` keeps the other name where it needs three steps."""

_ONE_NAME = {
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOENT,
    errno.EFBIG,
}
"""Errors of the name or file itself, not of the disk around it."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)

_HINTS = {
    errno.EROFS: "The file system is mounted read-only; mount it writable or set "
    "EXPORTER_OUTPUT_URL to another folder.",
    errno.EACCES: "Give this user permission, or set EXPORTER_OUTPUT_URL.",
    errno.EPERM: "Give this user permission, or set EXPORTER_OUTPUT_URL.",
    errno.ENOTDIR: "A file lies where a folder belongs; move it away, or set "
    "EXPORTER_OUTPUT_URL to another folder.",
    errno.EISDIR: "A folder lies where a file belongs; remove it.",
    errno.ELOOP: "A symbolic link lies where an export goes; remove it.",
    errno.EEXIST: "Something else put it there, and nothing is overwritten; run the day again.",
    errno.ENOENT: "It was removed while the export was running; run the day again.",
    errno.EXDEV: "The folders of a dataset must lie on one file system.",
    errno.ENOLCK: "The file system has no locks, which keep two runs apart; use another.",
    errno.EIO: "The disk reported an error; look at the kernel's log.",
}


class NewFile:
    """A file that did not exist before; `close()` makes it durable.

    Never follows a symbolic link and never opens what is already there. Unbuffered: an error
    comes from the write that met it, and giving up writes nothing more.
    """

    def __init__(self, path: Path, *, private: bool) -> None:
        mode = PRIVATE_FILE_MODE if private else FILE_MODE
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._path, self._size = path, 0
        with explained(path):
            self._file = os.fdopen(os.open(path, flags, mode), "wb", buffering=0)
        try:
            os.fchmod(self._file.fileno(), mode)  # whatever the umask says
        except BaseException:  # raised again; nobody else could close it
            self.abandon()
            raise

    def write(self, data: Data) -> None:
        """Append bytes."""
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            needed = len(left)
            written = self._size + len(data) - needed
            _explain(error, self._path, "write", needed, written + needed)
            raise
        self._size += len(data)

    def close(self) -> None:
        """Fsync and close. May be called twice."""
        if self._file.closed:
            return
        with explained(self._path), self._file:
            os.fsync(self._file.fileno())

    def __enter__(self) -> NewFile:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if exc_info[0] is None:
            self.close()
        else:
            self.abandon()

    def abandon(self) -> None:
        """Close a file that nobody will want; raises nothing. May be called after `close`."""
        with suppress(OSError):
            self._file.close()


def replace_file(path: Path, new: Path, content: bytes, *, private: bool = False) -> None:
    """Create or replace a file in one step, durable but for its name.

    Args:
        path: The file.
        new: Where it is written first, on the same file system; a process that is killed leaves it.
        content: All of it.
        private: Whether only its owner may read it (mode 0600 instead of 0640).
    """
    file = NewFile(new, private=private)
    try:
        file.write(content)
        file.close()
        with explained(path):
            os.rename(new, path)
    finally:
        file.abandon()
        new.unlink(missing_ok=True)


def make_folder(root: Path, *names: str) -> Path:
    """Create `root` and the folders `names` below it, readable by owner and group only.

    Down to `root` a symbolic link is the operator's choice. Below it none is followed: what is
    written, and above all what is cleaned up, stays below `root`.

    Returns:
        The innermost folder.
    """
    for folder in (*reversed(root.parents), root):
        _make_one(folder)
    folder = root
    for name in names:
        folder /= name
        if _make_one(folder):
            sync_folder(folder.parent)
        elif folder.is_symlink():
            kind = _unavailable(folder, errno.ELOOP)
            raise kind(f"{folder} is a symbolic link.", _HINTS[errno.ELOOP])
    return folder


def _make_one(folder: Path) -> bool:
    """Whether a folder was created; False when it is there already."""
    with explained(folder):
        if folder.is_dir():
            return False
        if os.path.lexists(folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)  # another process may be at it, too
        folder.chmod(FOLDER_MODE)
        return True


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    with explained(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def exchange(one: Path, other: Path) -> None:
    """Swap two names in one step, so that at no moment either is absent.

    Where the kernel or the file system cannot (not Linux, some network file systems), they are
    swapped by `exchange_in_steps`.
    """
    result = _libc.renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    ) if hasattr(_libc, "renameat2") else -1  # fmt: skip
    if result == 0:
        return
    code = ctypes.get_errno() if hasattr(_libc, "renameat2") else errno.ENOSYS
    if code not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(code, os.strerror(code), str(other))
    exchange_in_steps(one, other)


def exchange_in_steps(one: Path, other: Path) -> None:
    """Swap two names in three steps; `other` is absent for the moment between two of them.

    When the process dies in that moment, what was `other` lies beside `one` with the suffix
    `SWAPPED`, for a later run to put back.
    """
    aside = one.with_name(one.name + SWAPPED)
    os.rename(other, aside)
    os.rename(one, other)
    os.rename(aside, one)


@contextmanager
def explained(path: Path, verb: str = "write") -> Iterator[None]:
    """Turn the errors that a user can mend into an `OutputUnavailableError`."""
    try:
        yield
    except OSError as error:
        _explain(error, path, verb)
        raise


def _explain(error: OSError, path: Path, verb: str, needed: int = 0, in_file: int = 0) -> None:
    """Raise an `OutputUnavailableError` instead, unless nobody but us could mend it.

    Args:
        error: As it came from the system.
        path, verb: What was to be done.
        needed, in_file: See `disk_room.what_is_lacking`.
    """
    code = error.errno or 0
    if code in FULL:
        hint = what_is_lacking(path, code, needed, in_file)
    elif code in _HINTS:
        hint = _HINTS[code]
    else:
        return
    kind = _unavailable(path, code)
    raise kind(f"Cannot {verb} {path}: {os.strerror(code)}.", hint) from error


def _unavailable(path: Path, code: int) -> type[OutputUnavailableError]:
    """Whether an error at `path` concerns one day, or all that is below the output folder."""
    if code in _ONE_NAME:
        concerned = [path, *path.parents]
    elif code in (errno.EACCES, errno.EPERM):
        concerned = [*path.parents]  # what may not be created is a matter of the folder around it
    else:
        concerned = []
    one_day = any(part.name.startswith("date=") for part in concerned)
    return DayUnavailableError if one_day else OutputUnavailableError
