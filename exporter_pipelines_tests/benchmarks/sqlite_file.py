"""The rows of the benchmarks in a SQLite file, and what reads them from there.

Times are text without an offset, as SQLAlchemy and Django store them. The file is in WAL mode and
open, as if its application was running.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from exporter_pipelines_tests.benchmarks import peers
from exporter_pipelines_tests.benchmarks.candidates import (
    Candidate,
    no_server,
    ours,
    peer,
    selected,
)
from exporter_pipelines_tests.benchmarks.data import FIRST_DAY, Rows
from exporter_pipelines_tests.benchmarks.measuring import Cost, run

_TABLE = """
CREATE TABLE logs (
    id INTEGER PRIMARY KEY, timestamp TEXT NOT NULL, level TEXT, message TEXT, source TEXT,
    device TEXT, ip TEXT, attributes TEXT)
"""
_ROWS = """
SELECT id, to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), level, message,
    source, device, abbrev(ip), attributes::text
FROM logs ORDER BY id
"""
_ROWS_AT_A_TIME = 10_000
# What Python needs to get the rows at all, as bytes and without doing anything with them.
_READ_BY_PYTHON = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.text_factory = bytes
for row in connection.execute(sys.argv[2]):
    pass
"""


@dataclass(frozen=True)
class SqliteRows(Rows):
    """Rows in a SQLite file; `url` is that of the file."""

    @property
    def where(self) -> str:
        """See `Rows.where`."""
        return f"timestamp >= '{FIRST_DAY}' AND timestamp < '{self.end}'"

    @property
    def select(self) -> str:
        """See `Rows.select`."""
        return (
            "SELECT id, timestamp, level, message, source, device, ip, attributes FROM logs "
            f"WHERE {self.where}"
        )

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.url.removeprefix("sqlite:///"))


@contextmanager
def copied(rows: Rows, home: Path) -> Iterator[SqliteRows]:
    """The rows in a SQLite file that stays open; made once, then found again."""
    path = home / f"{rows.shape.name}_{rows.count}_{rows.days}.db"
    if not path.exists():
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        _fill(making, rows.url)
        making.rename(path)
    with closing(sqlite3.connect(path)) as application:
        application.execute("SELECT id FROM logs LIMIT 1").fetchall()
        yield SqliteRows(f"sqlite:///{path}", rows.count, rows.days, rows.shape)


def _fill(path: Path, url: str) -> None:
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as target,
        psycopg.connect(url) as source,
        source.cursor(name="rows") as cursor,
    ):
        target.execute("PRAGMA journal_mode = wal")
        target.execute("BEGIN")
        target.execute(_TABLE)
        cursor.execute(_ROWS)
        while found := cursor.fetchmany(_ROWS_AT_A_TIME):
            target.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", found)
        target.execute("CREATE INDEX logs_timestamp ON logs (timestamp)")
        target.execute("COMMIT")
        target.execute("ANALYZE")


def candidates(
    rows: SqliteRows, home: Path, *, with_peers: bool, only: str = ""
) -> list[Candidate]:
    """The limit first, then all whose title has `only` in it."""
    found = [_shell(rows), _python(rows), *ours(None, rows)]
    if with_peers:
        found += [peer(rows, each, no_server) for each in peers.installed(home, peers.OF_SQLITE)]
    return selected(found, only)


def _shell(rows: SqliteRows) -> Candidate:
    version = subprocess.run(["sqlite3", "--version"], capture_output=True, text=True, check=True)
    command = ["sqlite3", "-readonly", rows.path, rows.select]
    return Candidate(
        "sqlite3 shell, thrown away", "text", "none", f"SQLite {version.stdout.split()[0]}",
        lambda _folder: _thrown_away(command),
    )  # fmt: skip


def _python(rows: SqliteRows) -> Candidate:
    command = [sys.executable, "-c", _READ_BY_PYTHON, rows.path, rows.select]
    return Candidate(
        "Python's sqlite3, thrown away", "rows", "none", f"SQLite {sqlite3.sqlite_version}",
        lambda _folder: _thrown_away(command),
    )  # fmt: skip


def _thrown_away(command: list[str | Path]) -> Cost:
    return run(command, server_cpu_s=no_server, stdout=Path("/dev/null"))
