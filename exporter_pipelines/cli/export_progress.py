"""Shows the progress of `exporter export`: a bar on a terminal, elsewhere one line per 10 s.

A thread writes it, so that it also moves while the database counts rows. It writes to standard
error; standard output has only the summary.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import Self

_BAR_EVERY_S, _LINE_EVERY_S = 0.2, 10.0
_BAR_WIDTH = 24
_ESTIMATE_AFTER_S = 5.0
_ERASE = "\r\x1b[K"


class Progress:
    """A context manager; within it, call `begin`, `rows` and `end` for each day.

    Args:
        days: Number of days, of all datasets together.
        doing: What is shown until the first day begins.
    """

    def __init__(self, days: int, doing: str) -> None:
        self._days, self._doing = days, doing
        self._done, self._problems, self._rows = 0, 0, 0
        self._share, self._rows_of_day = 0.0, 0
        self._started, self._is_bar = time.monotonic(), sys.stderr.isatty()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="progress", daemon=True)

    def begin(self, dataset: str, day: str) -> None:
        """A day is attempted."""
        self._doing, self._share, self._rows_of_day = f"{dataset} {day}", 0.0, 0

    def rows(self, rows: int, total: int) -> None:
        """So many rows of the day have been read, of so many."""
        self._rows_of_day, self._share = rows, rows / max(total, 1)

    def end(self, *, problem: bool) -> None:
        """The day is done; `problem` if it is not published."""
        self._done, self._problems = self._done + 1, self._problems + problem
        self._rows, self._share, self._rows_of_day = self._rows + self._rows_of_day, 0.0, 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        self._thread.join(1)
        if self._is_bar:
            self._write(_ERASE)

    def _write_on(self) -> None:
        while not self._stopped.wait(_BAR_EVERY_S if self._is_bar else _LINE_EVERY_S):
            self._write(_ERASE + self._bar() if self._is_bar else self.line() + "\n")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def line(self) -> str:
        """`118 of 252 days, 46 %, logs 2026-11-05, 4,567 rows, 1 held or failed, 3 min left`."""
        fraction = min((self._done + self._share) / self._days, 1.0)
        parts = [f"{self._done:,} of {self._days:,} days", f"{fraction:.0%}".replace("%", " %")]
        parts += [self._doing, f"{self._rows + self._rows_of_day:,} rows"]
        if self._problems:
            parts.append(f"{self._problems:,} held or failed")
        elapsed = time.monotonic() - self._started
        if fraction and elapsed > _ESTIMATE_AFTER_S:
            parts.append(f"{duration(elapsed / fraction - elapsed)} left")
        return ", ".join(parts)

    def _bar(self) -> str:
        columns = shutil.get_terminal_size().columns
        filled = round(_BAR_WIDTH * min((self._done + self._share) / self._days, 1.0))
        bar = f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {self.line()}"
        return bar[: columns - 1]  # a second line could not be erased


def duration(seconds: float) -> str:
    """A duration as text."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
