"""Reads exports without a running service, as the commands `status` and `history` do.

Starts no code location and listens on no port: Dagster's history and the output folder suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

import dagster as dg

from exporter_pipelines.errors import ConfigurationError, HistoryUnavailableError
from exporter_pipelines.orchestration.dagster_internals.web_server import UserWebserver, Workspace
from exporter_pipelines.orchestration.exports.command_instance import instance_of_command
from exporter_pipelines.orchestration.exports.known_warnings import silence_all
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.exports import Exports
from exporter_pipelines.service.history import History, HistoryQuery
from exporter_pipelines.service.models import Export, ExportSummary
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.stores.opening import open_store

_PAGE = 100
_T = TypeVar("_T")


class UnknownExportError(ConfigurationError):
    """Dagster's history has no such export."""

    docs_anchor = "a-request-is-refused"


class ExportReader:
    """Reads exports from Dagster's history on this machine."""

    def __init__(self, context: ServiceContext) -> None:
        # Reading needs no GraphQL.
        self._exports = Exports(context, cast(UserWebserver, None))
        self._history = History(context, self._exports.reader)

    def get(self, export_id: str) -> Export:
        """An export as it is now, by its own id or that of a run or backfill.

        Raises:
            UnknownExportError: there is none.
            HistoryUnavailableError: the history cannot be read.
        """
        return _without_problems(partial(self._exports.get, export_id))

    def history(self, query: HistoryQuery) -> Iterator[ExportSummary]:
        """All exports, newest first.

        Raises:
            UnknownNameError: there is no export and no dataset of the name in the query.
            HistoryUnavailableError: the history cannot be read.
        """
        cursor = None
        while True:
            read = partial(self._history.page, query, limit=_PAGE, cursor=cursor)
            page = _without_problems(read)
            yield from page.items
            cursor = page.next_cursor
            if not cursor:
                return


@contextmanager
def export_reader() -> Iterator[ExportReader]:
    """A reader of the instance at DAGSTER_HOME."""
    silence_all()
    with instance_of_command() as instance:
        workspace = cast(Workspace, _HistoryOnly(instance))
        yield ExportReader(ServiceContext(workspace, open_store()))


@dataclass(frozen=True)
class _HistoryOnly:
    """Has of a workspace what reading needs."""

    instance: dg.DagsterInstance


def _without_problems(read: Callable[[], _T]) -> _T:
    """Call `read`; its problem documents are for HTTP."""
    try:
        return read()
    except Problem as problem:
        kind = UnknownExportError if problem.status < 500 else HistoryUnavailableError
        raise kind(problem.detail) from None
