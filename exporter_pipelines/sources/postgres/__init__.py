"""PostgreSQL as a source: `session` reads days, `inspection` answers the doctor's questions."""

from functools import partial

from exporter_pipelines.contracts.source import Source
from exporter_pipelines.sources.postgres.inspection import PostgresInspection
from exporter_pipelines.sources.postgres.session import PostgresSession


def source(driver: str | None = None) -> Source:
    """PostgreSQL, read with the ADBC driver at a path; None for that of the Python package."""
    return Source(
        kind="postgres",
        schemes=("postgresql", "postgres"),
        example="postgresql://user:password@host:5432/database",
        open_session=partial(PostgresSession, driver=driver),
        open_inspection=partial(PostgresInspection, driver=driver),
    )


SOURCE = source()
