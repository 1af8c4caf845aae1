"""Judges a day as an export would, and publishes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import Session
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.tally import Tally
from exporter_pipelines.engine.erased_subjects import erased_subjects
from exporter_pipelines.engine.export_day import judge_staged
from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.engine.outside_days import OutsideDays
from exporter_pipelines.engine.retries import stage_with_retries
from exporter_pipelines.engine.same_source import refuse_mixing
from exporter_pipelines.engine.stage import OnBatch
from exporter_pipelines.engine.trailing_days import TrailingDays

_RUN_ID = "check-only"


@dataclass(frozen=True)
class CheckedDay:
    """What an export of a day would find.

    Attributes:
        day: Partition key.
        verdicts: Of all checks, in their order.
        tally: The counts of its rows.
        size_bytes: Of the data files that an export would publish.
    """

    day: str
    verdicts: Sequence[Verdict]
    tally: Tally
    size_bytes: int

    @property
    def reasons(self) -> list[str]:
        """Why an export would hold the day; empty if it would publish it."""
        return [verdict.reason for verdict in self.verdicts if verdict.holds]


def check_day(
    dataset: Dataset,
    window: DayWindow,
    *,
    session: Session,
    store: Store,
    notify: Callable[[str], object],
    trailing_days: TrailingDays,
    outside_days: OutsideDays,
    accept_loss: bool = False,
    sample: bool = False,
    progress: OnBatch = lambda _read, _total: None,
) -> CheckedDay:
    """Stage and judge a day, and discard it.

    The days before it are compared as they are published, not as they would be.

    Args:
        dataset, window, session, notify, accept_loss, sample, progress: As for `export_day`.
        store: A store that is only read, apart from staging.
        trailing_days: The published days before this one.
        outside_days: The days that can be exported; pass the same object for a whole run.

    Raises:
        ExporterError: the day could not be staged.
    """
    refuse_mixing(store, dataset.name, sample=sample)
    with stage_with_retries(
        dataset,
        window,
        lambda: session.day(dataset, window),
        lambda: store.begin(dataset.name, window.day),
        run_id=_RUN_ID,
        notify=notify,
        progress=progress,
        before_rows=lambda snapshot: outside_days.count(dataset, snapshot),
        erased=erased_subjects(store, dataset.name),
    ) as staged:
        judged = judge_staged(
            staged,
            store,
            trailing_days,
            session,
            outside_days,
            accept_loss=accept_loss,
            sample=sample,
        )
        size_bytes = sum(file.size_bytes for file in staged.files)
        return CheckedDay(window.day, judged.verdicts, staged.tally, size_bytes)
