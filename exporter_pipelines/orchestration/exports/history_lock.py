"""One process at a time opens Dagster's history.

The first one creates its SQLite files. Dagster does not expect a second one meanwhile, which then
fails with "table jobs already exists".
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from exporter_pipelines import settings
from exporter_pipelines.errors import HistoryUnavailableError, printable

if TYPE_CHECKING:
    import dagster as dg

_LIMIT_S = 30.0
"""After that a process opens it anyway: the one before may hang, on a broken network drive."""


def instance_at_home() -> dg.DagsterInstance:
    """Dagster's instance at DAGSTER_HOME, a context manager.

    Raises:
        HistoryUnavailableError: its storage cannot be opened.
    """
    # Imported here: the supervisor needs only the lock, and stays small without Dagster.
    import dagster as dg

    home = Path(settings.dagster_home() or ".")
    try:
        with opening_history(home):
            return dg.DagsterInstance.get()
    except Exception as error:
        # Broad: each storage has errors of its own.
        raise not_opened(home, error) from error


def not_opened(home: Path, error: Exception) -> HistoryUnavailableError:
    """The error for a user. Without the text of the other, which may have a connection string."""
    return HistoryUnavailableError(
        f"Dagster's history cannot be opened ({printable(type(error).__name__)}).",
        f"Check {home / 'dagster.yaml'} and its storage; `exporter doctor` shows more.",
    )


@contextmanager
def opening_history(home: Path) -> Iterator[None]:
    """Wait until no other process is in here for the history at `home`, for at most 30 seconds.

    The lock is one of the folder, so it needs no file. Where the folder cannot be locked, nothing
    is waited for.
    """
    folder = -1
    try:
        with suppress(OSError):
            folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            _lock(folder)
        yield
    finally:
        if folder >= 0:
            os.close(folder)


def _lock(folder: int) -> None:
    ends = time.monotonic() + _LIMIT_S
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends:
                return
            time.sleep(0.05)
        else:
            return
