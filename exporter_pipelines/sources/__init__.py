"""Databases in, Arrow batches out.

Belongs here: one module per kind of database, each giving a `contracts.source.DaySnapshot`.
Does not belong here: judging rows, changing them, or knowing any dataset by name.
"""

from __future__ import annotations

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import DaySnapshot
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.sources.postgres.kept import KeptConnection
from exporter_pipelines.sources.postgres.snapshot import PostgresDaySnapshot
from exporter_pipelines.sources.sqlite.connection import URL_PREFIX
from exporter_pipelines.sources.sqlite.snapshot import SqliteDaySnapshot

__all__ = ["KeptConnection", "open_day"]


def open_day(
    url: str, dataset: Dataset, window: DayWindow, kept: KeptConnection | None = None
) -> DaySnapshot:
    """Open one day of a dataset as it stands now.

    Args:
        url: `postgresql://...`, `postgres://...`, `sqlite:///relative.db` or
            `sqlite:////absolute.db`.
        dataset: Whose table, columns and limits apply.
        window: The day.
        kept: Spares the days of a run, read one after the other, connecting each by itself.

    Returns:
        A snapshot; the caller closes it (it is a context manager).

    Raises:
        ConfigurationError: no source reads such a URL, or the table does not fit the dataset.
        SourceUnavailableError: the database cannot be reached.
    """
    if url.startswith(("postgresql://", "postgres://")):
        return PostgresDaySnapshot(url, dataset, window, kept)
    if url.startswith(URL_PREFIX):
        return SqliteDaySnapshot(url, dataset, window)
    raise ConfigurationError(
        f"{dataset.config.source.url} is neither a postgresql:// nor a sqlite:/// URL nor `demo`.",
        "Other databases are not supported; its value is not shown since it may be secret.",
    )
