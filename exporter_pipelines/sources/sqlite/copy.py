"""Opens a consistent snapshot of a SQLite file without blocking its application.

In WAL mode a reader never blocks a writer, so the file itself is read. In the other journal modes a
reader keeps all writers from committing. Such a file is copied in short steps, between which
writers can continue, and the copy is read. A file in WAL mode that no process has open is copied as
well: reading it would create `-wal` and `-shm` files, which belong to this user and may lock out
its application. A `-wal` without a `-shm` belongs to no process either: an application crashed, or
somebody copied the file. Both files are copied then.

https://www.sqlite.org/wal.html, https://www.sqlite.org/backup.html
"""

from __future__ import annotations

import math
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

from exporter_pipelines.sources.sqlite.file import has_log_alone, read_only_uri, uses_wal, wal_of

BUSY_S = 10.0
"""How long a statement waits for a lock."""

PATIENCE_S = 60.0
"""How long a copy may make no progress. A change by another process makes it start over."""

# Writers wait while a step runs: 2,000 pages of 4 KiB take some milliseconds.
_STEP_PAGES = 2_000
_STEP_PAUSE_S = 0.02
_ATTEMPTS = 5
_CHUNK_BYTES = 16 * 1024 * 1024

# POSIX: closing any descriptor of a file releases all locks that this process has on the file. So
# no other thread may open a file while a copy relies on its lock.
_ONE_AT_A_TIME = threading.Lock()


class SqliteBusyError(Exception):
    """No snapshot could be taken."""


def open_snapshot(path: Path, ends: float = math.inf) -> tuple[sqlite3.Connection, str]:
    """Open a file, or a private copy of it.

    Args:
        path: Of the file.
        ends: `time.monotonic()` after which the file counts as busy.

    Returns:
        The connection, and `wal` if it reads the file itself, or `copy`. A copy is a temporary
        database of SQLite. Its file is unlinked as soon as it is open, so it disappears when the
        connection is closed or the process dies.

    Raises:
        SqliteBusyError: the file stays locked or keeps changing.
        sqlite3.Error, OSError: it cannot be read.
    """
    # -1 waits without a limit.
    if not _ONE_AT_A_TIME.acquire(timeout=-1 if ends == math.inf else _left_s(ends)):
        raise SqliteBusyError
    try:
        for _ in range(_ATTEMPTS):
            if (found := _directly(path, ends)) is not None:
                return found, "wal"
            copied = _copied_with_log if has_log_alone(path) else _copied
            if (found := copied(path, ends)) is not None:
                return found, "copy"
    finally:
        _ONE_AT_A_TIME.release()
    raise SqliteBusyError


def _directly(path: Path, ends: float) -> sqlite3.Connection | None:
    """A connection to the file itself, if an application has it open in WAL mode; else None."""
    if not wal_of(path).exists() or has_log_alone(path):
        return None
    connection = _connect(read_only_uri(path), ends)
    try:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == b"wal":
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def _copied(path: Path, ends: float) -> sqlite3.Connection | None:
    """A connection to a copy; None if an application opened the file in WAL mode in between."""
    is_wal = uses_wal(path)
    before = path.stat()
    # While there is no -wal file, no process writes to a file in WAL mode. So it needs no lock, and
    # taking one would create a -wal file. Afterwards, check that this was still true.
    source = _connect(read_only_uri(path, immutable=is_wal), ends)
    target = _connect("", ends)
    try:
        source.backup(target, pages=_STEP_PAGES, progress=_ProgressLimit(ends), sleep=_STEP_PAUSE_S)
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


def _copied_with_log(path: Path, ends: float) -> sqlite3.Connection | None:
    """A connection to a copy of a file and its log; None if an application opened it in between.

    The copy has no name any more once its files are open.
    """
    before = _state(path)
    with tempfile.TemporaryDirectory(prefix="exporter-") as folder:
        copy = Path(folder) / "copy.db"
        try:
            _copy_file(path, copy, ends)
            _copy_file(wal_of(path), wal_of(copy), ends)
        except FileNotFoundError:
            return None
        if before is None or _state(path) != before or not has_log_alone(path):
            return None
        connection = _connect(read_only_uri(copy), ends)
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except BaseException:
            connection.close()
            raise
    return connection


def _state(path: Path) -> list[tuple[int, int]] | None:
    """What changes when an application writes; None if a file is missing."""
    try:
        found = [file.stat() for file in (path, wal_of(path))]
    except FileNotFoundError:
        return None
    return [(state.st_mtime_ns, state.st_size) for state in found]


def _copy_file(source: Path, target: Path, ends: float) -> None:
    with source.open("rb") as read, target.open("wb") as write:
        while chunk := read.read(_CHUNK_BYTES):
            if time.monotonic() > ends:
                raise SqliteBusyError
            write.write(chunk)


class _ProgressLimit:
    """Ends a copy that makes no progress for `PATIENCE_S`, or goes on after `ends`."""

    def __init__(self, ends: float) -> None:
        self._ends = ends
        self._farthest, self._since = 0, time.monotonic()

    def __call__(self, _status: int, remaining: int, total: int) -> None:
        if time.monotonic() > self._ends:
            raise SqliteBusyError
        if total - remaining > self._farthest:
            self._farthest, self._since = total - remaining, time.monotonic()
        elif time.monotonic() - self._since > PATIENCE_S:
            raise SqliteBusyError


def _connect(uri: str, ends: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri,
        uri=bool(uri),
        timeout=min(BUSY_S, _left_s(ends)),
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = bytes
    return connection


def _left_s(ends: float) -> float:
    return max(0.0, ends - time.monotonic())
