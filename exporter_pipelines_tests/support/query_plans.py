"""How PostgreSQL would run the statements that an export of a day sends."""

from __future__ import annotations

import psycopg

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
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
    with psycopg.connect(url) as connection:  # ADBC sends everything through COPY
        connection.execute("SET TimeZone = 'UTC'")
        found = [connection.execute(f"EXPLAIN ({options}) {s}").fetchall() for s in statements]
    return ["\n".join(row[0] for row in rows) for rows in found]
