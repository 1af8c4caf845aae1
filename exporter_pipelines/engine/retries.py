"""Stages a day, and retries it from the beginning after a temporary failure of the database.

Belongs here: the number of retries and the waits between them. Does not belong here: which errors
are worth a retry; the sources decide that (`ExporterError.retryable`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
)

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import DaySnapshot
from exporter_pipelines.contracts.staged_day import StagedDay, Staging
from exporter_pipelines.engine.erased_subjects import ErasedSubjects
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS, OnBatch, stage_day
from exporter_pipelines.engine.stage_in_slices import stage_in_slices
from exporter_pipelines.errors import ExporterError

T = TypeVar("T")

FIRST_WAIT_S = 2.0
"""Then 6, 18 and 54 s, and up to 1 s of jitter each: the default of three retries bridges the half
minute that a restart of a database takes. The longest wait is a minute."""


@dataclass(frozen=True)
class Retries:
    """How staging is retried.

    Attributes:
        limit: Maximum number of retries; None for the dataset's `source.retries`.
        first_wait_s: Seconds before the first retry; None for `FIRST_WAIT_S`.
    """

    limit: int | None = None
    first_wait_s: float | None = None


@contextmanager
def stage_with_retries(
    dataset: Dataset,
    window: DayWindow,
    open_snapshot: Callable[[], AbstractContextManager[DaySnapshot]],
    begin: Callable[[], Staging],
    *,
    run_id: str,
    notify: Callable[[str], object],
    batch_rows: int = DEFAULT_BATCH_ROWS,
    progress: OnBatch = lambda _read, _total: None,
    retries: Retries | None = None,
    before_rows: Callable[[DaySnapshot], object] = lambda _snapshot: None,
    erased: ErasedSubjects | None = None,
) -> Iterator[StagedDay]:
    """Stage a day; its staging area is discarded when the block is left.

    Each attempt uses a new snapshot and a new staging area; nothing is resumed within a file.

    Args:
        dataset: What to export; `source.retries` limits the attempts.
        window: The day.
        open_snapshot: Opens the database.
        begin: Begins a staging area.
        run_id: As for `stage_day`.
        notify: Receives one line before each retry.
        batch_rows: As for `stage_day`.
        progress: As for `stage_day`; restarts with each attempt.
        retries: Number of retries and the first wait.
        before_rows: Called with each snapshot before its rows are read.
        erased: As for `stage_day`.

    Raises:
        ExporterError: of the last attempt.
    """

    def attempt() -> tuple[StagedDay, ExitStack]:
        with ExitStack() as stack:
            staging = stack.enter_context(begin())
            with open_snapshot() as snapshot:
                before_rows(snapshot)
                stage = stage_in_slices if dataset.config.slices > 1 else stage_day
                day = stage(
                    dataset, window, snapshot, staging,
                    run_id=run_id, batch_rows=batch_rows, progress=progress, erased=erased,
                )  # fmt: skip
            return day, stack.pop_all()

    chosen = retries or Retries()
    limit = dataset.config.source.retries if chosen.limit is None else chosen.limit
    wait_s = chosen.first_wait_s or FIRST_WAIT_S
    day, staging_area = _with_retries(
        attempt, limit, f"{dataset.name} {window.day}", notify, wait_s
    )
    with staging_area:
        yield day


def _with_retries(
    attempt: Callable[[], T],
    limit: int,
    what: str,
    notify: Callable[[str], object],
    first_wait_s: float,
) -> T:
    def announce(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait_s = state.next_action.sleep if state.next_action else 0
        notify(
            f"{what}: attempt {state.attempt_number + 1} of {limit + 1} in {wait_s:.0f} s: "
            f"{error.message if isinstance(error, ExporterError) else ''}"
        )

    retrying = Retrying(
        retry=retry_if_exception(lambda e: isinstance(e, ExporterError) and e.retryable),
        stop=stop_after_attempt(limit + 1),
        wait=wait_exponential_jitter(
            multiplier=first_wait_s, max=60, exp_base=3, jitter=first_wait_s / 2
        ),
        before_sleep=announce,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except ExporterError as error:
        times = retrying.statistics["attempt_number"]
        if times > 1:
            error.message += f" It was tried {times} times."
        raise
