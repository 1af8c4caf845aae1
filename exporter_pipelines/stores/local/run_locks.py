"""A lock per run, which shows whether the process of the run is alive.

    <root>/.runs/<run id>.lock  held from the first step of a run until its process ends

A killed run stays `STARTED` in Dagster's history, but the kernel releases its lock. This works for
all processes and containers that share the file system and its locks.
"""

from __future__ import annotations

import atexit
import os
import re
from contextlib import suppress
from pathlib import Path

from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import make_folder
from exporter_pipelines.stores.local.locks import FileLock, is_free

_ID = re.compile(r"[0-9a-f-]{1,64}")

_held: dict[Path, FileLock] = {}
"""Locks of this process. They are released at exit, because Dagster writes the last event of a run
after every hook that a resource has."""


@atexit.register
def _release_all() -> None:
    for lock in _held.values():
        lock.release(remove=True)


def hold_run(root: Path, run_id: str) -> None:
    """Hold the lock of a run until this process ends. Raises nothing.

    If the lock cannot be written, `dead_runs` finds a killed run by its process instead, and the
    export itself reports what is wrong with the folder.
    """
    path = _path(root, run_id)
    if path in _held:
        return
    for earlier in list(_held):  # a process executes one run after another
        _held.pop(earlier).release(remove=True)
    with suppress(OSError, OutputUnavailableError):
        make_folder(root, layout.RUNS)
        lock = FileLock(path)
        if lock.try_acquire():
            _held[path] = lock


def is_abandoned(root: Path, run_id: str) -> bool | None:
    """Whether the process of a run has ended; None when the run has no lock file."""
    path = _path(root, run_id)
    if not os.path.lexists(path):
        return None
    return is_free(path)


def forget_run(root: Path, run_id: str) -> None:
    """Remove the lock file of an ended run, unless it is held. Raises nothing."""
    with suppress(OSError, OutputUnavailableError):
        lock = FileLock(_path(root, run_id))
        if lock.try_acquire():
            lock.release(remove=True)


def locked_runs(root: Path) -> list[str]:
    """Ids of the runs that have a lock file, held or not."""
    return sorted(path.stem for path in (root / layout.RUNS).glob("*.lock"))


def _path(root: Path, run_id: str) -> Path:
    if not _ID.fullmatch(run_id):
        raise ValueError(f"not a run id: {run_id!r}")
    return layout.run_lock(root, run_id)
