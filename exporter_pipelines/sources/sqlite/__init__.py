"""SQLite as a source: `session` reads days, `inspection` answers the doctor's questions.

Both are imported when a file is opened, like those of PostgreSQL.
"""

from __future__ import annotations

from exporter_pipelines.contracts.inspection import Inspection
from exporter_pipelines.contracts.source import Session, Source


def _open_session(url: str, variable: str) -> Session:
    from exporter_pipelines.sources.sqlite.session import SqliteSession

    return SqliteSession(url, variable)


def _open_inspection(url: str, variable: str) -> Inspection:
    from exporter_pipelines.sources.sqlite.inspection import SqliteInspection

    return SqliteInspection(url, variable)


SOURCE = Source(
    kind="sqlite",
    schemes=("sqlite",),
    example="sqlite:////absolute/path.db",
    open_session=_open_session,
    open_inspection=_open_inspection,
)
