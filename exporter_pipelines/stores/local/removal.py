"""Removes published days and quarantines, each by an atomic rename, and writes a tombstone.

The tombstone is written first, so that no day disappears without one. The caller of each function
except `read_tombstone` holds the day's lock.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import (
    make_folder,
    replace_file,
    sync_folder,
    translate_os_errors,
)
from exporter_pipelines.stores.local.small_files import read_small_file


def read_tombstone(root: Path, dataset: str, day: str) -> bytes | None:
    """The tombstone of a day; None when it has none."""
    path = root / dataset / layout.REMOVED / layout.tombstone_name(day)
    with translate_os_errors(path, "read"):
        return read_small_file(path, root)


def write_tombstone(root: Path, dataset: str, day: str, content: bytes) -> None:
    """Write or replace the tombstone of a day."""
    folder = make_folder(root, dataset, layout.REMOVED)
    # `cleanup` removes what a killed process leaves there.
    scratch = make_folder(root, dataset, layout.SUPERSEDED)
    replace_file(
        folder / layout.tombstone_name(day), scratch / f"tombstone.{secrets.token_hex(8)}", content
    )
    sync_folder(folder)


def remove_day(root: Path, dataset: str, day: str) -> None:
    """Remove a published day.

    It stays in `.superseded` as long as a replaced day does, so that its readers can finish.
    """
    data, name = make_folder(root, dataset, layout.DATA), layout.day_name(day)
    attempt = layout.attempt_name(day, secrets.token_hex(8))
    moved = make_folder(root, dataset, layout.SUPERSEDED) / attempt
    with translate_os_errors(data):
        os.utime(data / name)  # `cleanup` counts its age from now
        os.rename(data / name, moved)
    sync_folder(data)


def remove_quarantine(root: Path, dataset: str, day: str) -> None:
    """Remove the rejected rows of a day, without a grace period."""
    home = make_folder(root, dataset, layout.QUARANTINE)
    scratch = make_folder(root, dataset, layout.SUPERSEDED)
    moved = scratch / f"quarantine.{secrets.token_hex(8)}"
    with translate_os_errors(home):
        os.rename(home / layout.day_name(day), moved)
    sync_folder(home)
    shutil.rmtree(moved, ignore_errors=True)  # `cleanup` removes what is left


def replaced_exports(root: Path, dataset: str) -> list[tuple[str, str]]:
    """(day, name) of the replaced exports that are kept for their rows, oldest day first."""
    folder = layout.dataset_folder(root, dataset) / layout.REPLACED
    with translate_os_errors(folder, "read"):
        names = sorted(os.listdir(folder)) if folder.is_dir() else []  # noqa: PTH208 - names only
    return [(layout.day_of_attempt(name), name) for name in names if layout.is_of_one_day(name)]


def remove_replaced(root: Path, dataset: str, name: str) -> bool:
    """Remove a replaced export; False when it is gone."""
    kept = make_folder(root, dataset, layout.REPLACED) / name
    scratch = make_folder(root, dataset, layout.SUPERSEDED) / f"replaced.{secrets.token_hex(8)}"
    try:
        with translate_os_errors(kept):
            os.rename(kept, scratch)
    except OutputUnavailableError:
        if kept.exists():
            raise
        return False
    sync_folder(kept.parent)
    shutil.rmtree(scratch, ignore_errors=True)  # `cleanup` removes what is left
    return True


def remove_superseded(root: Path, dataset: str, day: str | None) -> None:
    """Remove replaced exports that are kept for their readers, of a day or of all days."""
    _remove_of_day(make_folder(root, dataset, layout.SUPERSEDED), day)


def drop_earlier(root: Path, dataset: str, day: str) -> None:
    """Remove every earlier export of a day that was just published. Raises nothing.

    The day is published, so its run must not fail. `exporter erase` finds what is left.
    """
    for kind in (layout.SUPERSEDED, layout.REPLACED):
        with suppress(OSError, OutputUnavailableError):
            _remove_of_day(make_folder(root, dataset, kind), day)


def _remove_of_day(folder: Path, day: str | None) -> None:
    with translate_os_errors(folder):
        for entry in folder.iterdir():
            if day is not None and layout.day_of_attempt(entry.name) != day:
                continue
            _remove_completely(entry)
        sync_folder(folder)


def _remove_completely(entry: Path) -> None:
    """Remove a folder or a file, also while an export or another `exporter erase` removes it."""
    while os.path.lexists(entry):
        with suppress(FileNotFoundError):  # the other one was faster with a part of it
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
