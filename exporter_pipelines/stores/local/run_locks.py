"""A lock per run, which shows whether the process of the run is alive.

    <folder>/<run id>.lock  held until the process of the run ends

A killed run stays `STARTED` in Dagster's history, but the kernel releases its lock. The folder
belongs to one Dagster instance and not to the output folder: two projects may share that, and it
may change while a run exports.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores.local.locks import FileLock, is_free

_ID = re.compile(r"[0-9a-f-]{1,64}")


def hold(folder: Path, run_id: str) -> FileLock | None:
    """Take the lock of a run; None when it cannot be written. Raises nothing."""
    with suppress(OSError, OutputUnavailableError):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_of(folder, run_id))
        if lock.try_acquire():
            return lock
    return None


def is_held(lock: Path) -> bool | None:
    """Whether a process holds the lock of a run; None when there is no lock file to test here."""
    if not os.access(lock, os.R_OK):
        return None
    return not is_free(lock)


def forget(folder: Path, run_id: str) -> None:
    """Remove the lock file of an ended run, unless it is held. Raises nothing."""
    path = lock_of(folder, run_id)
    if not path.exists():
        return
    with suppress(OSError, OutputUnavailableError):
        lock = FileLock(path)
        if lock.try_acquire():
            lock.release(remove=True)


def locked_runs(folder: Path) -> list[str]:
    """Ids of the runs that have a lock file, held or not."""
    return sorted(path.stem for path in folder.glob("*.lock") if _ID.fullmatch(path.stem))


def lock_of(folder: Path, run_id: str) -> Path:
    """Path of the lock file of a run."""
    if not _ID.fullmatch(run_id):
        raise ValueError(f"not a run id: {run_id!r}")
    return folder / f"{run_id}.lock"
