"""One lock per run of a process that exports: whether a run is alive is the kernel's word.

    <root>/.runs/<run id>.lock  held from the first step of a run until its process ends

A run that was killed, however, stays "started" in Dagster's history; its lock is free. Works for
all processes that share the file system and its locks, in whatever container they are.
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
"""Of this process. Given back at its end: a run's last event comes after all that we could hook
into before."""


@atexit.register
def _release_all() -> None:
    for lock in _held.values():
        lock.release(remove=True)


def hold_run(root: Path, run_id: str) -> None:
    """Hold the lock of a run until this process ends. Raises nothing.

    Where it cannot be written, a killed run is found later, by other means; the export itself says
    what is wrong with the folder.
    """
    path = _path(root, run_id)
    if path in _held:
        return
    for earlier in list(_held):  # a process that goes on to another run has ended the one before
        _held.pop(earlier).release(remove=True)
    with suppress(OSError, OutputUnavailableError):
        make_folder(root, layout.RUNS)
        lock = FileLock(path)
        if lock.try_acquire():
            _held[path] = lock


def is_abandoned(root: Path, run_id: str) -> bool | None:
    """Whether the process of a run is gone; None when the run holds no lock."""
    path = _path(root, run_id)
    if not os.path.lexists(path):
        return None
    return is_free(path)


def forget_run(root: Path, run_id: str) -> None:
    """Remove the lock of a run that has ended. Raises nothing; a held one stays."""
    with suppress(OSError, OutputUnavailableError):
        lock = FileLock(_path(root, run_id))
        if lock.try_acquire():
            lock.release(remove=True)


def locked_runs(root: Path) -> list[str]:
    """Ids of the runs that have a lock, held or not."""
    return sorted(path.stem for path in (root / layout.RUNS).glob("*.lock"))


def _path(root: Path, run_id: str) -> Path:
    if not _ID.fullmatch(run_id):
        raise ValueError(f"not a run id: {run_id!r}")
    return layout.run_lock(root, run_id)
