"""Makes the asset of a dataset: one code path for a day and for a range of days.

https://docs.dagster.io/guides/build/assets

No `from __future__ import annotations` here: Dagster reads the annotations of the asset function
as classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import dagster as dg
from pydantic import Field

from exporter_pipelines import __version__, settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.staged_day import StagedDay
from exporter_pipelines.engine.judge import Verdict, judge
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS, stage_day
from exporter_pipelines.errors import ConfigurationError, ExporterError, SourceUnavailableError
from exporter_pipelines.orchestration.checks import (
    check_results,
    check_specs,
    day_evaluations,
    range_results,
)
from exporter_pipelines.orchestration.io_manager import ExportIOManager
from exporter_pipelines.orchestration.last_words import remember
from exporter_pipelines.orchestration.metadata import asset_metadata, day_metadata
from exporter_pipelines.orchestration.progress import ProgressLog
from exporter_pipelines.orchestration.resources import BackendResource

GROUP = "exports"
DATA_VERSION_TAG = "dagster/data_version"


class ExportConfig(dg.Config):
    """Run config: only what cannot change the output."""

    batch_rows: int = Field(
        DEFAULT_BATCH_ROWS,
        ge=1_000,
        le=500_000,
        description="Most rows in a batch. More is faster and takes more memory.",
    )


def export_asset(
    dataset: Dataset, partitions_def: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    """The partitioned asset of a dataset, with its checks."""
    config = dataset.config

    # The return type stays unannotated: Dagster reads it as the type of the output.
    @dg.asset(
        name=dataset.name,
        description=config.description or None,
        group_name=GROUP,
        kinds={"postgres", config.format},
        metadata=asset_metadata(dataset),
        partitions_def=partitions_def,
        # The only policy that `--partition-range` accepts; each day is committed by itself.
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=check_specs(dataset.name, partitions_def),
        io_manager_key="io_manager",
        output_required=False,
        code_version=__version__,
    )
    def export(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext,
        config: ExportConfig,
        backend: BackendResource,
        exports: dg.ResourceParam[ExportIOManager],
    ):
        yield from _Export(dataset, context, config, backend, exports).days(context.partition_keys)

    return export


@dataclass
class _Outcome:
    """What became of the days of a run so far."""

    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


@dataclass
class _Export:
    """One dataset in one run."""

    dataset: Dataset
    context: dg.AssetExecutionContext
    config: ExportConfig
    backend: BackendResource
    exports: ExportIOManager
    outcome: _Outcome = field(default_factory=_Outcome)

    def days(self, days: Sequence[str]) -> Iterator[object]:
        """Export day by day; a bad day does not cost the others."""
        for position, day in enumerate(days, 1):
            self.context.log.info(f"{self.dataset.name} {day}: day {position} of {len(days)}")
            try:
                yield from self._day(day, alone=len(days) == 1)
            except ExporterError as error:
                self._note_failure(day, str(error))
                if isinstance(error, ConfigurationError | SourceUnavailableError):
                    # The other days would meet the same; do not wait for each to time out.
                    self.outcome.failed += days[position:]
                    break
        yield from self._close(days)

    def _day(self, day: str, *, alone: bool) -> Iterator[object]:
        """Stage, judge, then publish or hold one day, with its events."""
        staging = self.exports.store().begin(self.dataset.name, day)
        try:
            window = DayWindow.of(day, settings.timezone())
            with self.backend.open_day(self.dataset, window) as snapshot:
                staged = stage_day(
                    self.dataset,
                    window,
                    snapshot,
                    staging,
                    run_id=self.context.run_id,
                    batch_rows=self.config.batch_rows,
                    report=ProgressLog(self.context.log, f"{self.dataset.name} {day}"),
                )
            verdicts = judge(self.dataset, staged.tally)
            self.outcome.verdicts[day] = verdicts
            if any(verdict.holds for verdict in verdicts):
                yield from self._hold(staged, verdicts, alone=alone)
            else:
                yield from self._publish(staged, verdicts, alone=alone)
        finally:
            staging.discard()

    def _publish(
        self, staged: StagedDay, verdicts: list[Verdict], *, alone: bool
    ) -> Iterator[object]:
        """Alone, Dagster calls the IO manager and records the day; in a range, we do."""
        day, asset = staged.window.day, self.dataset.name
        if alone:
            yield dg.Output(staged, data_version=dg.DataVersion(staged.data_version))
            yield from check_results(verdicts)
            return
        manifest = self.exports.publish(staged)
        yield dg.AssetMaterialization(
            asset_key=asset,
            partition=day,
            metadata=day_metadata(manifest, self.exports.store()),
            tags={DATA_VERSION_TAG: manifest.data_version},
        )
        yield from day_evaluations(self.context.instance, asset, day, verdicts)

    def _hold(self, staged: StagedDay, verdicts: list[Verdict], *, alone: bool) -> Iterator[object]:
        day = staged.window.day
        quarantine = self.exports.hold(staged)
        reasons = " ".join(verdict.reason for verdict in verdicts if verdict.holds)
        where = f" Rejected rows: {quarantine}." if quarantine else ""
        self._note_failure(day, f"held, nothing new is published. {reasons}{where}")
        if alone:
            yield from check_results(verdicts)
        else:
            yield from day_evaluations(self.context.instance, self.dataset.name, day, verdicts)

    def _note_failure(self, day: str, problem: str) -> None:
        self.outcome.problems[day] = problem
        self.outcome.failed.append(day)

    def _close(self, days: Sequence[str]) -> Iterator[object]:
        """The closing events of a range, and one failure that names every bad day."""
        outcome = self.outcome
        if len(days) > 1:
            unfinished = [day for day in days if day not in outcome.verdicts]
            yield from range_results(outcome.verdicts, unfinished)
        if not outcome.failed:
            return
        listed = [f"{self.dataset.name} {day}: {why}" for day, why in outcome.problems.items()]
        if not_tried := [day for day in outcome.failed if day not in outcome.problems]:
            listed.append(f"{self.dataset.name} not tried: {', '.join(not_tried)}.")
        if len(days) > 1:
            listed.insert(0, f"{len(outcome.failed)} of {len(days)} days of {self.dataset.name}:")
        remember(message := "\n".join(listed))
        raise dg.Failure(message, allow_retries=False)
