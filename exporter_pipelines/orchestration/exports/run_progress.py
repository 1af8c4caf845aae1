"""The progress of the run that this process executes, over all of its datasets.

Dagster executes the assets of a run one after another in one process. They share one meter, so that
the run has one number, which other processes can read (`live_progress`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.progress import Meter, Progress
from exporter_pipelines.orchestration.dagster_internals.run_selection import selected_with_tag
from exporter_pipelines.orchestration.exports.export_group import ExportShare
from exporter_pipelines.orchestration.exports.live_progress import LiveProgressWriter
from exporter_pipelines.orchestration.exports.outcome import RunOutcome
from exporter_pipelines.orchestration.exports.run_output import write_output
from exporter_pipelines.orchestration.exports.run_summary import (
    DatasetSummary,
    RunSummary,
    write_summary,
)

KIND_TAG = "exporter/kind"
"""On the assets of the project. `EXPORT_KINDS` are its values on those that export days."""

EXPORT_KINDS = ("dataset", "preset", "broken")


class RunProgress:
    """Measures a run, and writes its progress and its summary.

    Args:
        instance: Of the run.
        run: The run.
        summary: Of the run before its first day.
    """

    def __init__(
        self, instance: dg.DagsterInstance, run: dg.DagsterRun, summary: RunSummary
    ) -> None:
        self.run_id = run.run_id
        self._instance, self._summary = instance, summary
        self._meter, self._open = Meter(summary.days), set(summary.datasets)
        self._share = ExportShare(instance, run)
        self._writer: LiveProgressWriter | None = None

    def begin(self, dataset: str, day: str) -> None:
        """A day is attempted."""
        self._meter.begin(dataset, day)
        if self._writer is None:
            self._writer = LiveProgressWriter(self._instance, self.run_id, self._meter.now)

    def batch(self, rows: int, total: int) -> None:
        """So many of the rows of the day have been read."""
        self._meter.batch(rows, total)

    def published(self, manifest: Manifest) -> None:
        """The day is published."""
        self._summary.datasets[manifest.dataset].add(manifest)

    def end(self) -> None:
        """The day has ended, whatever became of it."""
        self._meter.end()

    def dataset_ended(self, outcome: RunOutcome) -> None:
        """No further day of a dataset is attempted. Raises nothing."""
        self._meter.skip(len(outcome.unfinished))
        self._summary.end(outcome)
        write_summary(self._instance, self._summary)
        self._open.discard(outcome.dataset)
        if not self._open:
            self.stop()

    def stop(self) -> None:
        """The run has ended: other processes no longer find its progress."""
        if self._writer:
            self._writer.end()
            self._writer = None

    def now(self) -> Progress:
        """The progress of the run."""
        return self._meter.now()

    def export_share(self) -> float:
        """The share of the export, which may have further runs, that is done."""
        return self._share.of(self._meter.now())


_current: list[RunProgress] = []
"""At most one: a process executes one run after another."""


def run_progress(
    context: dg.AssetExecutionContext, dataset: str, days: Sequence[str], output: str
) -> RunProgress:
    """The progress of the run, when a dataset begins with its days.

    Args:
        context: Of the run.
        dataset: The dataset.
        days: Its days.
        output: Where the run exports to, which is written to the run when its first dataset begins.
    """
    run = context.run
    if not _current or _current[0].run_id != run.run_id:
        end_run_progress()
        write_output(context, output)
        _current.append(RunProgress(context.instance, run, _planned(context, dataset, days)))
    return _current[0]


def end_run_progress() -> None:
    """The run of this process has ended, also if a dataset of it never began."""
    while _current:
        _current.pop().stop()


def _planned(context: dg.AssetExecutionContext, dataset: str, days: Sequence[str]) -> RunSummary:
    """All datasets of the run, with the number of their days."""
    every = list(context.partition_keys)
    datasets = {
        name: DatasetSummary(days=len(_chosen(context.run.run_config, name) or every))
        for name in selected_with_tag(context, KIND_TAG, EXPORT_KINDS)
    }
    datasets[dataset] = DatasetSummary(days=len(days))
    return RunSummary(context.run.run_id, every[0], every[-1], datasets)


def _chosen(run_config: Mapping[str, Any], dataset: str) -> list[str]:
    """The days under `days` in the run config of a dataset; empty for all of the run."""
    found: Any = run_config
    for key in ("ops", dataset, "config", "days"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return sorted(set(found)) if isinstance(found, list) else []
