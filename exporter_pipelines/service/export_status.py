"""The status of an export: its state, its progress and what became of its days."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from threading import Lock
from urllib.parse import quote

import dagster as dg

from exporter_pipelines.contracts.progress import Progress, remaining
from exporter_pipelines.orchestration.exports.command_run import TAG as COMMAND_TAG
from exporter_pipelines.orchestration.exports.export_group import EXPORT_TAG, total_days
from exporter_pipelines.orchestration.exports.run_summary import shortened
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.dagster_ui import USER_TAG
from exporter_pipelines.service.export_days import (
    ExportDay,
    ExportDays,
    Key,
    export_days,
    is_waiting_to_retry,
)
from exporter_pipelines.service.export_runs import BACKFILL_TAG, ExportRuns
from exporter_pipelines.service.models import (
    DayState,
    Export,
    ExportState,
    ExportSummary,
    Links,
    Result,
    RunLink,
    Source,
)
from exporter_pipelines.service.readiness import why_waiting
from exporter_pipelines.service.run_plan import planned_days
from exporter_pipelines.service.run_results import ResultsReader

SOURCE_TAG = "exporter/source"
TITLE_TAG = "exporter/title"
RERUN_TAG = "exporter/rerun_of"
_STATES: tuple[DayState, ...] = (
    "pending", "running", "published", "held", "failed", "cancelled",
)  # fmt: skip
_ESTIMATE_AFTER_S = 2.0
_KEPT = 1_000
_ENDED_PCT, _ALMOST_PCT = 100.0, 99.9


class StatusReader:
    """Reads the status of exports; one for all requests.

    Args:
        context: Of the service.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self.results = ResultsReader(context.instance)
        self._most: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def summary(self, runs: ExportRuns) -> ExportSummary | None:
        """One line about an export; None for runs that export nothing."""
        found = export_days(self._context, self.results, runs)
        return summary(self._context, runs, found.days) if found.days else None

    def status(self, runs: ExportRuns) -> Export | None:
        """An export as it is now; None for runs that export nothing."""
        found = export_days(self._context, self.results, runs)
        if not found.days:
            return None
        line = summary(self._context, runs, found.days)
        live = _newest(found.live)
        share = _share(runs, found)
        percent = self._percent(line, share)
        elapsed = time.time() - line.started_at.timestamp() if line.started_at else 0.0
        is_running = line.status == "running"
        known = is_running and elapsed >= _ESTIMATE_AFTER_S
        return Export(
            **dict(line),
            progress_pct=percent,
            rows_per_s=_round(sum(each.rows_per_s for each in found.live.values()) or None),
            eta_s=_eta(remaining(elapsed, percent / 100), found) if known else None,
            current_batch=live.batch if live else None,
            total_batches_estimate=live.batches if live else None,
            current_dataset=live.dataset if live else None,
            current_day=dt.date.fromisoformat(live.day) if live and live.day else None,
            results=[_result(key, day) for key, day in found.days.items()],
            errors=[f"{name} {day}: {each.problem}" for (name, day), each in found.days.items()
                    if each.problem and each.state != "cancelled"],
            runs=[self._run(run) for run in runs.runs],
            rerun_of=runs.tags.get(RERUN_TAG),
        )  # fmt: skip

    def _percent(self, line: ExportSummary, share: float) -> float:
        """Never less than an earlier answer, and 100 only for an export that has ended."""
        with self._lock:
            percent = max(round(100 * share, 1), self._most.pop(line.id, 0.0))
            self._most[line.id] = percent
            while len(self._most) > _KEPT:
                self._most.popitem(last=False)
        # A run that is repeated in the UI makes an export that had ended go on.
        return min(percent, _ALMOST_PCT if line.status in ("pending", "running") else _ENDED_PCT)

    def _run(self, run: dg.DagsterRun) -> RunLink:
        return RunLink(
            run_id=run.run_id,
            datasets=list(planned_days(run, self._context.definitions)),
            status=run.status.value,
            url=self._context.url(f"/runs/{run.run_id}"),
        )


def summary(
    context: ServiceContext, runs: ExportRuns, days: Mapping[Key, ExportDay]
) -> ExportSummary:
    """One line about an export that has at least one day."""
    results = [day.result for day in days.values() if day.result and day.state == "published"]
    return line(
        context,
        runs,
        datasets=list(dict.fromkeys(name for name, _ in days)),
        first=min(day for _, day in days),
        last=max(day for _, day in days),
        counts=Counter(day.state for day in days.values()),
        rows=sum(each.rows or 0 for each in results),
        rejected=sum(each.rejected or 0 for each in results),
        size_bytes=sum(each.size_bytes or 0 for each in results),
        problem=next(
            (shortened(f"{name} {day}: {each.problem}")
             for (name, day), each in days.items() if each.problem), None,
        ),
    )  # fmt: skip


def line(
    context: ServiceContext,
    runs: ExportRuns,
    *,
    datasets: list[str],
    first: str,
    last: str,
    counts: Mapping[DayState, int],
    rows: int,
    rejected: int,
    size_bytes: int,
    problem: str | None,
) -> ExportSummary:
    """One line about an export, from its numbers."""
    tags, status = runs.tags, state_of(runs, counts)
    starts = [record.start_time for record in runs.records if record.start_time]
    ends = [record.end_time for record in runs.records if record.end_time]
    has_ended = status not in ("pending", "running")
    return ExportSummary(
        id=runs.id,
        title=tags.get(TITLE_TAG) or (runs.backfill.title if runs.backfill else None),
        status=status,
        datasets=datasets,
        start_date=dt.date.fromisoformat(first),
        end_date=dt.date.fromisoformat(last),
        days={state: counts.get(state, 0) for state in _STATES},
        rows_exported=rows,
        rows_rejected=rejected,
        size_bytes=size_bytes,
        created_at=_created_at(runs),
        started_at=_moment(min(starts, default=None)),
        ended_at=_moment(max(ends, default=None)) if has_ended else None,
        user=tags.get(USER_TAG),
        source=source_of(runs),
        problem=problem,
        output=None if runs.output == context.store.location else runs.output,
        why_waiting=why_waiting(context.instance, runs) if status == "pending" else None,
        links=_links(context, runs),
    )


def state_of(runs: ExportRuns, counts: Mapping[DayState, int]) -> ExportState:
    """The state of an export whose days have these states."""
    active = [run for run in runs.runs if not run.is_finished or is_waiting_to_retry(run)]
    has_begun = any(record.start_time for record in runs.records)
    if active or (runs.backfill and runs.backfill.is_active):
        waits = not has_begun and not counts.get("running", 0)
        return "pending" if waits else "running"
    if counts.get("failed", 0):
        return "failed"
    if counts.get("held", 0):
        return "held"
    return "cancelled" if counts.get("cancelled", 0) else "completed"


def source_of(runs: ExportRuns) -> Source:
    """Where an export was started."""
    tags = runs.tags
    if tags.get(SOURCE_TAG) == "rest":
        return "rest"
    if tags.get(SOURCE_TAG) == "page":
        return "page"
    if "dagster/schedule_name" in tags:
        return "schedule"
    if "dagster/sensor_name" in tags:
        return "sensor"
    # A run that a process executes by itself, as both commands do, belongs to no code location.
    from_command = runs.records and runs.records[0].dagster_run.remote_job_origin is None
    return "cli" if COMMAND_TAG in tags or from_command else "ui"


def _share(runs: ExportRuns, found: ExportDays) -> float:
    """The share of the days that have ended, with the shares of those in progress."""
    ended = sum(day.state in ("published", "held", "failed") for day in found.days.values())
    shares = 0.0
    for live in found.live.values():
        day = found.days.get((live.dataset, live.day))
        if day and day.state == "running":
            shares += live.day_share
    return (ended + shares) / max(len(found.days), total_days(runs.tags))


def _eta(of_all: float | None, found: ExportDays) -> float | None:
    """Seconds that are left: those of the share that is left, but not less than one run needs."""
    of_runs = [live.eta_s for live in found.live.values() if live.eta_s is not None]
    return None if of_all is None else round(max([of_all, *of_runs]), 1)


def _newest(live: Mapping[str, Progress]) -> Progress | None:
    """The run that is shown of several: the one with the largest share that is left."""
    return min(live.values(), key=lambda each: each.share, default=None)


def _result(key: Key, day: ExportDay) -> Result:
    found = day.result
    return Result(
        dataset=key[0],
        day=dt.date.fromisoformat(key[1]),
        status=day.state,
        rows_exported=found.rows if found else None,
        rows_rejected=found.rejected if found else None,
        size_bytes=found.size_bytes if found else None,
        problem=day.problem,
        action=found.action if found else None,
        docs_entry=found.docs_entry if found else None,
        lost_rows=found.lost_rows if found else None,
        run_id=day.run_id,
    )


def _links(context: ServiceContext, runs: ExportRuns) -> Links:
    own = context.url(f"/api/v1/exports/{quote(runs.id, safe='')}")
    if runs.id == runs.tags.get(BACKFILL_TAG) or runs.backfill:
        dagster = f"/runs/b/{quote(runs.id, safe='')}"
    elif len(runs.records) == 1:
        dagster = f"/runs/{runs.runs[0].run_id}"
    else:
        tag = EXPORT_TAG if EXPORT_TAG in runs.tags else "dagster/root_run_id"
        dagster = f"/runs?q[0]={quote(f'tag:{tag}={runs.id}', safe='')}"
    return Links(self=own, events=f"{own}/events", dagster=context.url(dagster))


def _created_at(runs: ExportRuns) -> dt.datetime:
    if runs.backfill:
        return dt.datetime.fromtimestamp(runs.backfill.created_at, dt.UTC)
    created: dt.datetime = runs.records[0].create_timestamp
    return created if created.tzinfo else created.replace(tzinfo=dt.UTC)


def _moment(timestamp: float | None) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC) if timestamp else None


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
