"""Removes abandoned attempts and old replaced days from a dataset's folder.

An attempt in `.staging` whose lock is free belongs to a process that has ended. A replaced day
stays in `.superseded` for `GRACE_S`, for readers that opened it before.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.errors import DayUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import (
    SWAP_SUFFIX,
    make_folder,
    sync_folder,
    translate_os_errors,
)
from exporter_pipelines.stores.local.ledger import entries
from exporter_pipelines.stores.local.locks import FileLock, locked
from exporter_pipelines.stores.local.small_files import read_small_file

GRACE_S = 3600
"""How long a replaced day stays on disk. A reader that was listing the old folder when it was
removed found the day absent 15 times in 166,000 reads; kept, 0 times in 168,000."""


def clean_up(root: Path, dataset: str) -> None:
    """Remove abandoned attempts, and replaced days that are older than `GRACE_S`.

    Raises:
        OutputUnavailableError: the folder cannot be written.
    """
    for lock in make_folder(root, dataset, layout.STAGING).glob("*.lock"):
        # A leftover that cannot be removed must not fail the day that is exported now.
        with suppress(DayUnavailableError):
            _remove_dead_attempt(root, dataset, lock)
    for old in make_folder(root, dataset, layout.SUPERSEDED).iterdir():
        with suppress(FileNotFoundError):  # another run may clean up, too
            _remove_expired(old)


def remove_attempt(root: Path, dataset: str, attempt: str) -> bool:
    """Remove the files of an attempt from the staging area.

    On file systems without an atomic exchange, an attempt that was killed during the switch left
    the published day here. It is moved back first.

    Returns:
        Whether everything was removed.
    """
    folder = root / dataset / layout.STAGING / attempt
    swapped = folder.with_name(attempt + SWAP_SUFFIX)
    if swapped.exists():
        day = layout.day_of_attempt(attempt)
        target = layout.day_folder(root, dataset, day)
        with day_lock(root, dataset, day), translate_os_errors(target):
            if not target.exists():
                os.rename(swapped, target)
    if folder.exists():
        _keep_replaced(root, dataset, attempt)
    for leftover in (folder, swapped):
        shutil.rmtree(leftover, ignore_errors=True)
    return not folder.exists() and not swapped.exists()


def _keep_replaced(root: Path, dataset: str, attempt: str) -> None:
    """Keep a replaced day that a killed process had no time to move out of its staging area."""
    day = layout.day_of_attempt(attempt)
    begun = [entry for entry in entries(root, dataset, day) if entry.kept_as == attempt]
    if not begun:
        return
    with day_lock(root, dataset, day):
        folder = root / dataset / layout.STAGING / attempt
        data = read_small_file(folder / MANIFEST_NAME, root)
        if data is not None and generation_of(data) == begun[-1].replaces:
            kept = make_folder(root, dataset, layout.REPLACED)
            with translate_os_errors(kept):
                os.rename(folder, kept / attempt)
            sync_folder(kept)


@contextmanager
def day_lock(root: Path, dataset: str, day: str) -> Iterator[None]:
    """Hold the lock of a day, which protects its folder while it is switched."""
    with locked(make_folder(root, dataset, layout.LOCKS) / layout.day_name(day)):
        yield


@contextmanager
def dataset_files_lock(root: Path, dataset: str) -> Iterator[None]:
    """Hold the lock under which the card and the schema files of a dataset are replaced."""
    with locked(make_folder(root, dataset, layout.LOCKS) / "dataset_files"):
        yield


@contextmanager
def ledger_lock(root: Path, dataset: str, day: str | None) -> Iterator[None]:
    """Hold the lock under which the ledger of a day, or of a dataset, is appended to."""
    name = layout.day_name(day) if day else "ledger"
    with locked(make_folder(root, dataset, layout.LOCKS) / name):
        yield


def _remove_dead_attempt(root: Path, dataset: str, path: Path) -> None:
    lock = FileLock(path)
    if lock.try_acquire():
        clean = False
        try:
            clean = remove_attempt(root, dataset, path.stem)
        finally:
            lock.release(remove=clean)


def _remove_expired(old: Path) -> None:
    age_s = time.time() - old.lstat().st_mtime
    if age_s < -GRACE_S:
        os.utime(old, follow_symlinks=False)  # the clock was wrong; its age counts from now
    if age_s > GRACE_S:
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink()
