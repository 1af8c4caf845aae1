"""The databases that the contract of a source is tested with, behind one way to fill them.

A new source is judged by that contract when it has an entry in `DATABASES`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import psycopg
import pytest

from exporter_pipelines_tests.support.backends import Backend, fresh_database

TABLES = ("logs", "anomalies", "ip_addresses")


class Database(Protocol):
    """One database of a test.

    Attributes:
        url: What a user would put into EXPORTER_SOURCE_URL.
        types: What its tables call int64, float64, bool, string, timestamp, json and address.
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
        "timestamp": "timestamptz", "json": "jsonb", "address": "inet",
    }  # fmt: skip

    def __init__(self, backend: Backend) -> None:
        self.url, self.run = backend.url, backend.run

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        """See `Database.add`."""
        with psycopg.connect(self.url) as connection:
            for row in rows:
                names = ", ".join(f'"{name}"' for name in row)
                marks = ", ".join("%s" for _ in row)
                connection.execute(
                    f"INSERT INTO {table} ({names}) VALUES ({marks})",
                    [_stored(value) for value in row.values()],
                )


@dataclass(frozen=True)
class SqliteDatabase:
    """A SQLite file; `path` is absolute."""

    path: Path
    types: ClassVar[dict[str, str]] = {
        "int64": "INTEGER", "float64": "REAL", "bool": "BOOLEAN", "string": "TEXT",
        "timestamp": "TEXT", "json": "TEXT", "address": "TEXT",
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
    create(
        database, "logs", id="int64 PRIMARY KEY", timestamp="timestamp NOT NULL", level="string",
        message="string", source="string", device="string", ip="string", attributes="json",
    )  # fmt: skip
    create(
        database, "anomalies", id="int64 PRIMARY KEY", timestamp="timestamp NOT NULL",
        type="string", score="float64", severity="string", status="string", log_id="int64",
        ip="address", details="json",
    )  # fmt: skip
    create(
        database, "ip_addresses", id="int64 PRIMARY KEY", address="address UNIQUE NOT NULL",
        first_seen="timestamp", last_seen="timestamp NOT NULL", risk_score="float64",
        country="string", labels="json",
    )  # fmt: skip
    return database


@contextmanager
def _postgresql(request: pytest.FixtureRequest, _folder: Path) -> Iterator[Database]:
    with fresh_database(request.getfixturevalue("postgres_url")) as backend:
        yield PostgresDatabase(backend)


@contextmanager
def _sqlite(_request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    yield sqlite_database(folder / "source.db")


@contextmanager
def _sqlite_wal(_request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    yield sqlite_database(folder / "source.db", wal=True)


DATABASES: dict[str, Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Database]]] = {
    "postgresql": _postgresql,
    "sqlite": _sqlite,
    "sqlite-wal": _sqlite_wal,
}
"""A scheme of the source, and `-variant` for another state of it -> a database without tables."""
