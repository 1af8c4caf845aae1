"""A line in the run's log now and then: the only thing Dagster shows live inside a step."""

from __future__ import annotations

import logging
import time

_EVERY_S = 10.0
_EVERY_PCT = 10


class ProgressLog:
    """Called after each batch; logs at most once per 10 s or 10 %, and never for a small day.

    Args:
        log: The run's logger.
        what: Names the dataset and the day.
    """

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log, self._what = log, what
        self._started = self._last = time.monotonic()
        self._last_pct = 0

    def __call__(self, rows: int, total: int) -> None:
        """Report `rows` of `total` rows read so far."""
        now = time.monotonic()
        pct = 100 * rows // max(total, 1)
        if rows >= total or (now - self._last < _EVERY_S and pct - self._last_pct < _EVERY_PCT):
            return
        self._last, self._last_pct = now, pct
        rate = rows / max(now - self._started, 1e-6)
        self._log.info(
            f"{self._what}: {rows:,} of {total:,} rows ({pct} %), {rate:,.0f} rows/s, "
            f"ready in {(total - rows) / rate:,.0f} s"
        )
