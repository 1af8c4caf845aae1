"""On a terminal, our own message comes last and stands alone.

Dagster prints a failed run as some sixty lines with four copies of the message among stack
traces, and an error of its own as a bare traceback. What an operator must read is repeated at the
very end of the process. In the UI nothing changes.
"""

from __future__ import annotations

import atexit
import sys
from types import TracebackType

from dagster import DagsterInvalidSubsetError

from exporter_pipelines import settings
from exporter_pipelines.errors import ExporterError

_failures: list[str] = []


def remember(failure: str) -> None:
    """Repeat a run's failure when the process ends."""
    if not _failures:
        atexit.register(_print_failures)
    _failures.append(failure)


def install() -> None:
    """Show errors that are meant for the user without their traceback, on standard error."""
    # Read now: Dagster takes the values of .env back before an exception reaches the hook.
    first, end = settings.start_date(), settings.end_date() or "today"

    def excepthook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, ExporterError):
            message = str(error)
        elif isinstance(error, DagsterInvalidSubsetError) and "partition key" in str(error):
            message = (
                f"{error} Days begin with EXPORTER_START_DATE={first} and end before {end}; "
                "choose one of them, or change EXPORTER_START_DATE or EXPORTER_END_DATE."
            )
        else:
            sys.__excepthook__(kind, error, traceback)
            return
        print(f"\nError: {message}", file=sys.stderr)  # noqa: T201

    sys.excepthook = excepthook


def _print_failures() -> None:
    print("\n" + "\n".join(_failures), file=sys.stderr)  # noqa: T201
