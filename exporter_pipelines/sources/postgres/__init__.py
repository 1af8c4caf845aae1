"""PostgreSQL as a source: `session` reads days, `inspection` answers the doctor's questions."""

from exporter_pipelines.contracts.source import Source
from exporter_pipelines.sources.postgres.inspection import PostgresInspection
from exporter_pipelines.sources.postgres.session import PostgresSession

SOURCE = Source(
    kind="postgres",
    schemes=("postgresql", "postgres"),
    example="postgresql://user:password@host:5432/database",
    open_session=PostgresSession,
    open_inspection=PostgresInspection,
)
