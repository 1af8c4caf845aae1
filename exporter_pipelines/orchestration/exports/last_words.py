"""On a terminal, our own message comes last and stands alone.

Dagster prints a failed run as some sixty lines with four copies of the message among stack
traces, and an error of its own as a bare traceback. What an operator must read is repeated at the
very end of the process. In the UI nothing changes.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.orchestration.dagster_internals.command_errors import (
    asks_for_partition,
    rejected_arguments,
)

_failures: list[str] = []


def remember(failure: str) -> None:
    """Repeat a run's failure when the process ends."""
    if not _failures:
        atexit.register(print_failures)
    _failures.append(failure)


@contextmanager
def remembered() -> Iterator[None]:
    """Repeat what an `ExporterError` of the block says when the process ends."""
    try:
        yield
    except ExporterError as error:
        remember(str(error))
        raise


def install() -> None:
    """Show errors that are meant for the user without their traceback, on standard error."""
    sys.excepthook = _ExceptHook()


class _ExceptHook:
    def __init__(self) -> None:
        # Read now: Dagster takes the values of .env back before an exception arrives here.
        self._days = _range_of_days()

    def __call__(
        self, kind: type[BaseException], error: BaseException, stack: TracebackType | None
    ) -> None:
        message = self._for_user(error)
        if message is None:
            sys.__excepthook__(kind, error, stack)
        else:
            print(f"\nError: {message}", file=sys.stderr)  # noqa: T201

    def _for_user(self, error: BaseException) -> str | None:
        """What a user should read; None when the traceback is what is wanted."""
        said = str(error)
        if isinstance(error, ExporterError):
            return said
        if isinstance(error, dg.DagsterInvalidSubsetError):
            # Of a range, Dagster names the first day even if the last one is wrong.
            return f"There is no such partition. {self._days}" if "partition key" in said else said
        rejected = rejected_arguments(error)
        if rejected and asks_for_partition(rejected):
            return f"Name a day with --partition, or days with --partition-range. {self._days}"
        return rejected


def _range_of_days() -> str:
    try:
        first, end = settings.start_date(), settings.end_date()
    except ExporterError as error:
        return str(error)
    end_is = f"EXPORTER_END_DATE={end}" if end else "today"
    return f"Days begin with EXPORTER_START_DATE={first} and end before {end_is}."


def print_failures() -> None:
    """Print what was remembered, after an empty line."""
    print("\n" + "\n".join(_failures), file=sys.stderr)  # noqa: T201
