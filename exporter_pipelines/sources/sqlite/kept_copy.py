"""Keeps the private copy of a SQLite file for the next day of a run, while the file stays the same.

A file that SQLite cannot read beside its writers is copied (`copy`). Copying it for each day of a
range would take longer than reading the days: 500 days of 1 GB are 500 GB.
"""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from exporter_pipelines.sources.sqlite.copy import open_snapshot
from exporter_pipelines.sources.sqlite.file import wal_of

_SETTLED_S = 2.0
"""Two changes within the resolution of a file system's clock (FAT: 2 s) leave the same times. So a
file is only taken for unchanged if its last change was longer ago when it was copied."""

_State = tuple[tuple[int, ...], ...]
"""What a change of a file and of its write-ahead log changes."""


class _Copy(NamedTuple):
    connection: sqlite3.Connection
    path: Path
    state: _State


class KeptCopy:
    """At most one private copy, between two snapshots of a session. `close` removes it."""

    def __init__(self) -> None:
        self._opened: _Copy | None = None
        self._kept: _Copy | None = None

    def open(self, path: Path, ends: float = math.inf) -> tuple[sqlite3.Connection, str]:
        """Open a file as `open_snapshot` does, or the kept copy if the file has not changed."""
        kept, self._kept = self._kept, None
        before, now = _state_of(path), time.time()
        if kept and kept.path == path and kept.state == before:
            self._opened = kept
            return kept.connection, "copy"
        if kept:
            kept.connection.close()
        connection, how = open_snapshot(path, ends)
        if how == "copy" and before == _state_of(path) and _is_settled(before, now):
            self._opened = _Copy(connection, path, before)
        return connection, how

    def keep(self, connection: sqlite3.Connection) -> bool:
        """Keep a copy whose statements have ended for the next snapshot; whether it is kept."""
        opened, self._opened = self._opened, None
        if opened is None or opened.connection is not connection:
            return False
        connection.set_progress_handler(None, 0)
        try:
            connection.execute("ROLLBACK")  # temporary tables as well
        except sqlite3.Error:  # the next snapshot opens the file again
            return False
        self.close()
        self._kept = opened
        return True

    def close(self) -> None:
        """Remove the kept copy."""
        kept, self._kept = self._kept, None
        if kept:
            kept.connection.close()


def _state_of(path: Path) -> _State:
    """See `_State`; empty parts are files that do not exist."""
    found: list[tuple[int, ...]] = []
    for file in (path, wal_of(path)):
        state: tuple[int, ...] = ()
        with suppress(OSError):  # opening it says what is wrong
            stat = file.stat()
            state = (
                stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns,
            )  # fmt: skip
        found.append(state)
    return tuple(found)


def _is_settled(state: _State, now: float) -> bool:
    """Whether a file and its log were changed long enough before `now`, of `time.time()`."""
    return bool(state[0]) and all(
        max(of_file[-2:]) / 1e9 < now - _SETTLED_S for of_file in state if of_file
    )
