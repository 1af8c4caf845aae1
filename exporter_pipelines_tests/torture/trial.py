"""What a campaign gets: a time budget, dice, a folder, databases; and where its points are kept."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from exporter_pipelines.demo.backend import start_server
from exporter_pipelines_tests.support.backends import ANOMALIES, IPS, LOGS, Backend, fresh_database

_KEPT = 20
"""Details of what went wrong that are kept per campaign; the count has all of them."""


class SkippedError(Exception):
    """A campaign cannot run here; the reason is printed where its figures would be."""


@dataclass
class Count:
    """Points of one part of a campaign, and how many of them broke the promise."""

    points: int = 0
    bad: int = 0


@dataclass
class Trial:
    """One run of one campaign.

    Attributes:
        seed: Of `dice`; a run with the same seed tries the same things.
        seconds: After so many `rounds` ends, whatever its goal; the first one starts the clock, so
            that setting up does not count.
        folder: Empty, on a local disk, removed afterwards.
        counts: Part of the campaign ("" for the whole) -> its points.
        figures: What else is worth printing: name -> number or text.
        details: Of the first points that were bad.
        short: Goals that the time did not suffice for.

    Example:
        for number in trial.rounds(200, "kills"):
            trial.check(reader_is_content(), f"kill {number}: ...")
    """

    seed: int
    seconds: float
    folder: Path
    counts: dict[str, Count] = field(default_factory=dict)
    figures: dict[str, object] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    @cached_property
    def _ends(self) -> float:
        return time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds of the budget that are left; not below 0. The first question starts the clock."""
        return max(0.0, self._ends - time.monotonic())

    def rounds(self, goal: int, of: str = "rounds", *, share: float = 1) -> Iterator[int]:
        """Count 0, 1, ... up to `goal` while the time lasts; always at least once.

        Args:
            goal: The figure to reach.
            of: What is counted, for the line that says that the time did not suffice.
            share: Part of the time left that these rounds may use, where others follow.
        """
        ends = time.monotonic() + self.left * share
        for number in range(goal):
            if number and time.monotonic() > ends:
                self.short.append(f"{number} of {goal} {of}")
                return
            yield number

    def check(self, good: bool, what: str, *, part: str = "", points: int = 1) -> bool:
        """Count points, all good or one of them bad.

        Args:
            good: Whether the promise held.
            what: What to look at when it did not.
            part: Of the campaign, for a line of its own in the results.
            points: How many; 0 where only the failure counts.
        """
        count = self.counts.setdefault(part, Count())
        count.points += points if good else max(points, 1)
        if not good:
            count.bad += 1
            if len(self.details) < _KEPT:
                self.details.append(f"{part + ': ' if part else ''}{what}")
        return good

    def add(self, figure: str, number: int) -> None:
        """Add to a figure, which begins at 0."""
        self.figures[figure] = int(str(self.figures.get(figure, 0))) + number

    @contextmanager
    def guarded(self, what: str, *, part: str = "") -> Iterator[None]:
        """One point; bad when the block raises."""
        try:
            yield
        except Exception as error:
            self.check(False, f"{what}: {type(error).__name__}: {error}", part=part)
        else:
            self.check(True, what, part=part)

    def skip(self, reason: str) -> SkippedError:
        """For `raise trial.skip("strace is not installed")`."""
        return SkippedError(reason)

    @cached_property
    def server_url(self) -> str:
        """A PostgreSQL server: EXPORTER_TEST_POSTGRES_URL, or else an embedded one of our own."""
        given = os.environ.get("EXPORTER_TEST_POSTGRES_URL")
        return given or start_server(self.folder / "pg")

    def database(self) -> AbstractContextManager[Backend]:
        """A fresh database without tables."""
        return fresh_database(self.server_url)

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        """A fresh database with the three tables, empty."""
        with self.database() as backend:
            for statement in (LOGS, ANOMALIES, IPS):
                backend.run(statement)
            yield backend
