"""Atomic and durable file operations for Linux.

Belongs here: creating, replacing, syncing and exchanging single files and folders.
Does not belong here: names and paths (`layout`), publishing (`store`), locks (`locks`).
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
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.disk_space import NO_SPACE, space_hint
from exporter_pipelines.stores.local.overlay import rename_hint

FILE_MODE = 0o640
PRIVATE_FILE_MODE = 0o600
FOLDER_MODE = 0o750

SWAP_SUFFIX = ".swapped"
"""Suffix of the folder that `exchange_in_steps` moves out of the way."""

_SINGLE_PATH = {
    errno.EINVAL,
    errno.ENXIO,
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOENT,
    errno.EFBIG,
}
"""Errors that concern one path, not the whole disk."""

# renameat2 is called through ctypes: Python has no function that exchanges two names.
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)

_WRITEBACK_BYTES = 8 * 1024 * 1024
_SYNC_FILE_RANGE_WRITE = 2

_HINTS = {
    errno.EROFS: "The file system is mounted read-only; mount it writable or set "
    "EXPORTER_OUTPUT_URL to another folder.",
    errno.EACCES: "Give this user permission, or set EXPORTER_OUTPUT_URL.",
    errno.EPERM: "Give this user permission, or set EXPORTER_OUTPUT_URL.",
    errno.ENOTDIR: "A file exists where a folder is needed; move it away, or set "
    "EXPORTER_OUTPUT_URL to another folder.",
    errno.EISDIR: "A folder exists where a file is needed; remove it.",
    errno.EINVAL: "Something else is in the place of a file; remove it.",
    errno.ENXIO: "Something else is in the place of a file; remove it.",
    errno.ELOOP: "Symbolic links are not followed here; remove the link.",
    errno.EEXIST: "Another process created it. Nothing was overwritten; run the day again.",
    errno.ENOENT: "It was removed while the export was running; run the day again.",
    errno.ENOLCK: "This file system does not support file locks; use another one for the exports.",
    errno.EIO: "The disk reported an error; see the kernel log.",
}


class NewFile:
    """A new file, open for writing; `close()` makes it durable.

    It never follows a symbolic link and never opens an existing file. It is unbuffered, so an
    error is raised by the write that failed, and `abandon` writes nothing more.
    """

    def __init__(self, path: Path, *, private: bool) -> None:
        mode = PRIVATE_FILE_MODE if private else FILE_MODE
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._path, self._size, self._sent = path, 0, 0
        with translate_os_errors(path):
            self._file = os.fdopen(os.open(path, flags, mode), "wb", buffering=0)
        try:
            os.fchmod(self._file.fileno(), mode)  # independent of the umask
        except BaseException:  # raised again; no one else has the file to close it
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
            _raise_translated(error, self._path, "write", needed, written + needed)
            raise
        self._size += len(data)
        if self._size - self._sent >= _WRITEBACK_BYTES:
            self._start_writeback()

    def _start_writeback(self) -> None:
        """Let the kernel begin to write to the disk, so that `close` waits for the rest only.

        An error is not lost: `close` syncs everything, and reports it.
        """
        begin, self._sent = self._sent, self._size
        if hasattr(_libc, "sync_file_range"):
            fd, length = self._file.fileno(), ctypes.c_int64(self._sent - begin)
            _libc.sync_file_range(fd, ctypes.c_int64(begin), length, _SYNC_FILE_RANGE_WRITE)

    def close(self) -> None:
        """Fsync and close. May be called twice."""
        if self._file.closed:
            return
        with translate_os_errors(self._path), self._file:
            os.fsync(self._file.fileno())

    def __enter__(self) -> NewFile:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if exc_info[0] is None:
            self.close()
        else:
            self.abandon()

    def abandon(self) -> None:
        """Close a file that will not be used. Raises nothing. May be called after `close`."""
        with suppress(OSError):
            self._file.close()


def replace_file(path: Path, new: Path, content: bytes, *, private: bool = False) -> None:
    """Create or replace a file by an atomic rename.

    The content is durable afterwards; the name is durable after `sync_folder`.

    Args:
        path: The file.
        new: Temporary path on the same file system. A killed process leaves a file there.
        content: The whole content.
        private: Whether only its owner may read it (mode 0600 instead of 0640).
    """
    file = NewFile(new, private=private)
    try:
        file.write(content)
        file.close()
        with translate_os_errors(path):
            os.rename(new, path)
    finally:
        file.abandon()
        new.unlink(missing_ok=True)


def make_folder(root: Path, *names: str) -> Path:
    """Create `root` and the folders `names` below it, readable by owner and group only.

    `root` itself may be behind symbolic links, by the operator's choice. Below `root` no link is
    followed, so that nothing is written or deleted outside of it.

    Returns:
        The innermost folder.
    """
    for folder in (*reversed(root.parents), root):
        _make_single_folder(folder)
    folder = root
    for name in names:
        folder /= name
        if _make_single_folder(folder):
            sync_folder(folder.parent)
        elif folder.is_symlink():
            kind = _error_class(folder, errno.ELOOP)
            raise kind(f"{folder} is a symbolic link.", _HINTS[errno.ELOOP])
    return folder


def _make_single_folder(folder: Path) -> bool:
    """Create a folder; False when it exists already."""
    with translate_os_errors(folder):
        if folder.is_dir():
            return False
        if os.path.lexists(folder) and not folder.is_dir():  # another process may create it now
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)  # another process may create it now, too
        folder.chmod(FOLDER_MODE)
        return True


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: without it, a crash may undo a rename."""
    with translate_os_errors(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def exchange(one: Path, other: Path) -> None:
    """Swap two names atomically: a reader always finds both.

    Where the kernel or the file system does not support this (not Linux, some network file
    systems), it falls back to `exchange_in_steps`.
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
    """Swap two names by three renames. `other` does not exist between the first two.

    A process that dies in between leaves the old `other` next to `one`, under a name that ends in
    `SWAP_SUFFIX`; `cleanup` moves it back.
    """
    aside = one.with_name(one.name + SWAP_SUFFIX)
    os.rename(other, aside)
    os.rename(one, other)
    os.rename(aside, one)


@contextmanager
def translate_os_errors(path: Path | str, verb: str = "write") -> Iterator[None]:
    """Turn errors that a user can fix into an `OutputUnavailableError`; others pass unchanged."""
    try:
        yield
    except OSError as error:
        _raise_translated(error, Path(path), verb)
        raise


def _raise_translated(
    error: OSError, path: Path, verb: str, needed: int = 0, in_file: int = 0
) -> None:
    """Raise an `OutputUnavailableError` for an error that a user can fix; return for others.

    Args:
        error: Raised by the system call.
        path, verb: What failed.
        needed, in_file: See `disk_space.space_hint`.
    """
    code = error.errno or 0
    if code in NO_SPACE:
        hint = space_hint(path, code, needed, in_file)
    elif code == errno.EXDEV:
        hint = rename_hint(path)
    elif code in _HINTS:
        hint = _HINTS[code]
    else:
        return
    kind = _error_class(path, code)
    raise kind(f"Cannot {verb} {path}: {os.strerror(code)}.", hint) from error


def _error_class(path: Path, code: int) -> type[OutputUnavailableError]:
    """The class that says whether an error at `path` affects one day or the whole output folder."""
    if code in _SINGLE_PATH:
        concerned = [path, *path.parents]
    elif code in (errno.EACCES, errno.EPERM):
        concerned = [*path.parents]  # permission to create depends on the parent folder
    else:
        concerned = []
    one_day = any(layout.is_of_one_day(part.name) for part in concerned)
    return DayUnavailableError if one_day else OutputUnavailableError
