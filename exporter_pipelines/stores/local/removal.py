"""Removes published days and quarantines, each in one rename, and leaves a tombstone.

The tombstone is written first: whatever happens afterwards, nothing is gone without one.
Everything but `read_tombstone` is called while the day's lock is held.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import explained, make_folder, replace_file, sync_folder


def read_tombstone(root: Path, dataset: str, day: str) -> bytes | None:
    """The tombstone of a day, or None."""
    path = root / dataset / layout.REMOVED / layout.tombstone_name(day)
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_tombstone(root: Path, dataset: str, day: str, content: bytes) -> None:
    """Write or replace the tombstone of a day."""
    folder = make_folder(root, dataset, layout.REMOVED)
    # Where what a killed process left is reaped after the grace.
    scratch = make_folder(root, dataset, layout.SUPERSEDED)
    replace_file(
        folder / layout.tombstone_name(day), scratch / f"tombstone.{secrets.token_hex(8)}", content
    )
    sync_folder(folder)


def withdraw_day(root: Path, dataset: str, day: str) -> None:
    """Make a published day invisible.

    It stays in `.superseded` for the grace of a replaced day, so that its readers can finish.
    """
    data, name = make_folder(root, dataset, layout.DATA), layout.day_name(day)
    attempt = layout.attempt_name(day, secrets.token_hex(8))
    gone = make_folder(root, dataset, layout.SUPERSEDED) / attempt
    with explained(data):
        os.utime(data / name)  # its grace begins now
        os.rename(data / name, gone)
    sync_folder(data)


def withdraw_quarantine(root: Path, dataset: str, day: str) -> None:
    """Remove the rejected rows of a day at once."""
    home = make_folder(root, dataset, layout.QUARANTINE)
    scratch = make_folder(root, dataset, layout.SUPERSEDED)
    gone = scratch / f"quarantine.{secrets.token_hex(8)}"
    with explained(home):
        os.rename(home / layout.day_name(day), gone)
    sync_folder(home)
    shutil.rmtree(gone, ignore_errors=True)  # what cannot go now is reaped after the grace
