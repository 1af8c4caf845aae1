"""Public path of `SqliteHistory` (`dagster.yaml`); code: `dagster_internals`."""

from exporter_pipelines.orchestration.dagster_internals.sqlite_history import SqliteHistory

__all__ = ["SqliteHistory"]
