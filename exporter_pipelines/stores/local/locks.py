"""Advisory locks on files, which the kernel releases when their process dies, however it dies.

Belongs here: taking, trying and giving back one lock.
Does not belong here: what a lock stands for (`local`, `run_locks`).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter_pipelines.errors import DayUnavailableError
from exporter_pipelines.stores.local.files import FILE_MODE, explained

LOCK_WAIT_S = 60
"""A lock is held for one switch, some milliseconds. Whoever holds it longer is stopped or hangs
on a lost disk, and waiting for ever would hide that."""

_POLL_S = 0.02


class FileLock:
    """A lock, named by a file that is created when it is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            DayUnavailableError: another process held it for `LOCK_WAIT_S`.
        """
        give_up = time.monotonic() + LOCK_WAIT_S
        while not self.try_acquire():
            if time.monotonic() > give_up:
                raise DayUnavailableError(
                    f"Another process has held the lock {self._path} for {LOCK_WAIT_S} s.",
                    "It is stopped or hangs; end it (`fuser` names it) and run the day again.",
                )
            time.sleep(_POLL_S)

    def try_acquire(self) -> bool:
        """Take the lock unless another holds it.

        A holder may remove the file between our opening and locking it, so what was locked must
        still be what the name stands for.
        """
        with explained(self._path):
            while True:
                descriptor = self._locked_descriptor()
                if descriptor is None:
                    return False
                if self._is_named(descriptor):
                    self._descriptor = descriptor
                    return True
                os.close(descriptor)

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back; harmless when it is not held. Raises nothing."""
        if self._descriptor < 0:
            return
        if remove:
            # Removed while it is still held. One that stays is found and removed by a later run.
            with suppress(OSError):
                self._path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def _locked_descriptor(self) -> int | None:
        descriptor = self._opened()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:  # raised again; nobody else knows the descriptor yet
            os.close(descriptor)
            raise
        return descriptor

    def _opened(self) -> int:
        """A descriptor of the lock file, which is created when it is not there."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            with suppress(FileExistsError):
                descriptor = os.open(self._path, flags | os.O_CREAT | os.O_EXCL, FILE_MODE)
                try:
                    # Whatever the umask says: mode 0 would shut out its own user's next run.
                    os.fchmod(descriptor, FILE_MODE)
                except BaseException:  # raised again, as above
                    os.close(descriptor)
                    raise
                return descriptor
            with suppress(FileNotFoundError):  # its holder may have removed it meanwhile
                return os.open(self._path, flags)

    def _is_named(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(self._path))
        except FileNotFoundError:
            return False


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock `path` for a block.

    Raises:
        DayUnavailableError: another process held it for `LOCK_WAIT_S`.
    """
    lock = FileLock(path)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def is_free(lock: Path) -> bool:
    """Whether nobody holds a lock file, which is only tried; False when it cannot be opened."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False  # removed since it was listed, or not ours to see
    try:
        # Shared, so that two doctors do not take each other for a run.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
