"""Progress lines in the run's log. Dagster shows nothing else live while a step runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

_EVERY_S = 10.0
_EVERY_PCT = 10


class ProgressLog:
    """Logs the progress of a run, at most once per 10 s or per 10 % of all its days.

    A run writes about ten lines, and one more per 10 s, whether it has one large day or a thousand
    small ones.

    Args:
        log: The run's logger.
        dataset: Name of the dataset.
        days: All days of the run, in order.
        clock: Returns seconds; only differences are used.

    Example:
        progress = ProgressLog(context.log, "logs", days)
        progress.begin(day)
        stage_day(..., report=progress.batch)
        progress.end()
    """

    def __init__(
        self,
        log: logging.Logger,
        dataset: str,
        days: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._dataset, self._days, self._clock = log, dataset, days, clock
        self._started = self._day_started = self._logged_at = clock()
        self._logged_pct = 0.0
        self._day, self._position, self._batch, self._read, self._ended_rows = "", 0, 0, 0, 0

    def begin(self, day: str) -> None:
        """Start the next day."""
        self._day, self._position, self._batch, self._read = day, self._position + 1, 0, 0
        self._day_started = self._clock()

    def batch(self, rows: int, total: int) -> None:
        """Call after each batch: `rows` of the day's `total` rows have been read so far.

        A retry of the day starts over with 0 rows; this call does not count as a batch.
        """
        self._batch = self._batch + 1 if rows > self._read else 1
        self._read = rows
        share = rows / max(total, 1)
        if rows >= total or not self._due(self._position - 1 + share):
            return
        elapsed = max(self._clock() - self._day_started, 1e-6)
        # Batches differ in size, so their number is an estimate. The number of rows is exact.
        batches = max(round(self._batch / share), self._batch)
        line = (
            f"batch {self._batch} of about {batches}, {share:.0%}, {rows:,} of {total:,} rows, "
            f"{rows / elapsed:,.0f} rows/s, done in {_duration(elapsed / share - elapsed)}"
        ).replace("%", " %")
        if len(self._days) > 1:
            line = f"day {self._position} of {len(self._days)}, {line}{self._all_days(share)}"
        self._log.info(f"{self._dataset} {self._day}: {line}")

    def end(self) -> None:
        """End the day, whether it was published or not."""
        self._ended_rows += self._read
        done, days = self._position, len(self._days)
        if days == 1 or done == days or not self._due(done):
            return
        self._log.info(
            f"{self._dataset} {self._day}: day {done} of {days} done, {100 * done // days} %, "
            f"{self._ended_rows:,} rows{self._all_days(0, done)}"
        )

    def _all_days(self, share: float, done: int | None = None) -> str:
        """Estimated time left for the whole range, from the days so far."""
        done_days = (self._position - 1 if done is None else done) + share
        elapsed = self._clock() - self._started
        left = elapsed * (len(self._days) - done_days) / done_days
        return f", all {len(self._days)} days in about {_duration(left)}"

    def _due(self, done_days: float) -> bool:
        """Whether a line is due. If so, the next one is measured from now."""
        now, pct = self._clock(), 100 * done_days / len(self._days)
        if now - self._logged_at < _EVERY_S and pct - self._logged_pct < _EVERY_PCT:
            return False
        self._logged_at, self._logged_pct = now, pct
        return True


def _duration(seconds: float) -> str:
    """A duration as text."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
