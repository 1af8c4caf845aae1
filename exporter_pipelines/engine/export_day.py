"""Exports one day: stages it with retries, judges it, and publishes it or holds it.

The Dagster asset, `api` and the tests all export through this function. They pass different
writers (`DayWriter`) and use the outcome in different ways.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.outside_days import ExportableDays
from exporter_pipelines.contracts.source import Session
from exporter_pipelines.contracts.staged_day import StagedDay, Staging
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.actions import PROTECTING, ways_out
from exporter_pipelines.engine.day_record import day_record
from exporter_pipelines.engine.drift import judge_drift
from exporter_pipelines.engine.erased_subjects import erased_subjects
from exporter_pipelines.engine.judge import Verdict, judge
from exporter_pipelines.engine.kept_days import KeptDay, kept_day
from exporter_pipelines.engine.leak_check import judge_leaks
from exporter_pipelines.engine.lost_rows import judge_loss
from exporter_pipelines.engine.outside_days import OutsideDays
from exporter_pipelines.engine.publish import JudgedDay, hold, publish
from exporter_pipelines.engine.retries import Retries, stage_with_retries
from exporter_pipelines.engine.same_source import judge_source, refuse_mixing
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS, OnBatch
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

    def publish(self, judged: JudgedDay) -> Manifest:
        """Publish a day and return its manifest. Raises as `engine.publish.publish` does."""
        ...

    def hold(self, judged: JudgedDay) -> str | None:
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

    def publish(self, judged: JudgedDay) -> Manifest:
        """See `DayWriter`."""
        return publish(self._store, judged)

    def hold(self, judged: JudgedDay) -> str | None:
        """See `DayWriter`."""
        return hold(self._store, judged)


@dataclass(frozen=True)
class DayOutcome:
    """The result of a day that was staged and judged, or kept as it is.

    Attributes:
        dataset: Name.
        day: Partition key.
        verdicts: Of all checks, in their order.
        manifest: Of the day as it is published; None when it is held.
        quarantine: File with the rejected rows; None when no row was rejected.
        kept: Why the published export stays although its day was not held; "" otherwise.
        published_at: When the export that a held day leaves in place was published; empty if the
            day has none.
    """

    dataset: str
    day: str
    verdicts: Sequence[Verdict]
    manifest: Manifest | None
    quarantine: str | None
    kept: str = ""
    published_at: str = ""

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
            raise self.held()
        return self.manifest

    def held(self) -> DayHeldError:
        """The error that says why the day is held, and whether a published export stays."""
        return DayHeldError(
            f"{self.dataset} {self.day}",
            self.reasons,
            self.quarantine,
            self.published_at,
            ways_out(self.dataset, [self.day]) if self._protects_rows() else "",
        )

    def _protects_rows(self) -> bool:
        return any(v.holds and v.check in PROTECTING for v in self.verdicts)


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
    sample: bool = False,
    progress: OnBatch = lambda _read, _total: None,
    retries: Retries | None = None,
    outside_days: OutsideDays | None = None,
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
        accept_loss: Whether the day may replace an export with rows that the source lost.
        sample: Whether the source is the embedded sample backend, which is never mixed with others.
        progress: Called after each batch with (rows read so far, rows of the day).
        retries: How staging is retried; by default as the dataset configures.
        outside_days: The days that can be exported; pass the same object for a whole run. By
            default all days until today.

    Raises:
        ExporterError: the day could not be staged or published; a published export of it stays.
    """
    store = writer.store()
    if adopted := store.adopt(dataset.name):
        notify(f"{dataset.name}: {adopted} days that were published before are in the ledger now.")
    refuse_mixing(store, dataset.name, sample=sample)
    record = day_record(store, dataset.name, window.day)
    kept = None if accept_loss else kept_day(store, dataset, window, record, session)
    if kept:
        return _kept_outcome(dataset, window.day, kept)
    outside = outside_days or OutsideDays(ExportableDays.of("", None, window.timezone))
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
        before_rows=lambda snapshot: outside.count(dataset, snapshot),
        erased=erased_subjects(store, dataset.name),
    ) as staged:
        trailing = trailing_days or TrailingDays(store, dataset.name)
        judged = judge_staged(
            staged, store, trailing, session, outside, accept_loss=accept_loss, sample=sample
        )
        return _publish_or_hold(judged, writer)


def _publish_or_hold(judged: JudgedDay, writer: DayWriter) -> DayOutcome:
    store, staged = writer.store(), judged.staged
    dataset, day = staged.dataset.name, staged.window.day
    if judged.holds:
        quarantine = writer.hold(judged)
        stays = _published_at(store.read_manifest(dataset, day))
        return DayOutcome(dataset, day, judged.verdicts, None, quarantine, published_at=stays)
    manifest = writer.publish(judged)
    return DayOutcome(dataset, day, judged.verdicts, manifest, _quarantine(staged, store))


def _kept_outcome(dataset: Dataset, day: str, kept: KeptDay) -> DayOutcome:
    return DayOutcome(dataset.name, day, kept.verdicts(), kept.manifest, None, kept.reason)


def _published_at(data: bytes | None) -> str:
    """When a published manifest was written; empty without one."""
    if data is None:
        return ""
    manifest = Manifest.if_readable(data)
    return f"{manifest.export_timestamp:%Y-%m-%d %H:%M:%S} UTC" if manifest else "an unknown time"


def judge_staged(
    staged: StagedDay,
    store: Store,
    trailing_days: TrailingDays,
    session: Session,
    outside: OutsideDays,
    *,
    accept_loss: bool,
    sample: bool,
) -> JudgedDay:
    """The verdicts of all checks, in the order in which they are shown."""
    dataset, day, tally = staged.dataset, staged.window.day, staged.tally
    # Read again: another run may have published the day since this one began.
    record = day_record(store, dataset.name, day)
    source = judge_source(store, staged, record, accepted=accept_loss, sample=sample)
    staged, leaks = judge_leaks(staged)
    loss = judge_loss(
        store,
        staged,
        record,
        session,
        accepted=accept_loss,
        same_source=source.is_known,
        was_other_source=source.was_other,
    )
    today = DayNumbers.of_tally(tally)
    verdicts = [
        *judge(dataset, tally),
        outside.judge(dataset, day, tally.unreadable_times),
        loss.verdict,
        source.verdict,
        *judge_drift(dataset.schema.columns, today, trailing_days.before(day)),
        *leaks,
    ]
    return JudgedDay(staged, verdicts, loss, source, sample)


def _quarantine(staged: StagedDay, store: Store) -> str | None:
    """Where the rejected rows of a published day are."""
    if staged.quarantine is None:
        return None
    folder = store.quarantine_location(staged.dataset.name, staged.window.day)
    return f"{folder}/{staged.quarantine.name}"
