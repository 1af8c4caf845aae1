"""Follows a run from the process that executes it: `exporter export` shows progress and outcome.

Dagster's events arrive after each step's event is stored and have no rows of a day in progress.
Runs in other processes have no observer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.orchestration.exports.outcome import RunOutcome


class RunObserver(Protocol):
    """What happens in the runs of this process, in order."""

    def dataset_began(self, outcome: RunOutcome) -> None:
        """The days of a dataset begin; `outcome` changes with each of them."""
        ...

    def day_began(self, dataset: str, day: str) -> None:
        """A day is attempted."""
        ...

    def rows_read(self, rows: int, total: int) -> None:
        """So many of the rows of the day have been read."""
        ...

    def day_published(self, manifest: Manifest) -> None:
        """The day is published, or its published export is kept."""
        ...

    def day_ended(self) -> None:
        """The day is done, whatever became of it."""
        ...


class _Nobody:
    """The observer of a run that nobody follows."""

    def dataset_began(self, outcome: RunOutcome) -> None:
        """See `RunObserver`."""

    def day_began(self, dataset: str, day: str) -> None:
        """See `RunObserver`."""

    def rows_read(self, rows: int, total: int) -> None:
        """See `RunObserver`."""

    def day_published(self, manifest: Manifest) -> None:
        """See `RunObserver`."""

    def day_ended(self) -> None:
        """See `RunObserver`."""


_observers: list[RunObserver] = [_Nobody()]


def observer() -> RunObserver:
    """The observer of the runs of this process."""
    return _observers[-1]


@contextmanager
def observed_by(observer: RunObserver) -> Iterator[None]:
    """Have an observer follow the runs that this process executes within the block."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.pop()
