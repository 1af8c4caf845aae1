"""How PostgreSQL would run the statements that an export of a day sends."""

from __future__ import annotations

import psycopg
import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.sources.comparing import TimeLimit
from exporter_pipelines.sources.postgres.comparison import PostgresComparison
from exporter_pipelines.sources.postgres.connection import Limits, PostgresConnection
from exporter_pipelines.sources.postgres.session import PostgresSession


def plans(url: str, exported: Dataset, day: str, options: str = "COSTS") -> list[str]:
    """The plans of the count and of the rows, as text.

    Args:
        url: Of the database.
        exported: The dataset.
        day: `YYYY-MM-DD` in UTC.
        options: Of EXPLAIN, such as `ANALYZE, BUFFERS`.
    """
    window = DayWindow.of(day, "UTC")
    with PostgresSession(url, "URL") as session, session.day(exported, window) as snapshot:
        statements = snapshot._query.counts(with_fingerprint=True), snapshot._query.rows()
    return [_plan(url, statement, options) for statement in statements]


def rows_query(url: str, exported: Dataset, day: str = "2026-11-01") -> str:
    """The statement that reads the rows of a day."""
    window = DayWindow.of(day, "UTC")
    with PostgresSession(url, "URL") as session, session.day(exported, window) as snapshot:
        return snapshot._query.rows()


def lookup_plan(url: str, exported: Dataset, keys: pa.Array) -> str:
    """The plan of a lookup by key, as text."""
    connection = PostgresConnection(url, "URL", Limits(30, 30))
    try:
        comparison = PostgresComparison(connection, exported, TimeLimit(30))
        source = exported.config.source
        read = comparison._read
        statement = comparison._lookup(read[source.key], read[source.time_column], keys)
    finally:
        connection.close()
    return _plan(url, statement)


def _plan(url: str, statement: str, options: str = "COSTS") -> str:
    with psycopg.connect(url) as connection:  # ADBC sends everything through COPY
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(f"EXPLAIN ({options}) {statement}").fetchall()
    return "\n".join(row[0] for row in rows)
