"""Advisory file locks. The kernel releases them when the process ends, even if it is killed.

Belongs here: acquiring, testing and releasing one lock.
Does not belong here: what a lock protects (`cleanup`, `staging`, `run_locks`).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter_pipelines.errors import DayUnavailableError
from exporter_pipelines.stores.local.files import FILE_MODE, translate_os_errors

LOCK_WAIT_S = 60
"""A switch holds its lock for some milliseconds. A process that holds it for longer is stopped, or
hangs on a lost disk; waiting without a limit would hide that."""

_POLL_S = 0.02


class FileLock:
    """A lock on a file, which is created when it does not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self) -> None:
        """Wait for the lock.

        Raises:
            DayUnavailableError: another process held it for `LOCK_WAIT_S`.
        """
        give_up = time.monotonic() + LOCK_WAIT_S
        while not self.try_acquire():
            if time.monotonic() > give_up:
                raise DayUnavailableError(
                    f"Another process has held the lock {self._path} for {LOCK_WAIT_S} s.",
                    "That process is stopped or hangs. End it (`fuser` shows it) and run the day "
                    "again.",
                )
            time.sleep(_POLL_S)

    def try_acquire(self) -> bool:
        """Take the lock; False when another process holds it.

        The holder may remove the file after we opened it and before we locked it. So the path must
        still lead to the file that was locked; otherwise this tries again.
        """
        with translate_os_errors(self._path):
            while True:
                descriptor = self._locked_descriptor()
                if descriptor is None:
                    return False
                if self._is_named(descriptor):
                    self._descriptor = descriptor
                    return True
                os.close(descriptor)

    def release(self, *, remove: bool = False) -> None:
        """Release the lock. Does nothing when it is not held. Raises nothing."""
        if self._descriptor < 0:
            return
        if remove:
            # Before releasing it, so that no other process can lock it in between. If removing
            # fails, a later run removes it.
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
        except BaseException:  # raised again; no one else has the descriptor yet
            os.close(descriptor)
            raise
        return descriptor

    def _opened(self) -> int:
        """A descriptor of the lock file, which is created when it does not exist."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            with suppress(FileExistsError):
                descriptor = os.open(self._path, flags | os.O_CREAT | os.O_EXCL, FILE_MODE)
                try:
                    # Independent of the umask: with mode 0, this user's next run could not open it.
                    os.fchmod(descriptor, FILE_MODE)
                except BaseException:  # raised again, as above
                    os.close(descriptor)
                    raise
                return descriptor
            with suppress(FileNotFoundError):  # its holder removed it in between
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
    """Whether no process holds a lock. Does not keep it. False when the file cannot be opened."""
    try:
        # O_NONBLOCK: opening a named pipe would wait for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(lock, flags)
    except OSError:
        return False  # removed since it was listed, or not readable by this user
    try:
        # Shared, so that two doctors that test it at once do not block each other.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
