"""Pages of exports, newest first, and numbers over many of them. Knows no HTTP; blocks."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.models import (
    ExportMetrics,
    ExportPage,
    ExportState,
    Source,
)


@dataclass(frozen=True)
class HistoryQuery:
    """Which exports are listed; None for no restriction.

    Attributes:
        dataset: Exports that include it.
        status: Exports in this state.
        user: Exports that this principal started.
        source: Exports that were started there.
        first, last: Days, both included, on which the exports were started, in EXPORTER_TIMEZONE.
    """

    dataset: str | None = None
    status: ExportState | None = None
    user: str | None = None
    source: Source | None = None
    first: dt.date | None = None
    last: dt.date | None = None


class History:
    """The exports of a Dagster instance, see `exports.Exports`."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def page(
        self, query: HistoryQuery, *, limit: int = 50, cursor: str | None = None
    ) -> ExportPage:
        """A page of exports.

        A page can have fewer exports than `limit` and still not be the last one: a page reads a
        limited number of runs. The last page has no `next_cursor`.

        Raises:
            Problem: 422 for a cursor that is none.
        """
        raise NotImplementedError

    def metrics(self, query: HistoryQuery) -> ExportMetrics:
        """The user's four numbers over the exports of a query that have ended."""
        raise NotImplementedError


def history_of(connection: HTTPConnection) -> History:
    """The history of the service that received a request."""
    history: History = connection.app.state.history
    return history
