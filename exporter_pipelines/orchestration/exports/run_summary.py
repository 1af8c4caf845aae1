"""The summary of a run in one of its tags, so that a list of exports needs no events.

A run writes it when a dataset has ended. A run that was killed has none, or lacks the datasets that
it did not reach; their days have the status of the run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import dagster as dg

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.orchestration.exports.outcome import RunOutcome

SUMMARY_TAG = "exporter/summary"
_MOST_CHARACTERS = 300


@dataclass
class DatasetSummary:
    """What became of the days of one dataset.

    Attributes:
        days: That the run was to export.
        published, held, failed: Of them; those that were kept as they are count as published.
        rows_read, rows, rejected, bytes, repeated_keys: Sums over the published days.
        nulls, values: The same, of the exported values; nulls are part of the values.
        seconds: That the published days took.
    """

    days: int = 0
    published: int = 0
    held: int = 0
    failed: int = 0
    rows_read: int = 0
    rows: int = 0
    rejected: int = 0
    bytes: int = 0
    repeated_keys: int = 0
    nulls: int = 0
    values: int = 0
    seconds: float = 0.0

    @property
    def ended(self) -> int:
        """Days with an outcome of their own. The others have the status of the run."""
        return self.published + self.held + self.failed

    def add(self, manifest: Manifest) -> None:
        """Add the numbers of a day that was published, and not kept."""
        counts = manifest.counts
        self.rows_read += counts.read
        self.rows += counts.exported
        self.rejected += counts.rejected
        self.bytes += manifest.file_size
        self.repeated_keys += int(manifest.data_quality_metrics.get("repeated_keys", 0))
        self.nulls += sum(column.null_count or 0 for column in manifest.columns)
        self.values += len(manifest.columns) * counts.exported
        self.seconds = round(self.seconds + manifest.run.duration_s, 3)

    def end(self, outcome: RunOutcome) -> None:
        """Count the days of an outcome."""
        self.days = len(outcome.days)
        self.published = len(outcome.published) + len(outcome.kept)
        self.held, self.failed = len(outcome.held), len(outcome.failed)


@dataclass
class RunSummary:
    """What became of the days of a run.

    Attributes:
        run_id: The run. Dagster copies the tags of a run to a run that repeats it.
        first, last: The first and the last day of all datasets.
        datasets: Name -> its days; also datasets that have not begun.
        problem: Why the first day that was not published was not; cut off after some words.
    """

    run_id: str
    first: str
    last: str
    datasets: dict[str, DatasetSummary] = field(default_factory=dict)
    problem: str = ""

    def end(self, outcome: RunOutcome) -> None:
        """Add the outcome of a dataset, of which no further day is attempted."""
        self.datasets[outcome.dataset].end(outcome)
        for day, why in outcome.problems.items():
            self.problem = self.problem or shortened(f"{outcome.dataset} {day}: {why}")

    @property
    def days(self) -> int:
        """Days of all datasets."""
        return sum(each.days for each in self.datasets.values())

    def to_tag(self) -> dict[str, str]:
        """The tag of the run. Numbers that are 0 are left out."""
        datasets = {
            name: {key: value for key, value in asdict(each).items() if value}
            for name, each in self.datasets.items()
        }
        text: dict[str, Any] = {"run": self.run_id, "first": self.first, "last": self.last}
        text |= {"datasets": datasets, "problem": self.problem}
        return {SUMMARY_TAG: json.dumps(text, separators=(",", ":"))}


def summary_of(run: dg.DagsterRun) -> RunSummary | None:
    """What a run has written; None when it has not, or another version has."""
    summary = read_summary(run.tags.get(SUMMARY_TAG, ""))
    return summary if summary and summary.run_id == run.run_id else None


def read_summary(text: str) -> RunSummary | None:
    """The text of the tag, read. Anybody who starts a run can set its tags."""
    try:
        found = json.loads(text)
        datasets = {str(name): _dataset(each) for name, each in found["datasets"].items()}
        run_id, first, last = (str(found[key]) for key in ("run", "first", "last"))
        return RunSummary(run_id, first, last, datasets, str(found["problem"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _dataset(found: Mapping[str, Any]) -> DatasetSummary:
    numbers = {key: float(value) for key, value in found.items()}
    return DatasetSummary(**{
        key: value if key == "seconds" else int(value)  # an unknown key raises TypeError
        for key, value in numbers.items()
    })  # type: ignore[arg-type] # fmt: skip


def shortened(problem: str) -> str:
    """The beginning of the first line of a problem, which is what a list shows."""
    line = problem.partition("\n")[0]
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 3]}..."


def write_summary(instance: dg.DagsterInstance, summary: RunSummary) -> None:
    """Store the summary of a run that is executed. Raises nothing."""
    # Broad: no failure of Dagster's storage may hide why the run ends. If the storage stays away,
    # Dagster itself reports it; the service then reads the events of the run.
    with suppress(Exception):
        instance.add_run_tags(summary.run_id, summary.to_tag())
