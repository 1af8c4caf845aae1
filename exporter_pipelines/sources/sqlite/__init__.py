"""SQLite as a source: `session` reads days, `inspection` answers the doctor's questions."""

from exporter_pipelines.contracts.source import Source
from exporter_pipelines.sources.sqlite.inspection import SqliteInspection
from exporter_pipelines.sources.sqlite.session import SqliteSession

SOURCE = Source(
    kind="sqlite",
    schemes=("sqlite",),
    example="sqlite:////absolute/path.db",
    open_session=SqliteSession,
    open_inspection=SqliteInspection,
)
