"""Progress lines in the run's log. Dagster shows nothing else live while a step runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from exporter_pipelines.contracts.progress import Progress, duration, percent, remaining

_EVERY_S = 10.0
_EVERY_PCT = 10


class Measured(Protocol):
    """What the lines are about, see `run_progress.RunProgress`."""

    def now(self) -> Progress:
        """The progress of the run."""
        ...

    def export_share(self) -> float:
        """The share of the export that is done."""
        ...


class ProgressLog:
    """Logs the progress of a dataset, at most once per 10 s or per 10 % of all days of the run.

    A run writes about ten lines, and one more per 10 s, whether it has one large day or a thousand
    small ones. `day 50 %` is the share of the day, `export 21 %` that of all days of all datasets.

    Args:
        log: The run's logger.
        dataset: Name of the dataset.
        days: All days of the dataset in the run, in order.
        run: Measures the run; it is updated before each call here.
        clock: Returns seconds; only differences are used.

    Example:
        progress = ProgressLog(context.log, "logs", days, run)
        progress.begin(day)
        stage_day(..., report=progress.batch)
        progress.end()
    """

    def __init__(
        self,
        log: logging.Logger,
        dataset: str,
        days: Sequence[str],
        run: Measured,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._dataset, self._days, self._run = log, dataset, days, run
        self._clock = clock
        self._started = self._logged_at = clock()
        self._logged_share = run.now().share
        self._day, self._position = "", 0

    def begin(self, day: str) -> None:
        """Start the next day."""
        self._day, self._position = day, self._position + 1

    def batch(self, rows: int, total: int) -> None:
        """Call after each batch: `rows` of the day's `total` rows have been read so far."""
        now = self._run.now()
        if rows >= total or not self._due(now):
            return
        parts = [f"day {self._position} of {len(self._days)}"] if len(self._days) > 1 else []
        parts += [
            f"batch {now.batch} of about {now.batches}",
            f"day {percent(now.day_share)}, export {percent(self._run.export_share())}",
            f"{rows:,} of {total:,} rows",
            f"{now.rows_per_s:,.0f} rows/s",
        ]
        if now.day_eta_s is not None:
            parts.append(f"day done in {duration(now.day_eta_s)}")
        self._write(parts)

    def end(self) -> None:
        """End the day, whether it was published or not."""
        now, days = self._run.now(), len(self._days)
        if self._position == days or not self._due(now):
            return
        self._write([
            f"day {self._position} of {days} done",
            f"export {percent(self._run.export_share())}",
            f"{now.rows_ended:,} rows",
        ])  # fmt: skip

    def _write(self, parts: list[str]) -> None:
        own = self._run.now().eta_s
        left = remaining(self._clock() - self._started, self._run.export_share())
        if left is not None and own is not None:
            parts.append(f"export done in about {duration(max(left, own))}")
        self._log.info(f"{self._dataset} {self._day}: {', '.join(parts)}")

    def _due(self, now: Progress) -> bool:
        """Whether a line is due. If so, the next one is measured from now."""
        at, more = self._clock(), now.share - self._logged_share
        if at - self._logged_at < _EVERY_S and 100 * more < _EVERY_PCT:
            return False
        self._logged_at, self._logged_share = at, now.share
        return True
