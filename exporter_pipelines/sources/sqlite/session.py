"""Reads the days of a run from one SQLite file."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import SharedSnapshot
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.sources.comparing import DayBorders, TimeLimit
from exporter_pipelines.sources.sqlite.comparison import SqliteComparison
from exporter_pipelines.sources.sqlite.connection import SqliteConnection
from exporter_pipelines.sources.sqlite.kept_copy import KeptCopy
from exporter_pipelines.sources.sqlite.snapshot import SqliteDaySnapshot


class SqliteSession:
    """A `contracts.source.Session`. Opening a file is fast, so each day opens it again.

    A file that must be copied is copied again only after it has changed.
    """

    def __init__(self, url: str, variable: str) -> None:
        self._url, self._variable = url, variable
        self._copies = KeptCopy()

    def day(
        self,
        dataset: Dataset,
        window: DayWindow,
        *,
        timeout_s: float | None = None,
        shared: SharedSnapshot | None = None,  # noqa: ARG002 - refused before there is one
    ) -> SqliteDaySnapshot:
        """See `contracts.source.Session.day`."""
        if dataset.config.slices > 1:
            raise ConfigurationError(
                f"{dataset.name} has `slices: {dataset.config.slices}`, but SQLite cannot share a "
                "snapshot between readers.",
                "Remove `slices`; it needs PostgreSQL.",
            )
        ends = math.inf if timeout_s is None else time.monotonic() + timeout_s
        return SqliteDaySnapshot(self._url, self._variable, dataset, window, ends, self._copies)

    def times_of(self, dataset: Dataset, keys: pa.Array, *, timeout_s: float) -> pa.Table:
        """See `contracts.source.Session.times_of`."""
        with self._comparison(dataset, timeout_s) as comparison:
            return comparison.times_of(keys)

    def count_days(
        self, dataset: Dataset, windows: Sequence[DayWindow], *, timeout_s: float
    ) -> dict[str, int]:
        """See `contracts.source.Session.count_days`."""
        with self._comparison(dataset, timeout_s) as comparison:
            return comparison.count(DayBorders(windows))

    @contextmanager
    def _comparison(self, dataset: Dataset, timeout_s: float) -> Iterator[SqliteComparison]:
        with (
            TimeLimit(timeout_s) as time_limit,
            closing(
                SqliteConnection(self._url, self._variable, time_limit.ends, self._copies)
            ) as connection,
        ):
            yield SqliteComparison(connection, dataset)
            connection.release()

    def close(self) -> None:
        """See `contracts.source.Session.close`."""
        self._copies.close()

    def __enter__(self) -> SqliteSession:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
