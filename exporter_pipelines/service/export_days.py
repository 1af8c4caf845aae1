"""The state of each day of an export, from all of its runs.

A day can be in several runs: Dagster retries a run, and a user can repeat it. The newest run counts
that has recorded something about the day; a run that has yet to reach the day changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.progress import Progress
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.orchestration.exports.live_progress import live_progress
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.export_runs import ExportRuns
from exporter_pipelines.service.models import DayState
from exporter_pipelines.service.run_plan import planned_days
from exporter_pipelines.service.run_results import DayResult, ResultsReader, RunResults

WILL_RETRY_TAG = "dagster/will_retry"
"""On a run that has failed: whether Dagster repeats it."""
Key = tuple[str, str]
"""Dataset and day."""


@dataclass(frozen=True)
class ExportDay:
    """One day of one dataset in an export.

    Attributes:
        state: As of now.
        result: What a run has recorded; None before that.
        run_id: The run that the state is from.
        problem: Why it is not published, also where no run has recorded anything.
    """

    state: DayState
    result: DayResult | None = None
    run_id: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class ExportDays:
    """All days of an export.

    Attributes:
        days: By dataset, then by day; also days of a backfill for which there is no run yet.
        live: Run -> its progress, of the runs that are executed now.
    """

    days: Mapping[Key, ExportDay]
    live: Mapping[str, Progress]


def export_days(context: ServiceContext, reader: ResultsReader, export: ExportRuns) -> ExportDays:
    """The days of an export as they are now."""
    days: dict[Key, ExportDay] = _days_of_backfill(export)
    live: dict[str, Progress] = {}
    for run in export.runs:
        results = reader.of(run)  # before the progress: what has ended is then never counted twice
        progress = None if run.is_finished else live_progress(context.instance, run.run_id)
        if progress:
            live[run.run_id] = progress.progress
        planned = planned_days(run, context.definitions)
        keys = dict.fromkeys((name, day) for name, of_name in planned.items() for day in of_name)
        for key in [*keys, *(key for key in results.days if key not in keys)]:
            now = _state(context, run, key, results, live.get(run.run_id))
            before = days.get(key)
            if before is None or before.result is None or now.result or now.state == "running":
                days[key] = now
    return ExportDays(_in_order(days, context), live)


def is_waiting_to_retry(run: dg.DagsterRun) -> bool:
    """Whether Dagster is about to repeat a run that has failed."""
    return bool(run.is_complete_and_waiting_to_retry)


def _state(
    context: ServiceContext,
    run: dg.DagsterRun,
    key: Key,
    results: RunResults,
    live: Progress | None,
) -> ExportDay:
    if found := results.days.get(key):
        return ExportDay(found.status, found, run.run_id, found.problem)
    if not run.is_finished:
        is_running = live is not None and (live.dataset, live.day) == key
        return ExportDay("running" if is_running else "pending", None, run.run_id)
    if _was_published(context, run, key, results):
        return ExportDay("published", DayResult("published"), run.run_id)
    if is_waiting_to_retry(run):
        return ExportDay("pending", None, run.run_id)
    if run.status == dg.DagsterRunStatus.CANCELED:
        return ExportDay("cancelled", None, run.run_id, "The export was cancelled before this day.")
    why = results.why(key[0]) or "The run ended without this day; its log in Dagster says why."
    return ExportDay("failed", None, run.run_id, why)


def _was_published(
    context: ServiceContext, run: dg.DagsterRun, key: Key, results: RunResults
) -> bool:
    """Whether a run that was killed has published a day that it did not record any more."""
    if key not in results.unrecorded:
        try:
            manifest = Manifest.if_readable(context.store.read_manifest(*key))
        except ExporterError:  # the output folder is away; the list of exports is not
            return False
        # A run that has ended publishes nothing any more, so this is asked once.
        results.unrecorded[key] = manifest is not None and manifest.run.run_id == run.run_id
    return results.unrecorded[key]


def _days_of_backfill(export: ExportRuns) -> dict[Key, ExportDay]:
    backfill = export.backfill
    if backfill is None:
        return {}
    state: DayState = "pending" if backfill.is_active else "failed"
    if backfill.is_cancelled:
        state = "cancelled"
    day = ExportDay(state, problem=backfill.problem)
    return {(name, key): day for name, keys in backfill.days.items() for key in keys}


def _in_order(days: Mapping[Key, ExportDay], context: ServiceContext) -> dict[Key, ExportDay]:
    names = {name: place for place, name in enumerate(context.definitions.exported_names())}
    exported = (key for key in days if key[0] in names or days[key].result)
    return {key: days[key] for key in sorted(exported, key=lambda k: (names.get(k[0], 999), k))}
