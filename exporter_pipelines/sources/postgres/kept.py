"""Keeps a PostgreSQL connection from one day of a run to the next.

Connecting takes 35 ms, most of them for the driver's list of types; on a day of a hundred rows
that is a third of everything. The snapshot is not kept: each day begins a transaction of its own,
and none is open in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from exporter_pipelines.errors import ExporterError, SourceStalledError, SourceUnavailableError
from exporter_pipelines.sources.postgres.connection import Limits, PostgresConnection

T = TypeVar("T")


class KeptConnection:
    """At most one idle connection; `close()` lets go of it.

    Only what ended well is kept: after an error, the next day connects anew.
    """

    def __init__(self) -> None:
        self._idle: tuple[str, PostgresConnection] | None = None

    def use(
        self, url: str, variable: str, limits: Limits, begin: Callable[[PostgresConnection], T]
    ) -> T:
        """What `begin` makes of a connection with a new transaction, which it then owns.

        A connection that was idle may be what fails: the server may have closed it, or have got
        types that its list lacks. So what fails on it is tried once more on a new one.

        Raises:
            ExporterError: of connecting, or of `begin`; the connection is closed.
        """
        if idle := self._take(url):
            try:
                idle.begin()
                return begin(idle)
            except BaseException as error:
                idle.close()
                # A locked table and a silent server have been waited for; all other errors of ours
                # come at once.
                waited = isinstance(error, SourceUnavailableError | SourceStalledError)
                if waited or not isinstance(error, ExporterError):
                    raise
        connection = PostgresConnection(url, variable, limits)
        try:
            return begin(connection)
        except BaseException:
            connection.close()
            raise

    def keep(self, url: str, connection: PostgresConnection) -> None:
        """Take back a connection whose last stream was read to its end; ends its transaction."""
        self.close()
        try:
            connection.execute("ROLLBACK")
        except ExporterError:
            connection.close()
        else:
            self._idle = url, connection

    def close(self) -> None:
        """Close the idle connection, if any."""
        if self._idle:
            self._idle[1].close()
        self._idle = None

    def _take(self, url: str) -> PostgresConnection | None:
        """The idle connection, if it is one to this URL."""
        found, self._idle = self._idle, None
        if found and found[0] != url:
            found[1].close()
            return None
        return found[1] if found else None
