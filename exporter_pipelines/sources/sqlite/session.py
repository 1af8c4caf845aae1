"""Reads the days of a run from one SQLite file."""

from __future__ import annotations

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.sources.sqlite.snapshot import SqliteDaySnapshot


class SqliteSession:
    """A `contracts.source.Session`. Opening a file is fast, so each day opens it again."""

    def __init__(self, url: str, variable: str) -> None:
        self._url, self._variable = url, variable

    def day(self, dataset: Dataset, window: DayWindow) -> SqliteDaySnapshot:
        """See `contracts.source.Session.day`."""
        return SqliteDaySnapshot(self._url, self._variable, dataset, window)

    def close(self) -> None:
        """See `contracts.source.Session.close`."""

    def __enter__(self) -> SqliteSession:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
