"""Staging a day, again from its beginning when the database was lost and may be back.

Belongs here: what a further attempt begins with, and when there is one. Does not belong here: which
errors may pass by themselves; the sources say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS, Report, stage_day
from exporter_pipelines.errors import ExporterError

FIRST_WAIT_S = 2.0
"""Then 6, 18 and 54 s, and up to 1 s of chance each: the default of three retries bridges the
half minute that a restart takes. The longest wait is a minute."""

T = TypeVar("T")


@contextmanager
def staged_day(
    dataset: Dataset,
    window: DayWindow,
    open_snapshot: Callable[[], AbstractContextManager[DaySnapshot]],
    begin: Callable[[], AbstractContextManager[Staging]],
    *,
    run_id: str,
    say: Callable[[str], object],
    batch_rows: int = DEFAULT_BATCH_ROWS,
    report: Report = lambda _read, _total: None,
    first_wait_s: float | None = None,
) -> Iterator[StagedDay]:
    """Stage a day; its staging area is discarded when the block is left.

    Each attempt has a snapshot and a staging area of its own: nothing is resumed within a file.

    Args:
        dataset: What to export; `source.retries` bounds the attempts.
        window: The day.
        open_snapshot: Opens the database.
        begin: Begins a staging area, and discards it at the end of its block.
        run_id: As for `stage_day`.
        say: Is told, in one line, of each further attempt.
        batch_rows: As for `stage_day`.
        report: As for `stage_day`; begins again with each attempt.
        first_wait_s: Seconds before the second attempt, at least; by default `FIRST_WAIT_S`.

    Raises:
        ExporterError: of the last attempt.
    """

    def attempt() -> tuple[StagedDay, ExitStack]:
        with ExitStack() as stack:
            staging = stack.enter_context(begin())
            with open_snapshot() as snapshot:
                day = stage_day(
                    dataset, window, snapshot, staging,
                    run_id=run_id, batch_rows=batch_rows, report=report,
                )  # fmt: skip
            return day, stack.pop_all()

    what = f"{dataset.name} {window.day}"
    day, kept = _tried(
        attempt, dataset.config.source.retries, what, say, first_wait_s or FIRST_WAIT_S
    )
    with kept:
        yield day


def _tried(
    attempt: Callable[[], T],
    retries: int,
    what: str,
    say: Callable[[str], object],
    first_wait_s: float,
) -> T:
    def announce(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait_s = state.next_action.sleep if state.next_action else 0
        say(
            f"{what}: attempt {state.attempt_number + 1} of {retries + 1} in {wait_s:.0f} s: "
            f"{error.message if isinstance(error, ExporterError) else ''}"
        )

    retrying = Retrying(
        retry=retry_if_exception(lambda e: isinstance(e, ExporterError) and e.may_pass),
        stop=stop_after_attempt(retries + 1),
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
