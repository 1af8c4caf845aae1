"""A real PostgreSQL database for one test, and small tables in it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

LOGS = """
CREATE TABLE logs (id bigint PRIMARY KEY, timestamp timestamptz NOT NULL, level text, message text,
    source text, device text, ip text, attributes jsonb)
"""
ANOMALIES = """
CREATE TABLE anomalies (id bigint PRIMARY KEY, timestamp timestamptz NOT NULL, type text,
    score double precision, severity text, status text, log_id bigint, ip inet, details jsonb)
"""
IPS = """
CREATE TABLE ip_addresses (id bigint PRIMARY KEY, address inet UNIQUE NOT NULL,
    first_seen timestamptz, last_seen timestamptz NOT NULL, risk_score double precision,
    country text, labels jsonb)
"""


@dataclass(frozen=True)
class Backend:
    """One database of a test; `url` is what a user would put into EXPORTER_SOURCE_URL."""

    url: str

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute and commit a statement; its rows, if it has any."""
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def add_logs(self, day: str, count: int, *, first_id: int = 1, **columns: Any) -> None:
        """Valid log rows spread over a UTC day; `columns` overrides values of all of them."""
        values = {
            "level": "INFO", "message": "hello", "source": "app", "device": "edge-01",
            "ip": "10.0.0.1", "attributes": '{"a": 1}', **columns,
        }  # fmt: skip
        self.run(
            "INSERT INTO logs SELECT %s + n, %s::timestamptz + n * interval '1 day' / %s, "
            "%s, %s, %s, %s, %s, %s::jsonb FROM generate_series(0, %s - 1) n",
            [first_id, f"{day}T00:00:00Z", count, *values.values(), count],
        )

    def someone_waits_for_a_lock(self) -> bool:
        """Whether a session of this database waits for a lock."""
        return bool(
            self.run(
                "SELECT 1 FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        )


def make_databases_small(server_url: str) -> None:
    """Leave the views of the SQL standard out of new databases, except of copies of `template0`.

    The driver reads the types of all columns when it connects, which is half the time of a small
    export; a quarter of them are in these views.
    """
    with psycopg.connect(_url(server_url, "template1")) as template:
        template.execute("DROP SCHEMA IF EXISTS information_schema CASCADE")


@contextmanager
def fresh_database(
    server_url: str, copy_of: Backend | None = None, **options: str
) -> Iterator[Backend]:
    """A database on a server, dropped afterwards; it is empty, or a copy of another.

    Args:
        server_url: URL of a database whose user may create others.
        copy_of: A database of the same server that nobody is connected to.
        **options: Of CREATE DATABASE, such as `encoding="SQL_ASCII"`.
    """
    name = f"test_{secrets.token_hex(6)}"
    clauses = "".join(f" {key} '{value}'" for key, value in options.items())
    if options:
        clauses += " TEMPLATE template0"
    elif copy_of:
        clauses += f" TEMPLATE {conninfo_to_dict(copy_of.url)['dbname']}"
    database = sql.Identifier(name)
    _administer(server_url, sql.SQL("CREATE DATABASE {}").format(database) + sql.SQL(clauses))
    try:
        yield Backend(_url(server_url, name))
    finally:
        _administer(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


def _administer(server_url: str, statement: sql.Composed) -> None:
    """Execute a statement over a connection that is kept: to connect takes longer than the rest."""
    try:
        _connection(server_url).execute(statement)
    except psycopg.OperationalError:  # the server was restarted
        _connection.cache_clear()
        _connection(server_url).execute(statement)


def disconnect(server_url: str) -> None:
    """Close the connection that is kept. A server waits for open connections before it stops."""
    _connection(server_url).close()
    _connection.cache_clear()


@cache
def _connection(server_url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(server_url, autocommit=True)


def _url(server_url: str, database: str) -> str:
    """The URL form of a conninfo: settings take URLs only."""
    parts = conninfo_to_dict(make_conninfo(server_url, dbname=database))
    user = parts.pop("user", "postgres")
    password = parts.pop("password", "")
    dbname = parts.pop("dbname")
    query = "&".join(f"{key}={value}" for key, value in parts.items())
    secret = f":{password}" if password else ""
    return f"postgresql://{user}{secret}@/{dbname}?{query}"
