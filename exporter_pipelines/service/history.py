"""Pages of exports, newest first, and numbers over many of them. Knows no HTTP; blocks."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import dagster as dg
from starlette.requests import HTTPConnection

from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.orchestration.exports.output_runs import OutputRuns
from exporter_pipelines.orchestration.exports.run_summary import RunSummary, summary_of
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.export_days import is_waiting_to_retry
from exporter_pipelines.service.export_metrics import MetricsOf
from exporter_pipelines.service.export_runs import ExportRuns, was_exported
from exporter_pipelines.service.export_scan import Scan
from exporter_pipelines.service.export_status import StatusReader, line
from exporter_pipelines.service.models import (
    DayState,
    ExportMetrics,
    ExportPage,
    ExportState,
    ExportSummary,
    Source,
)
from exporter_pipelines.service.run_plan import may_export

_MOST_RUNS_PER_PAGE = 1_000
_MOST_RUNS, _RUNS_AT_ONCE = 20_000, 1_000


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

    def accepts(self, export: ExportSummary) -> bool:
        """Whether an export is listed, as far as the query does not say it by user and day."""
        return (
            (self.dataset is None or self.dataset in export.datasets)
            and self.status in (None, export.status)
            and self.source in (None, export.source)
        )


class History:
    """The exports of a Dagster instance, see `exports.Exports`.

    Args:
        context: Of the service.
        reader: Reads exports without a summary, and those that have not ended.

    Attributes:
        output: Knows the runs that numbers are about. Lists have those to other outputs as well.
    """

    def __init__(self, context: ServiceContext, reader: StatusReader) -> None:
        self._context, self._reader = context, reader
        self.output = OutputRuns(
            context.instance, context.store, lambda: context.definitions.exported_names()
        )

    def page(
        self, query: HistoryQuery, *, limit: int = 50, cursor: str | None = None
    ) -> ExportPage:
        """A page of exports.

        A page can have fewer exports than `limit` and still not be the last one: a page reads a
        limited number of runs. The last page has no `next_cursor`.

        Raises:
            Problem: 422 for a cursor that is none.
            UnknownNameError: nothing was found, and there is no such dataset, however long the
                history is. A dataset that was removed still has its exports there.
        """
        scan, definitions, next_cursor = self._scan(query), self._context.definitions, None
        waiting = [] if cursor else [self._reader.summary(each) for each in scan.waiting()]
        items = [each for each in waiting if each and query.accepts(each)]
        for number, scanned in enumerate(scan.runs(cursor), start=1):
            found = self._line(scanned.export, definitions) if scanned.export else None
            if found and query.accepts(found):
                items.append(found)
            if len(items) >= limit or number >= _MOST_RUNS_PER_PAGE:
                next_cursor = scanned.run_id
                break
        if query.dataset is not None and not items and cursor is None:
            self._require(query.dataset, all_read=next_cursor is None)
        return ExportPage(items=items, next_cursor=next_cursor)

    def _require(self, dataset: str, *, all_read: bool) -> None:
        """Refuse an unknown dataset; runs that were not read may be those of a removed one."""
        if all_read or not was_exported(self._context.instance, dataset):
            self._context.require_dataset(dataset)

    def metrics(self, query: HistoryQuery) -> ExportMetrics:
        """The user's four numbers over the exports of a query to this output that have ended."""
        numbers = MetricsOf(query.dataset)
        for export, found in self._ended(query):
            if here := [run for run in export.runs if self.output.has(run)]:
                numbers.add(found, [summary_of(run) for run in here])
        return numbers.result()

    def _ended(self, query: HistoryQuery) -> Iterator[tuple[ExportRuns, ExportSummary]]:
        definitions = self._context.definitions
        scan = replace(self._scan(query), page=_RUNS_AT_ONCE)
        for number, scanned in enumerate(scan.runs(None)):
            found = self._line(scanned.export, definitions) if scanned.export else None
            has_ended = found and found.status not in ("pending", "running")
            if scanned.export and found and has_ended and query.accepts(found):
                yield scanned.export, found
            if number >= _MOST_RUNS:
                return

    def _scan(self, query: HistoryQuery) -> Scan:
        return Scan(self._context.instance, query.user, query.first, query.last)

    def _line(self, export: ExportRuns, definitions: Definitions) -> ExportSummary | None:
        """A line from the summaries of its runs if they say all of it, otherwise from events."""
        summaries = [summary_of(run) for run in export.runs]
        known = [each for each in summaries if each]
        if len(known) == len(summaries) and _is_final(export):
            return self._line_of_summaries(export, known, definitions)
        if known or any(may_export(run, definitions) for run in export.runs):
            return self._reader.summary(export)
        return None

    def _line_of_summaries(
        self, export: ExportRuns, summaries: list[RunSummary], definitions: Definitions
    ) -> ExportSummary:
        counts: Counter[DayState] = Counter()
        for run, each in zip(export.runs, summaries, strict=True):
            rest: DayState = "failed"
            if run.status == dg.DagsterRunStatus.CANCELED:
                rest = "cancelled"
            for days in each.datasets.values():
                counts.update({"published": days.published, "held": days.held})
                counts.update({"failed": days.failed})
                counts.update({rest: max(days.days - days.ended, 0)})
        parts = [days for each in summaries for days in each.datasets.values()]
        names = {name for each in summaries for name in each.datasets}
        known = definitions.exported_names()
        return line(
            self._context,
            export,
            datasets=[*filter(names.__contains__, known), *sorted(names.difference(known))],
            first=min(each.first for each in summaries),
            last=max(each.last for each in summaries),
            counts=counts,
            rows=sum(each.rows for each in parts),
            rejected=sum(each.rejected for each in parts),
            size_bytes=sum(each.bytes for each in parts),
            problem=next((each.problem for each in summaries if each.problem), None),
        )


def _is_final(export: ExportRuns) -> bool:
    """Whether all runs have ended, and no day is in two of them."""
    return not export.backfill and all(
        run.is_finished and run.parent_run_id is None and not is_waiting_to_retry(run)
        for run in export.runs
    )


def history_of(connection: HTTPConnection) -> History:
    """The history of the service that received a request."""
    history: History = connection.app.state.history
    return history
