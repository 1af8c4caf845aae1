"""One dataset in one run: one code path for a day and for a range of days.

Belongs here: the order in which days are staged, judged, published or held, recorded, and what
becomes of the others when one is bad. Does not belong here: what is in a file; the engine decides.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg
from pydantic import Field

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow, is_day
from exporter_pipelines.contracts.staged_day import StagedDay
from exporter_pipelines.engine.drift import judge_drift
from exporter_pipelines.engine.judge import Verdict, judge
from exporter_pipelines.engine.lost_rows import judge_loss
from exporter_pipelines.engine.retries import staged_day
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS
from exporter_pipelines.engine.trailing_days import DayNumbers, TrailingDays
from exporter_pipelines.errors import ConfigurationError, ExporterError
from exporter_pipelines.orchestration.dagster_internals.run_selection import selected_children
from exporter_pipelines.orchestration.exports.cancelling import deliver_cancel
from exporter_pipelines.orchestration.exports.checks import (
    check_results,
    day_evaluations,
    range_results,
)
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.exports.last_words import remember
from exporter_pipelines.orchestration.exports.metadata import day_materialization
from exporter_pipelines.orchestration.exports.outcome import HELD, UNEXPECTED, Outcome
from exporter_pipelines.orchestration.exports.progress import ProgressLog
from exporter_pipelines.orchestration.exports.resources import BackendResource

_STOPPED = (GeneratorExit, dg.DagsterExecutionInterruptedError)


class ExportConfig(dg.Config):
    """Run config: only what cannot change the output."""

    batch_rows: int = Field(
        DEFAULT_BATCH_ROWS,
        description="Most rows in a batch, 1,000 to 500,000. More is faster and takes more memory. "
        "Another number is refused when the run starts. See docs/operations.md",
    )
    accept_loss_days: list[str] = Field(
        [],
        description="Days, YYYY-MM-DD, whose published export may be replaced by an empty one "
        "because the source has lost their rows. The check no_lost_rows holds all other days.",
    )

    def check(self) -> None:
        """Refuse what is out of bounds; pydantic's own bounds fail as a stack trace.

        Raises:
            ConfigurationError: `batch_rows` is too small or too large, or `accept_loss_days` names
                something that is not a day.
        """
        if not 1_000 <= self.batch_rows <= 500_000:
            raise ConfigurationError(
                f"The run config asks for batch_rows={self.batch_rows}.",
                "Choose 1,000 to 500,000, or leave it out.",
            )
        for day in self.accept_loss_days:
            if not is_day(day):
                raise ConfigurationError(
                    f"The run config names {day!r} under accept_loss_days, which is not a day.",
                    "Write days as YYYY-MM-DD.",
                )


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

    @property
    def _alone(self) -> bool:
        """Whether the run is of one day. A range of one day is not: its checks know no day."""
        return bool(self.context.has_partition_key)

    def days(self, days: Sequence[str]) -> Iterator[object]:
        """Export day by day; a bad day does not cost the others."""
        self.outcome = Outcome(self.dataset.name, days)
        self.progress = ProgressLog(self.context.log, self.dataset.name, days)
        with self.backend.open_session() as self.session:
            yield from self._each(days)
        yield from self._close(days)

    def _each(self, days: Sequence[str]) -> Iterator[object]:
        for day in days:
            self.progress.begin(day)
            try:
                yield from self._attempt(day)
                deliver_cancel()
            except _STOPPED as error:
                # Dagster closes a single day's generator as well when publishing it failed.
                if not (self._alone and isinstance(error, GeneratorExit)):
                    self._note_stop(day)
                raise
            self.progress.end()
            if self.outcome.hopeless:
                break

    def _attempt(self, day: str) -> Iterator[object]:
        """One day; whatever is wrong with it is noted, and raised after the last day."""
        try:
            yield from self._day(day)
        except ExporterError as error:
            yield self._note_failure(day, str(error), error.entry)
            self.outcome.hopeless = error.every_day  # do not wait for each to time out
        except Exception as error:
            # A bug that one day's rows bring to light must not cost the other days either.
            yield self._note_failure(day, self._unexpected(error), UNEXPECTED)

    def _day(self, day: str) -> Iterator[object]:
        """Stage, judge, then publish or hold one day, with its events."""
        self.config.check()
        with self._staged(day) as staged:
            verdicts = [
                *judge(self.dataset, staged.tally),
                self._loss(staged),
                *self._drift(staged),
            ]
            self.outcome.verdicts[day] = verdicts
            if any(verdict.holds for verdict in verdicts):
                yield from self._hold(staged, verdicts)
            else:
                yield from self._publish(staged, verdicts)

    def _loss(self, staged: StagedDay) -> Verdict:
        day = staged.window.day
        published = self.exports.store().read_manifest(self.dataset.name, day)
        accepted = day in self.config.accept_loss_days
        return judge_loss(day, published, staged.tally, accepted=accepted)

    def _drift(self, staged: StagedDay) -> list[Verdict]:
        before = self.trailing_days.before(staged.window.day)
        columns = self.dataset.schema.columns
        return judge_drift(columns, DayNumbers.of_tally(staged.tally), before)

    @cached_property
    def trailing_days(self) -> TrailingDays:
        """The days before those of this run, and those of this run that are published."""
        return TrailingDays(self.exports.store(), self.dataset.name)

    def _staged(self, day: str) -> AbstractContextManager[StagedDay]:
        window = DayWindow.of(day, settings.timezone())
        return staged_day(
            self.dataset,
            window,
            lambda: self.session.day(self.dataset, window),
            lambda: self.exports.staging(self.dataset.name, day),
            run_id=self.context.run.run_id,
            batch_rows=self.config.batch_rows,
            say=self.context.log.warning,
            report=self.progress.batch,
        )

    def _publish(self, staged: StagedDay, verdicts: list[Verdict]) -> Iterator[object]:
        """Alone, Dagster calls the IO manager and records the day; in a range, we do."""
        day, asset = staged.window.day, self.dataset.name
        if self._alone:
            yield dg.Output(staged, data_version=dg.DataVersion(staged.data_version))
            self._note_published(staged)
            yield from check_results(verdicts, self._quarantine(staged))
            return
        manifest = self.exports.publish(staged)
        self._note_published(staged)
        yield day_materialization(manifest, self.exports.store())
        quarantine = self._quarantine(staged)
        yield from day_evaluations(self.context.instance, asset, day, verdicts, quarantine)

    def _quarantine(self, staged: StagedDay) -> Path | None:
        """Where the rejected rows of a published day lie."""
        if staged.quarantine is None:
            return None
        folder = self.exports.store().quarantine_folder(self.dataset.name, staged.window.day)
        return folder / staged.quarantine.name

    def _note_published(self, staged: StagedDay) -> None:
        day, tally = staged.window.day, staged.tally
        self.outcome.published.append(day)
        if not self._alone:
            return  # a line and an event more for each of a thousand small days
        folder = self.exports.store().day_folder(self.dataset.name, day)
        self.context.log.info(
            f"{self.dataset.name} {day}: published {tally.rows_exported:,} of "
            f"{tally.rows_read:,} rows, {tally.rows_rejected:,} rejected: {folder}"
        )

    def _hold(self, staged: StagedDay, verdicts: list[Verdict]) -> Iterator[object]:
        day = staged.window.day
        quarantine = self.exports.hold(staged)
        reasons = " ".join(verdict.reason for verdict in verdicts if verdict.holds)
        where = f" Rejected rows: {quarantine}." if quarantine else ""
        said = f"held, nothing new is published. {reasons}{where}"
        shown: dict[str, Any] = {}
        for verdict in verdicts:
            if verdict.holds:
                shown |= verdict.numbers
        if quarantine:
            shown["quarantine"] = dg.MetadataValue.path(str(quarantine))
        yield self._note_failure(day, said, HELD, shown)
        if self._alone:
            yield from check_results(verdicts, quarantine)
        else:
            yield from day_evaluations(
                self.context.instance, self.dataset.name, day, verdicts, quarantine
            )

    def _note_failure(
        self, day: str, problem: str, entry: str, metadata: dict[str, Any] | None = None
    ) -> dg.AssetObservation:
        """Remember it, and give what the day's own page in the UI shows of it."""
        self.outcome.note(day, problem, entry)
        if not self._alone:
            self.context.log.error(f"{self.dataset.name} {day}: {problem}")
        return dg.AssetObservation(
            asset_key=self.dataset.name,
            partition=day,
            description=problem,
            metadata={
                "not_published": problem,
                "see": f"docs/failures.md#{entry}",
                **(metadata or {}),
            },
        )

    def _note_stop(self, day: str) -> None:
        said = self.outcome.stopped(day)
        self.context.log.warning(said)
        remember(said)

    def _unexpected(self, error: Exception) -> str:
        """Where a bug is; its text is left out, since it may quote what a row holds."""
        frames = traceback.extract_tb(error.__traceback__)
        self.context.log.error("".join([type(error).__name__, ", at\n", *frames.format()]))
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        return f"unexpected {type(error).__name__} in {where}; the run's log has the stack trace."

    def _close(self, days: Sequence[str]) -> Iterator[object]:
        """The closing events of a range, and one failure that names every bad day."""
        outcome = self.outcome
        # A run that judged nothing fails anyway, and must not paint an earlier red check green.
        if not self._alone and outcome.verdicts:
            unfinished = [day for day in days if day not in outcome.verdicts]
            yield from range_results(outcome.verdicts, unfinished)
        if not self._alone:
            self.context.log.info(outcome.summary())
        if outcome.problems or outcome.unfinished:
            self._fail(outcome.failure())
        if not self._alone:
            self._note_skipped(days)

    def _note_skipped(self, days: Sequence[str]) -> None:
        """Say which assets of this run Dagster will skip; it does so without a word.

        A run over a range records its days itself and yields no output, on which they wait.
        """
        if names := selected_children(self.context):
            select = ",".join(names)
            message = (
                f"Dagster skips {select} in a run over a range. Materialize it now that "
                f"{self.dataset.name} is published: dagster asset materialize "
                f"-m exporter_pipelines.definitions --select {select} "
                f"--partition-range {days[0]}...{days[-1]}"
            )
            self.context.log.warning(message)
            remember(message)

    def _fail(self, message: str) -> NoReturn:
        remember(message)
        raise dg.Failure(message, allow_retries=False)
