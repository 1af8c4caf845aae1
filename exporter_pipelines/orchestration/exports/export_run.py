"""Exports the days of one dataset in one run.

Belongs here: the order of days, failures and cancels, and how they affect the remaining days.
Does not belong here: exporting a day (`engine.export_day`), and its events (`day_events`).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg

from exporter_pipelines import databases, output_folder, settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.outside_days import ExportableDays
from exporter_pipelines.engine.export_day import DayOutcome, export_day
from exporter_pipelines.engine.outside_days import OutsideDays
from exporter_pipelines.engine.range_counts import count_again
from exporter_pipelines.engine.trailing_days import TrailingDays
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.orchestration.dagster_internals.deferred_plans import plan_if_deferred
from exporter_pipelines.orchestration.dagster_internals.sqlite_history import one_transaction
from exporter_pipelines.orchestration.exports.cancelled_in_queue import stop_if_cancelled
from exporter_pipelines.orchestration.exports.cancelling import deliver_cancel
from exporter_pipelines.orchestration.exports.checks import held_metadata
from exporter_pipelines.orchestration.exports.day_events import day_events, not_published
from exporter_pipelines.orchestration.exports.exit_messages import repeat_at_exit
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.exports.observers import observer
from exporter_pipelines.orchestration.exports.outcome import HELD, UNEXPECTED, RunOutcome
from exporter_pipelines.orchestration.exports.progress import ProgressLog
from exporter_pipelines.orchestration.exports.resources import BackendResource
from exporter_pipelines.orchestration.exports.retried_runs import RetriedRuns
from exporter_pipelines.orchestration.exports.run_config import ExportConfig
from exporter_pipelines.orchestration.exports.run_progress import run_progress

_STOPPED = (GeneratorExit, dg.DagsterExecutionInterruptedError)


@dataclass
class ExportRun:
    """Yields the events of a run of one dataset.

    Example:
        yield from ExportRun(dataset, context, config, backend, exports).days(days)
    """

    dataset: Dataset
    context: dg.AssetExecutionContext
    config: ExportConfig
    backend: BackendResource
    exports: ExportIOManager

    def days(self, days: Sequence[str]) -> Iterator[object]:
        """Export one day after another. A day that fails or is held does not stop the others.

        Raises:
            dg.Failure: one or more days were not published; the message names each of them.
        """
        stop_if_cancelled(self.context)
        store = self.exports.store()
        self.outcome = RunOutcome(self.dataset.name, days)
        self.exported: dict[str, int] = {}
        self.events = day_events(self.context, store)
        self.run = run_progress(self.context, self.dataset.name, days, store.location)
        self.progress = ProgressLog(self.context.log, self.dataset.name, days, self.run)
        self.trailing_days = TrailingDays(store, self.dataset.name)
        self.outside_days: OutsideDays | None = None
        self.retried = RetriedRuns.of(self.context.instance, self.context.run)
        observer().dataset_began(self.outcome)
        try:
            with self.backend.open_session() as self.session:
                yield from self._each(days)
                yield from self._count_again()
        finally:
            self.run.dataset_ended(self.outcome)
        yield from self.events.closing(self.outcome)
        if self.outcome.problems or self.outcome.unfinished:
            self._fail(self.outcome.failure())
        self.events.succeeded(self.outcome)

    def _each(self, days: Sequence[str]) -> Iterator[object]:
        for day in days:
            with one_transaction(self.context.instance):
                plan_if_deferred(self.context, day)
            self.run.begin(self.dataset.name, day)
            self.progress.begin(day)
            observer().day_began(self.dataset.name, day)
            try:
                try:
                    yield from self._attempt(day)
                finally:
                    deliver_cancel()  # the day has been recorded
            except _STOPPED:
                self._log_stop(day)
                raise
            self.run.end()
            self.progress.end()
            observer().day_ended()
            if self.outcome.abort:
                break

    def _count_again(self) -> Iterator[object]:
        """Name the days whose rows changed while the range ran."""
        found = count_again(self.dataset, self.exported, settings.timezone(), self.session)
        if sentence := found.sentence(self.dataset.name):
            self.context.log.warning(sentence)
        for day, more in found.changed.items():
            yield from self.events.changed(self.dataset.name, day, more)

    def _attempt(self, day: str) -> Iterator[object]:
        """Export a day. Its problem, if any, is recorded; the run fails after the last day."""
        try:
            self.config.check()
            output_folder.require(self.exports.store())
            self.outside_days = self.outside_days or OutsideDays(
                ExportableDays.of(settings.start_date(), settings.end_date(), settings.timezone())
            )
            outcome = self._published_before(day) or self._export(day)
        except ExporterError as error:
            yield self._add_problem(day, str(error), error.docs_anchor)
            self.outcome.abort = error.affects_all_days  # else each remaining day would time out
        except Exception as error:
            # Broad: a bug that only the rows of this day trigger must not stop the other days.
            yield self._add_problem(day, self._unexpected(error), UNEXPECTED)
        else:
            with one_transaction(self.context.instance):
                yield from self._record(outcome)

    def _published_before(self, day: str) -> DayOutcome | None:
        """The outcome of a day that needs no export, because this run retries one that did it."""
        window, store = DayWindow.of(day, settings.timezone()), self.exports.store()
        outcome = self.retried.published(self.dataset, window, store, self.session)
        if outcome and outcome.manifest:
            self.context.log.info(
                f"{self.dataset.name} {day}: not exported again. Run "
                f"{outcome.manifest.run.run_id}, which this run retries, has published it, and the "
                "source has not changed."
            )
        return outcome

    def _export(self, day: str) -> DayOutcome:
        return export_day(
            self.dataset,
            DayWindow.of(day, settings.timezone()),
            session=self.session,
            writer=self.exports,
            run_id=self.context.run.run_id,
            notify=self.context.log.warning,
            trailing_days=self.trailing_days,
            batch_rows=self.config.batch_rows,
            accept_loss=day in self.config.accept_loss_days,
            sample=databases.is_sample(self.dataset.config.source.url),
            progress=self._progress,
            outside_days=self.outside_days,
        )

    def _progress(self, rows: int, total: int) -> None:
        self.run.batch(rows, total)
        self.progress.batch(rows, total)
        observer().rows_read(rows, total)

    def _record(self, outcome: DayOutcome) -> Iterator[object]:
        """The events for a day that was published or held."""
        self.outcome.verdicts[outcome.day] = outcome.verdicts
        if outcome.manifest:
            (self.outcome.kept if outcome.kept else self.outcome.published).append(outcome.day)
            if not outcome.kept:
                self.exported[outcome.day] = outcome.manifest.counts.read
                self.run.published(outcome.manifest)
            observer().day_published(outcome.manifest)
            yield from self.events.published(outcome.manifest, outcome)
            return
        problem = outcome.held().problem
        yield self._add_problem(outcome.day, problem, HELD, held_metadata(outcome))
        yield from self.events.held(outcome)

    def _add_problem(
        self, day: str, problem: str, anchor: str, metadata: dict[str, Any] | None = None
    ) -> dg.AssetObservation:
        """Record why a day was not published, and return the observation for its page in the UI."""
        self.outcome.add_problem(day, problem, anchor)
        self.events.failed(day, problem)
        return not_published(self.dataset.name, day, problem, anchor, metadata or {})

    def _log_stop(self, day: str) -> None:
        message = self.outcome.stopped(day)
        self.context.log.warning(message)
        repeat_at_exit(message)

    def _unexpected(self, error: Exception) -> str:
        """Type and place of an unexpected error, without its text, which may quote row content."""
        frames = traceback.extract_tb(error.__traceback__)
        self.context.log.error("".join([type(error).__name__, ", at\n", *frames.format()]))
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        return f"unexpected {type(error).__name__} in {where}; the run's log has the stack trace."

    def _fail(self, message: str) -> NoReturn:
        repeat_at_exit(message)
        raise dg.Failure(message, allow_retries=False)
