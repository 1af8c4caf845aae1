"""`exporter status` and `exporter history` without a service: they read Dagster's history here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.cli.export_lines import print_export, print_history
from exporter_pipelines.cli.export_progress import Display
from exporter_pipelines.cli.export_results import ENDED, exit_code, look_at
from exporter_pipelines.errors import ConfigurationError, HistoryUnavailableError
from exporter_pipelines.orchestration.dagster_internals.web_server import UserWebserver, Workspace
from exporter_pipelines.orchestration.exports.command_instance import instance_of_command
from exporter_pipelines.orchestration.exports.known_warnings import silence_all
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.exports import Exports
from exporter_pipelines.service.history import History, HistoryQuery
from exporter_pipelines.service.models import Export, ExportSummary
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.stores import LocalStore

T = TypeVar("T")
_ASK_EVERY_S = 1.0
_PAGE = 100


class NoSuchExportError(ConfigurationError):
    """Dagster's history has no such export."""

    docs_anchor = "a-request-is-refused"


def show_status(export_id: str, *, wait: bool, as_json: bool) -> int:
    """Print an export, and return the exit code."""
    with _context() as context:
        # Reading needs no GraphQL.
        exports = Exports(context, cast(UserWebserver, None))
        export = _answer(lambda: exports.get(export_id))
        if wait:
            export = _follow(exports, export)
    print_export(export, as_json=as_json)
    return exit_code(export)


def list_history(limit: int, *, as_json: bool, **only: Any) -> None:
    """Print the exports, newest first."""
    with _context() as context:
        found = _pages(History(context), HistoryQuery(**only))
        print_history(islice(found, limit), as_json=as_json)


def _pages(history: History, query: HistoryQuery) -> Iterator[ExportSummary]:
    cursor = None
    while True:
        page = _answer(partial(history.page, query, limit=_PAGE, cursor=cursor))
        yield from page.items
        cursor = page.next_cursor
        if not cursor:
            return


def _follow(exports: Exports, export: Export) -> Export:
    seen = [export]
    with Display(lambda: look_at(seen[-1])):
        while seen[-1].status not in ENDED:
            time.sleep(_ASK_EVERY_S)
            seen[:] = [exports.get(export.id)]
    return seen[-1]


def _answer(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except Problem as problem:
        kind = NoSuchExportError if problem.status < 500 else HistoryUnavailableError
        raise kind(problem.detail) from None


@dataclass(frozen=True)
class _HistoryOnly:
    """Has of a workspace what reading needs; no code location is started."""

    instance: dg.DagsterInstance


@contextmanager
def _context() -> Iterator[ServiceContext]:
    silence_all()
    with instance_of_command() as instance:
        workspace = cast(Workspace, _HistoryOnly(instance))
        yield ServiceContext(workspace, LocalStore(settings.output_root()))
