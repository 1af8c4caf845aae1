"""Exports one day: stages it with retries, judges it, and publishes it or holds it.

The Dagster asset, `api` and the tests all export through this function. They pass different
writers (`DayWriter`) and use the outcome in different ways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.source import Session
from exporter_pipelines.contracts.staged_day import StagedDay, Staging
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.drift import judge_drift
from exporter_pipelines.engine.judge import Verdict, judge
from exporter_pipelines.engine.lost_rows import judge_loss
from exporter_pipelines.engine.publish import hold, publish
from exporter_pipelines.engine.retries import Retries, stage_with_retries
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS, Progress
from exporter_pipelines.engine.trailing_days import DayNumbers, TrailingDays
from exporter_pipelines.errors import DayHeldError


class DayWriter(Protocol):
    """Publishes staged days with data and metadata, or keeps the quarantine of held days."""

    def store(self) -> Store:
        """Where days are written."""
        ...

    def begin(self, dataset: str, day: str) -> Staging:
        """Create the staging area of an attempt at a day; the engine discards it."""
        ...

    def publish(self, staged: StagedDay) -> Manifest:
        """Publish a day and return its manifest. Raises as `engine.publish.publish` does."""
        ...

    def hold(self, staged: StagedDay) -> Path | None:
        """Keep the quarantine of a held day, and return where it is; None when there is none."""
        ...


class StoreWriter:
    """The `DayWriter` that writes to a store and does nothing else."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def store(self) -> Store:
        """See `DayWriter`."""
        return self._store

    def begin(self, dataset: str, day: str) -> Staging:
        """See `DayWriter`."""
        return self._store.begin(dataset, day)

    def publish(self, staged: StagedDay) -> Manifest:
        """See `DayWriter`."""
        return publish(self._store, staged)

    def hold(self, staged: StagedDay) -> Path | None:
        """See `DayWriter`."""
        return hold(self._store, staged)


@dataclass(frozen=True)
class DayOutcome:
    """The result of a day that was staged and judged.

    Attributes:
        dataset: Name.
        day: Partition key.
        verdicts: Of all checks, in their order.
        manifest: Of the published day; None when the day is held.
        quarantine: File with the rejected rows; None when no row was rejected.
    """

    dataset: str
    day: str
    verdicts: list[Verdict]
    manifest: Manifest | None
    quarantine: Path | None

    @property
    def reasons(self) -> list[str]:
        """Why the day is held, one sentence or more per check; empty for a published day."""
        return [verdict.reason for verdict in self.verdicts if verdict.holds]

    def published(self) -> Manifest:
        """The manifest of the day.

        Raises:
            DayHeldError: the day is held.
        """
        if self.manifest is None:
            raise DayHeldError(f"{self.dataset} {self.day}", self.reasons, self.quarantine)
        return self.manifest


def export_day(
    dataset: Dataset,
    window: DayWindow,
    *,
    session: Session,
    writer: DayWriter,
    run_id: str,
    notify: Callable[[str], object],
    trailing_days: TrailingDays | None = None,
    batch_rows: int = DEFAULT_BATCH_ROWS,
    accept_loss: bool = False,
    progress: Progress = lambda _read, _total: None,
    retries: Retries | None = None,
) -> DayOutcome:
    """Export one day.

    Args:
        dataset: What to export, and how.
        window: The day.
        session: Reads the day; the caller closes it.
        writer: Writes the day.
        run_id: For the manifest and the name of the quarantine file.
        notify: Receives one line before each retry.
        trailing_days: The published days before this one; pass the same object for a whole run.
        batch_rows: Maximum rows in a batch; affects memory and speed, never the result.
        accept_loss: Whether an empty day may replace a published one that has rows.
        progress: Called after each batch with (rows read so far, rows of the day).
        retries: How staging is retried; by default as the dataset configures.

    Raises:
        ExporterError: the day could not be staged or published; its published export stays.
    """
    with stage_with_retries(
        dataset,
        window,
        lambda: session.day(dataset, window),
        lambda: writer.begin(dataset.name, window.day),
        run_id=run_id,
        notify=notify,
        batch_rows=batch_rows,
        progress=progress,
        retries=retries,
    ) as staged:
        trailing = trailing_days or TrailingDays(writer.store(), dataset.name)
        verdicts = _judge(staged, writer.store(), trailing, accept_loss=accept_loss)
        if any(verdict.holds for verdict in verdicts):
            manifest, quarantine = None, writer.hold(staged)
        else:
            manifest, quarantine = writer.publish(staged), _quarantine(staged, writer.store())
    return DayOutcome(dataset.name, window.day, verdicts, manifest, quarantine)


def _judge(
    staged: StagedDay, store: Store, trailing_days: TrailingDays, *, accept_loss: bool
) -> list[Verdict]:
    """The verdicts of all checks, in the order in which they are shown."""
    dataset, day, tally = staged.dataset, staged.window.day, staged.tally
    published = store.read_manifest(dataset.name, day)
    today = DayNumbers.of_tally(tally)
    return [
        *judge(dataset, tally),
        judge_loss(day, published, tally, accepted=accept_loss),
        *judge_drift(dataset.schema.columns, today, trailing_days.before(day)),
    ]


def _quarantine(staged: StagedDay, store: Store) -> Path | None:
    """Where the rejected rows of a published day are."""
    if staged.quarantine is None:
        return None
    folder = store.quarantine_folder(staged.dataset.name, staged.window.day)
    return folder / staged.quarantine.name
