"""The days of a run, read over one PostgreSQL connection.

Connecting takes 35 ms, most of them for the driver's list of types; on a day of a hundred rows
that is a third of everything. So a connection is kept from one day to the next. The snapshot is
not: each day begins a transaction of its own, and none is open in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.errors import ExporterError, SourceStalledError, SourceUnavailableError
from exporter_pipelines.sources.postgres.connection import Limits, PostgresConnection
from exporter_pipelines.sources.postgres.snapshot import PostgresDaySnapshot

T = TypeVar("T")


class PostgresSession:
    """A `contracts.source.Session` with at most one idle connection.

    Only a connection whose day ended without an error is kept; after an error, the next day opens
    a new one.
    """

    def __init__(self, url: str, variable: str) -> None:
        self._url, self._variable = url, variable
        self._idle: PostgresConnection | None = None

    def day(self, dataset: Dataset, window: DayWindow) -> PostgresDaySnapshot:
        """See `contracts.source.Session.day`."""
        source = dataset.config.source
        return self._begun(
            Limits(source.stall_timeout_s, source.answer_timeout_s),
            lambda connection: PostgresDaySnapshot(connection, dataset, window, self._keep),
        )

    def close(self) -> None:
        """See `contracts.source.Session.close`."""
        if self._idle:
            self._idle.close()
        self._idle = None

    def __enter__(self) -> PostgresSession:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _begun(self, limits: Limits, begin: Callable[[PostgresConnection], T]) -> T:
        """What `begin` makes of a connection with a new transaction, which it then owns.

        A connection that was idle may be what fails: the server may have closed it, or have got
        types that its list lacks. So what fails on it is tried once more on a new one.

        Raises:
            ExporterError: of connecting, or of `begin`; the connection is closed.
        """
        if idle := self._take(limits):
            try:
                idle.begin()
                return begin(idle)
            except BaseException as error:  # whatever it is: nobody else could close it
                idle.close()
                # A locked table and a silent server have been waited for; all other errors of ours
                # come at once.
                waited = isinstance(error, SourceUnavailableError | SourceStalledError)
                if waited or not isinstance(error, ExporterError):
                    raise
        connection = PostgresConnection(self._url, self._variable, limits)
        try:
            return begin(connection)
        except BaseException:  # as above
            connection.close()
            raise

    def _keep(self, connection: PostgresConnection) -> None:
        """Take back a connection on which no statement runs; ends its transaction."""
        self.close()
        try:
            connection.execute("ROLLBACK")
        except ExporterError:  # the day was read: what is broken now only costs the next connection
            connection.close()
        else:
            self._idle = connection

    def _take(self, limits: Limits) -> PostgresConnection | None:
        """The idle connection, if it waits for the server as long as this dataset says."""
        if self._idle and self._idle.limits != limits:
            self.close()
        idle, self._idle = self._idle, None
        return idle
