"""PostgreSQL as a source: `session` reads days, `inspection` answers the doctor's questions.

Both are imported when a database is opened: psycopg takes 0.1 s.
"""

from __future__ import annotations

from functools import partial

from exporter_pipelines.contracts.inspection import Inspection
from exporter_pipelines.contracts.source import Session, Source


def source(driver: str | None = None) -> Source:
    """PostgreSQL, read with the ADBC driver at a path; None for that of the Python package."""
    return Source(
        kind="postgres",
        schemes=("postgresql", "postgres"),
        example="postgresql://user:password@host:5432/database",
        open_session=partial(_open_session, driver),
        open_inspection=partial(_open_inspection, driver),
    )


def _open_session(driver: str | None, url: str, variable: str) -> Session:
    from exporter_pipelines.sources.postgres.session import PostgresSession

    return PostgresSession(url, variable, driver=driver)


def _open_inspection(driver: str | None, url: str, variable: str) -> Inspection:
    from exporter_pipelines.sources.postgres.inspection import PostgresInspection

    return PostgresInspection(url, variable, driver=driver)


SOURCE = source()
