"""File operations on Linux that either happen whole or not at all.

Belongs here: creating, syncing, locking and exchanging single names.
Does not belong here: the layout of an export (`local`).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter_pipelines.errors import OutputUnavailableError

FILE_MODE = 0o640
PRIVATE_FILE_MODE = 0o600
FOLDER_MODE = 0o750

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)


class NewFile:
    """A file that did not exist before; `close()` makes it durable.

    Never follows a symbolic link and never opens what is already there.
    """

    def __init__(self, path: Path, *, private: bool) -> None:
        mode = PRIVATE_FILE_MODE if private else FILE_MODE
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._path = path
        with explained(path):
            descriptor = os.open(path, flags, mode)
        os.fchmod(descriptor, mode)  # whatever the umask says
        self._file = os.fdopen(descriptor, "wb")

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with explained(self._path):
            self._file.write(data)

    def close(self) -> None:
        """Flush, fsync and close. May be called twice."""
        if self._file.closed:
            return
        with explained(self._path):
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            finally:
                # The buffer may hold what the disk refused; closing must not raise it again.
                with suppress(OSError):
                    self._file.close()


class FileLock:
    """An advisory lock that the kernel releases when its process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self, *, wait: bool) -> bool:
        """Take the lock; without `wait`, False when another process holds it.

        A holder may remove the file while another waits for it, so what was locked must still
        be what the name stands for.
        """
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            with explained(self._path):
                descriptor = os.open(self._path, flags, FILE_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                if os.path.samestat(os.fstat(descriptor), os.stat(self._path)):
                    self._descriptor = descriptor
                    return True
            except BlockingIOError:
                os.close(descriptor)
                return False
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor < 0:
            return
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock `path` for a block, waiting for it as long as it takes."""
    lock = FileLock(path)
    lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()


def make_folder(path: Path) -> None:
    """Create a folder and its parents, readable by owner and group only."""
    with explained(path):
        for folder in (*reversed(path.parents), path):
            if not folder.exists():
                folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
                folder.chmod(FOLDER_MODE)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchange(one: Path, other: Path) -> None:
    """Swap two names in one step, so that at no moment either is absent.

    Where the kernel or the file system cannot (not Linux, some network file systems), the names
    are swapped in three steps, and `other` is absent for the moment between two of them.
    """
    result = _libc.renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    ) if hasattr(_libc, "renameat2") else -1  # fmt: skip
    if result == 0:
        return
    code = ctypes.get_errno() if hasattr(_libc, "renameat2") else errno.ENOSYS
    if code not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(code, os.strerror(code), str(other))
    aside = one.with_name(f"{one.name}.swap")
    os.rename(other, aside)
    os.rename(one, other)
    os.rename(aside, one)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the errors that a user can mend into an `OutputUnavailableError`."""
    try:
        yield
    except OSError as error:
        hints = {
            errno.EROFS: "The file system is mounted read-only; mount it writable or set "
            "EXPORTER_OUTPUT_URL to another folder.",
            errno.EACCES: "Give this user write permission, or set EXPORTER_OUTPUT_URL.",
            errno.EPERM: "Give this user write permission, or set EXPORTER_OUTPUT_URL.",
            errno.ENOSPC: "The disk is full; make room and run the day again.",
            errno.EDQUOT: "The disk quota is used up; make room and run the day again.",
            errno.EFBIG: "The file is larger than this process may write (ulimit -f).",
            errno.ENOTDIR: "A part of the path is a file; set EXPORTER_OUTPUT_URL to a folder.",
            errno.ELOOP: "A symbolic link lies where an export goes; remove it.",
            errno.EIO: "The disk reported an error; look at the kernel's log.",
        }
        if error.errno not in hints:
            raise
        reason = os.strerror(error.errno)
        raise OutputUnavailableError(
            f"Cannot write {path}: {reason}.", hints[error.errno]
        ) from error
