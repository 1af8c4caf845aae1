"""How much of something a user may do at the same time, and all users together."""

from __future__ import annotations

import resource
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """Places for requests that last long.

    Args:
        per_user: Most that one user has at the same time.
        in_all: Most that all users together have.
    """

    def __init__(self, *, per_user: int, in_all: int) -> None:
        self._per_user, self._in_all = per_user, in_all
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """Places that are taken now."""
        return self._taken.total()

    def take(self, user: str) -> bool:
        """Take a place; False if there is none. Who took one gives it back with `release`."""
        with self._lock:
            if self._taken.total() >= self._in_all or self._taken[user] >= self._per_user:
                return False
            self._taken[user] += 1
            return True

    def release(self, user: str) -> None:
        """Give a place back."""
        with self._lock:
            self._taken[user] -= 1
            self._taken += Counter()  # drops users without a place

    @contextmanager
    def place(self, user: str) -> Iterator[bool]:
        """A place while the context lasts; False if there is none."""
        got = self.take(user)
        try:
            yield got
        finally:
            if got:
                self.release(user)


_OPEN_FILES = 65_536


def allow_many_open_files() -> None:
    """Raise this process's limit of open files: a range of days has all of its files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    wanted = _OPEN_FILES if unlimited else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
