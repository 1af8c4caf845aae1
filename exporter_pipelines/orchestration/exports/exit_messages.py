"""Repeats important messages at the end of a command's output.

Dagster prints a failed run as some sixty lines with four copies of the message among stack traces,
and its own errors as tracebacks. So the message that an operator must read is printed once more
when the process exits. The UI is not affected.
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
    history_disk_problem,
    rejected_arguments,
)

_messages: list[str] = []


def repeat_at_exit(message: str) -> None:
    """Print a message once more, on standard error, when the process exits."""
    if not _messages:
        atexit.register(print_messages)
    _messages.append(message)


def take_messages() -> list[str]:
    """The messages so far, which are then not printed at exit: the caller shows them."""
    taken = list(_messages)
    _messages.clear()
    atexit.unregister(print_messages)
    return taken


@contextmanager
def errors_repeated_at_exit() -> Iterator[None]:
    """Print the message of an `ExporterError` that the block raises once more at exit."""
    try:
        yield
    except ExporterError as error:
        repeat_at_exit(str(error))
        raise


def install_excepthook() -> None:
    """Print errors that a user can fix without a traceback, on standard error."""
    sys.excepthook = _ExceptHook()


class _ExceptHook:
    def __init__(self) -> None:
        # Read now: Dagster removes the values of .env from the environment before this is called.
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
        """The message for a user; None for errors whose traceback is needed."""
        message = str(error)
        if isinstance(error, ExporterError):
            return message
        if isinstance(error, dg.DagsterInvalidSubsetError):
            # Dagster's own message names the first day of a range even if the last one is wrong.
            is_partition = "partition key" in message
            return f"There is no such partition. {self._days}" if is_partition else message
        if disk := history_disk_problem(error):
            return (
                f"Dagster cannot write its history in {settings.dagster_home() or 'DAGSTER_HOME'}: "
                f"{disk}. Free some space or mount it writable, then run the command again. "
                "`exporter doctor` checks it."
            )
        rejected = rejected_arguments(error)
        if rejected and asks_for_partition(rejected):
            return f"Choose a day with --partition, or several with --partition-range. {self._days}"
        return rejected


def _range_of_days() -> str:
    try:
        first, end = settings.start_date(), settings.end_date()
    except ExporterError as error:
        return str(error)
    end_is = f"EXPORTER_END_DATE={end}" if end else "today"
    return f"Days begin with EXPORTER_START_DATE={first} and end before {end_is}."


def print_messages() -> None:
    """Print the messages, after an empty line."""
    print("\n" + "\n".join(_messages), file=sys.stderr)  # noqa: T201
