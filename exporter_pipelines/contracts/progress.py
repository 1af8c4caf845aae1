"""How far an export is: one number for all of its days, which never goes backwards.

Each day counts the same. A day in progress counts by its share of rows that were read.
Belongs here: the numbers. The run's log, `exporter export` and the service show the same ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_ESTIMATE_AFTER_S, _ESTIMATE_AFTER_BATCHES = 2.0, 3
"""The first batch includes connecting and counting: an estimate from it alone is far too long."""


@dataclass(frozen=True)
class Progress:
    """The progress of an export at one moment.

    Attributes:
        dataset, day: The day in progress; empty before the first one.
        day_number: Its place among the days of all datasets, from 1.
        days: Number of these days.
        ended: How many have ended.
        rows, total: Rows of the day that were read in this attempt, and all of them.
        rows_ended: Rows that were read of the days that have ended.
        batch, batches: The batch of the day, from 1, and about how many there are; 0 before the
            first. Batches differ in size, so their number is an estimate.
        rows_per_s: Of the day.
        day_share, share: Of the day and of all days, 0 to 1. Neither goes backwards.
        day_eta_s, eta_s: Seconds until the day and all days have ended; None while too little is
            known.
    """

    dataset: str = ""
    day: str = ""
    day_number: int = 0
    days: int = 0
    ended: int = 0
    rows: int = 0
    total: int = 0
    rows_ended: int = 0
    batch: int = 0
    batches: int = 0
    rows_per_s: float = 0.0
    day_share: float = 0.0
    share: float = 0.0
    day_eta_s: float | None = None
    eta_s: float | None = None


class Meter:
    """Computes the progress of the days that one process exports.

    Args:
        days: Number of days, of all datasets together.
        clock: Returns seconds; only differences are used.

    Example:
        meter = Meter(len(days))
        meter.begin("logs", day)
        meter.batch(rows, total)
        meter.end()
    """

    def __init__(self, days: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._days, self._clock = days, clock
        self._started = self._attempt_started = clock()
        self._dataset, self._day, self._ended, self._rows_ended = "", "", 0, 0
        self._rows, self._total, self._batch, self._share = 0, 0, 0, 0.0

    def begin(self, dataset: str, day: str) -> None:
        """The next day begins."""
        self._dataset, self._day, self._share = dataset, day, 0.0
        self._begin_attempt()

    def batch(self, rows: int, total: int) -> None:
        """A batch was read: `rows` of the day's `total` rows have been read so far.

        Fewer rows than before begin a new attempt at the day; its share stays until it is exceeded.
        """
        if rows < self._rows:
            self._begin_attempt()
        self._batch += rows > self._rows
        self._rows, self._total = rows, total
        self._share = max(self._share, min(rows / max(total, 1), 1.0))

    def end(self) -> None:
        """The day has ended, whether it was published or not."""
        self._ended, self._share = self._ended + 1, 0.0
        self._rows_ended, self._rows = self._rows_ended + self._rows, 0

    def skip(self, days: int) -> None:
        """Some days are not attempted."""
        self._ended += days

    def now(self) -> Progress:
        """The progress at this moment."""
        elapsed, of_day = self._clock() - self._started, self._clock() - self._attempt_started
        share = min((self._ended + self._share) / max(self._days, 1), 1.0)
        read = self._rows / self._total if self._total else 0.0
        known = of_day >= _ESTIMATE_AFTER_S or self._batch >= _ESTIMATE_AFTER_BATCHES
        day_eta_s = remaining(of_day, read) if known else None
        of_all = remaining(elapsed, share) if known or self._ended else None
        return Progress(
            dataset=self._dataset,
            day=self._day,
            day_number=min(self._ended + 1, self._days) if self._day else 0,
            days=self._days,
            ended=self._ended,
            rows=self._rows,
            total=self._total,
            rows_ended=self._rows_ended,
            batch=self._batch,
            batches=max(round(self._batch / read), self._batch) if read else self._batch,
            rows_per_s=self._rows / max(of_day, 1e-6),
            day_share=self._share,
            share=share,
            day_eta_s=day_eta_s,
            # Days differ in size: by their number alone, less could be left than this day takes.
            eta_s=None if of_all is None else max(of_all, day_eta_s or 0.0),
        )

    def _begin_attempt(self) -> None:
        self._attempt_started = self._clock()
        self._rows = self._total = self._batch = 0


def remaining(elapsed_s: float, share: float) -> float | None:
    """Seconds that the rest takes at the same speed; None before anything is done."""
    return elapsed_s * (1 - share) / share if share > 0 else None


def percent(share: float) -> str:
    """`50 %`, rounded down, so that 100 % is all of it."""
    return f"{int(100 * share + 1e-9)} %"


def duration(seconds: float) -> str:
    """A duration as text."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
