"""The databases that the contract of a source is tested with, behind one way to fill them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from exporter_pipelines_tests.support.backends import ANOMALIES, IPS, LOGS, Backend

TABLES = ("logs", "anomalies", "ip_addresses")


class Database(Protocol):
    """One database of a test.

    Attributes:
        url: What a user would put into EXPORTER_SOURCE_URL.
        types: What its tables call int64, float64, bool, string, timestamp and json.
    """

    url: str
    types: ClassVar[dict[str, str]]

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute and commit a statement in the database's own words."""
        ...

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        """Insert rows; lists and dictionaries are JSON."""
        ...


def create(database: Database, table: str, **columns: str) -> None:
    """Make a table of columns of the exported types; what follows a type is a constraint."""
    parts = []
    for name, declared in columns.items():
        kind, _, constraint = declared.partition(" ")
        parts.append(f'"{name}" {database.types[kind]} {constraint}')
    database.run(f"CREATE TABLE {table} ({', '.join(parts)})")


class PostgresDatabase:
    """A PostgreSQL database."""

    types: ClassVar[dict[str, str]] = {
        "int64": "bigint", "float64": "double precision", "bool": "boolean", "string": "text",
        "timestamp": "timestamptz", "json": "jsonb",
    }  # fmt: skip

    def __init__(self, backend: Backend) -> None:
        self.url, self.run = backend.url, backend.run

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        """See `Database.add`."""
        for row in rows:
            names, values = (
                ", ".join(f'"{name}"' for name in row),
                [_stored(v) for v in row.values()],
            )
            marks = ", ".join("%s" for _ in row)
            self.run(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)


@dataclass(frozen=True)
class SqliteDatabase:
    """A SQLite file; `path` is absolute."""

    path: Path
    types: ClassVar[dict[str, str]] = {
        "int64": "INTEGER", "float64": "REAL", "bool": "BOOLEAN", "string": "TEXT",
        "timestamp": "TEXT", "json": "TEXT",
    }  # fmt: skip

    @property
    def url(self) -> str:
        """With four slashes."""
        return f"sqlite:///{self.path}"

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Database.run`."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
            return connection.execute(statement, parameters).fetchall()

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        """See `Database.add`."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for row in rows:
                names = ", ".join(f'"{name}"' for name in row)
                marks = ", ".join("?" for _ in row)
                connection.execute(
                    f"INSERT INTO {table} ({names}) VALUES ({marks})",
                    [_stored(value) for value in row.values()],
                )


def _stored(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def sqlite_database(path: Path, *, wal: bool = False) -> SqliteDatabase:
    """A file with no tables, in WAL mode or in the mode that SQLite begins with."""
    database = SqliteDatabase(path)
    if wal:
        database.run("PRAGMA journal_mode = wal")
    return database


def with_shipped_tables(database: Database) -> Database:
    """The same with the tables of the three datasets, empty."""
    for statement in (LOGS, ANOMALIES, IPS):
        if isinstance(database, SqliteDatabase):
            for theirs, ours in (("bigint", "INTEGER"), ("timestamptz", "TEXT"), ("jsonb", "TEXT"),
                                 (" inet", " TEXT")):  # fmt: skip
                statement = statement.replace(theirs, ours)
        database.run(statement)
    return database
