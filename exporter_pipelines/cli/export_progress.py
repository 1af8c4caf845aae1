"""Shows the progress of a command: a bar on a terminal, elsewhere one line per 10 s.

The numbers are those of the run's log and of the service, see `contracts.progress`.

A thread writes it, so that it also moves while the database counts rows. It writes to standard
error; standard output has only results.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Self

import click

from exporter_pipelines.contracts import progress as numbers
from exporter_pipelines.contracts.progress import Meter, duration, percent

_BAR_EVERY_S, _LINE_EVERY_S = 0.2, 10.0
_BAR_WIDTH = 24
_ERASE = "\r\x1b[K"


class Display:
    """A context manager that shows how far something is.

    Args:
        look: Returns the share that is done, 0 to 1, and a line about it.
    """

    def __init__(self, look: Callable[[], tuple[float, str]]) -> None:
        self._look, self._is_bar = look, sys.stderr.isatty()
        self._stopped, self._writing = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._write_on, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        self._thread.join(1)
        if self._is_bar:
            self._write(_ERASE)

    def result(self, line: str) -> None:
        """Print a line to standard output, which the bar on the same terminal does not break."""
        with self._writing:
            if self._is_bar:
                self._write(_ERASE)
            click.echo(line)

    def _write_on(self) -> None:
        while not self._stopped.wait(_BAR_EVERY_S if self._is_bar else _LINE_EVERY_S):
            share, line = self._look()
            with self._writing:
                self._write(_ERASE + _bar(share, line) if self._is_bar else line + "\n")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


class ProgressDisplay(Display):
    """The progress of an export of this process; call `begin`, `rows` and `end` for each day.

    Args:
        days: Number of days, of all datasets together.
        doing: What is shown until the first day begins.
        clock: Returns seconds; only differences are used.
    """

    def __init__(self, days: int, doing: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(lambda: (self._meter.now().share, self.line()))
        self._meter, self._doing, self._problems = Meter(days, clock), doing, 0

    def begin(self, dataset: str, day: str) -> None:
        """A day is attempted."""
        self._meter.begin(dataset, day)

    def rows(self, rows: int, total: int) -> None:
        """Of the day, `read` of `total` rows have been read."""
        self._meter.batch(rows, total)

    def end(self, *, problem: bool) -> None:
        """The day is done; `problem` if it is not published."""
        self._problems += problem
        self._meter.end()

    def line(self) -> str:
        """The numbers as text."""
        return progress_line(self._meter.now(), self._doing, self._problems)


def progress_line(now: numbers.Progress, doing: str, problems: int) -> str:
    """The numbers as text; what is not known is left out.

    `118 of 252 days, export 46 %, logs 2026-11-05, day 50 %, batch 2 of about 4, 4,567 rows,
    1,200 rows/s, 1 held or failed, 3 min left`.
    """
    parts = [f"{now.ended:,} of {now.days:,} days", f"export {percent(now.share)}"]
    parts.append(f"{now.dataset} {now.day}" if now.day else doing)
    if now.rows:
        parts.append(f"day {percent(now.day_share)}")
    if now.batch and now.rows_per_s:
        parts.append(f"batch {now.batch:,} of about {now.batches:,}")
    parts.append(f"{now.rows_ended + now.rows:,} rows")
    if now.rows_per_s:
        parts.append(f"{now.rows_per_s:,.0f} rows/s")
    if problems:
        parts.append(f"{problems:,} held or failed")
    if now.eta_s is not None:
        parts.append(f"{duration(now.eta_s)} left")
    return ", ".join(parts)


def _bar(share: float, line: str) -> str:
    filled = int(_BAR_WIDTH * share)
    bar = f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {line}"
    return bar[: shutil.get_terminal_size().columns - 1]  # a second line could not be erased
