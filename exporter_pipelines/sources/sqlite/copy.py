"""A SQLite file as it stands at one moment, without keeping its application waiting.

A reader of a file in WAL mode never blocks a writer, so it is read where it lies. In the other
journal modes a reader keeps every writer from committing for as long as it reads; such a file is
copied in short steps, between which writers go on, and the copy is read. A file in WAL mode that
nobody has open is copied as well: reading it there would create `-wal` and `-shm` files beside it,
which belong to this user and may then lock its application out.

https://www.sqlite.org/wal.html, https://www.sqlite.org/backup.html
"""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

from exporter_pipelines.sources.sqlite.file import read_only_uri, uses_wal, wal_of

BUSY_S = 10.0
"""How long a statement waits for a lock."""

PATIENCE_S = 60.0
"""How long a copy may go without getting ahead of where it already was."""

# Writers wait for one step: 2,000 pages of 4 KiB take some milliseconds.
_STEP_PAGES = 2_000
_STEP_PAUSE_S = 0.02
_ATTEMPTS = 5

# Closing any descriptor of a file drops all locks that this process has on it (POSIX), so nothing
# else may look into a file while a copy relies on its lock.
_ONE_AT_A_TIME = threading.Lock()


class SqliteBusyError(Exception):
    """No moment was found to take a snapshot."""


def open_snapshot(path: Path) -> tuple[sqlite3.Connection, str]:
    """A connection to read a file by, or a private copy of it.

    Returns:
        The connection, and `wal` if it reads the file itself, or `copy`. A copy is a temporary
        database of SQLite, whose file is unlinked as soon as it is opened: it is gone when the
        connection is closed or the process dies, however it dies.

    Raises:
        SqliteBusyError: the file stays locked or changes all the time.
        sqlite3.Error, OSError: it cannot be read.
    """
    with _ONE_AT_A_TIME:
        for _ in range(_ATTEMPTS):
            if (found := _directly(path)) is not None:
                return found, "wal"
            if (found := _copied(path)) is not None:
                return found, "copy"
    raise SqliteBusyError


def _directly(path: Path) -> sqlite3.Connection | None:
    """The file itself, if an application has it open in WAL mode."""
    if not wal_of(path).exists():
        return None
    connection = _connect(read_only_uri(path))
    try:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == b"wal":
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def _copied(path: Path) -> sqlite3.Connection | None:
    """A copy of the file; None if an application opened it in WAL mode meanwhile."""
    is_wal = uses_wal(path)
    before = path.stat()
    # Nobody writes to a file in WAL mode without a -wal beside it, and so it needs no lock, which
    # would create one; whether that stayed so is looked at afterwards.
    source = _connect(read_only_uri(path, immutable=is_wal))
    target = _connect("")
    try:
        source.backup(target, pages=_STEP_PAGES, progress=_Patience(), sleep=_STEP_PAUSE_S)
    except BaseException:
        target.close()
        raise
    finally:
        source.close()
    after = path.stat()
    unchanged = (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
    if is_wal and (wal_of(path).exists() or not unchanged):
        target.close()
        return None
    return target


class _Patience:
    """Ends a copy that makes no headway: a change by another process makes it begin anew."""

    def __init__(self) -> None:
        self._farthest, self._since = 0, time.monotonic()

    def __call__(self, _status: int, remaining: int, total: int) -> None:
        if total - remaining > self._farthest:
            self._farthest, self._since = total - remaining, time.monotonic()
        elif time.monotonic() - self._since > PATIENCE_S:
            raise SqliteBusyError


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=bool(uri), timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = bytes
    return connection
