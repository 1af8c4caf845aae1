"""Reads the days of a run over one PostgreSQL connection.

Connecting takes 35 ms, mostly for the driver's list of types. For a day of a hundred rows this is a
third of the total time, so the connection is kept between days. Each day has its own transaction
and snapshot; no transaction is open in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import SharedSnapshot
from exporter_pipelines.errors import (
    ExporterError,
    SourceLostError,
    SourceStalledError,
    SourceUnavailableError,
)
from exporter_pipelines.sources.comparing import DayBorders, TimeLimit
from exporter_pipelines.sources.postgres.comparison import PostgresComparison
from exporter_pipelines.sources.postgres.connection import Limits, PostgresConnection
from exporter_pipelines.sources.postgres.errors import PostgresStatementError
from exporter_pipelines.sources.postgres.snapshot import PostgresDaySnapshot

_NO_SNAPSHOT = ("22023", "42704")
"""SQLSTATEs of a snapshot that does not exist, until PostgreSQL 17 and since."""

T = TypeVar("T")


class PostgresSession:
    """A `contracts.source.Session` with at most one idle connection.

    Only a connection whose day ended without an error is kept; after an error, the next day opens
    a new one.
    """

    def __init__(self, url: str, variable: str, driver: str | None = None) -> None:
        self._url, self._variable, self._driver = url, variable, driver
        self._idle: PostgresConnection | None = None

    def day(
        self,
        dataset: Dataset,
        window: DayWindow,
        *,
        timeout_s: float | None = None,
        shared: SharedSnapshot | None = None,
    ) -> PostgresDaySnapshot:
        """See `contracts.source.Session.day`."""
        source = dataset.config.source
        limits = Limits(source.stall_timeout_s, source.answer_timeout_s)
        ends = None if timeout_s is None else time.monotonic() + timeout_s

        def begin(connection: PostgresConnection) -> PostgresDaySnapshot:
            if timeout_s is not None:
                connection.deadline = ends
                # So that the server does not go on after this side has stopped to wait.
                connection.execute(
                    f"SET LOCAL statement_timeout = {max(1, round(1000 * timeout_s))}"
                )
            return PostgresDaySnapshot(
                connection,
                dataset,
                window,
                self._keep,
                SharedSnapshot(self._url, self._variable, self._driver, ""),
                is_counted=shared is None,
            )

        if shared is not None:
            return begin(self._sharing(shared, limits))
        return self._begin(limits, begin)

    def times_of(self, dataset: Dataset, keys: pa.Array, *, timeout_s: float) -> pa.Table:
        """See `contracts.source.Session.times_of`."""
        return self._compare(dataset, timeout_s, lambda comparison: comparison.times_of(keys))

    def count_days(
        self, dataset: Dataset, windows: Sequence[DayWindow], *, timeout_s: float
    ) -> dict[str, int]:
        """See `contracts.source.Session.count_days`."""
        borders = DayBorders(windows)
        return self._compare(dataset, timeout_s, lambda comparison: comparison.count(borders))

    def close(self) -> None:
        """See `contracts.source.Session.close`."""
        if self._idle:
            self._idle.close()
        self._idle = None

    def __enter__(self) -> PostgresSession:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _compare(
        self, dataset: Dataset, timeout_s: float, ask: Callable[[PostgresComparison], T]
    ) -> T:
        """Ask in a new transaction; keep the connection if there was an answer."""
        time_limit = TimeLimit(timeout_s)
        source = dataset.config.source
        limits = Limits(
            min(source.stall_timeout_s, timeout_s), min(source.answer_timeout_s, timeout_s)
        )

        def begin(connection: PostgresConnection) -> tuple[PostgresConnection, T]:
            with time_limit:
                return connection, ask(PostgresComparison(connection, dataset, time_limit))

        with time_limit:
            connection, answer = self._begin(limits, begin)
        self._keep(connection)
        return answer

    def _begin(self, limits: Limits, begin: Callable[[PostgresConnection], T]) -> T:
        """Call `begin` with a connection in a new transaction; its result owns the connection.

        An idle connection may fail because the server closed it, or because a type was created
        after the driver listed the types. So `begin` is called again with a new connection.

        Raises:
            ExporterError: of connecting, or of `begin`; the connection is closed.
        """
        if idle := self._take(limits):
            try:
                idle.begin()
                return begin(idle)
            except BaseException as error:  # no one else can close the connection
                idle.close()
                # After a locked table or a stalled server, do not wait a second time. All other
                # errors of ours are immediate.
                waited = isinstance(error, SourceUnavailableError | SourceStalledError)
                if waited or not isinstance(error, ExporterError):
                    raise
        connection = PostgresConnection(self._url, self._variable, limits, driver=self._driver)
        try:
            return begin(connection)
        except BaseException:  # as above
            connection.close()
            raise

    def _sharing(self, shared: SharedSnapshot, limits: Limits) -> PostgresConnection:
        """A new connection that reads the snapshot of another process."""
        try:
            return PostgresConnection(
                self._url, self._variable, limits, driver=self._driver, snapshot=shared.name
            )
        except PostgresStatementError as error:
            if error.sqlstate not in _NO_SNAPSHOT:
                raise
            raise SourceLostError(
                "A reader of a slice does not find the snapshot of its day on the server.",
                "The readers of a day need the same server: give them the address of one server, "
                "not of a pool of several, or remove `slices`.",
                retryable=True,
            ) from None

    def _keep(self, connection: PostgresConnection) -> None:
        """Keep a connection without a running statement for the next day; ends its transaction."""
        self.close()
        connection.deadline = None
        try:
            connection.execute("ROLLBACK")
        except ExporterError:  # the day has been read; the next day opens a new connection
            connection.close()
        else:
            self._idle = connection

    def _take(self, limits: Limits) -> PostgresConnection | None:
        """The idle connection, with the time limits of this dataset."""
        idle, self._idle = self._idle, None
        if idle:
            idle.limits = limits
        return idle
