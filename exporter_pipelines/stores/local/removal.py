"""Taking published days and quarantines away, each in one rename, with a tombstone left behind.

    <root>/<dataset>/removed/date=<day>.json  what was removed from a day, when and why

The tombstone is written first: whatever happens afterwards, nothing is gone without one.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from exporter_pipelines.stores.local.files import explained, make_folder, replace_file, sync_folder
from exporter_pipelines.stores.local.store import LocalStore


def tombstone_path(store: LocalStore, dataset: str, day: str) -> Path:
    """Where the tombstone of a day lies, or would."""
    return store.root / dataset / "removed" / f"date={day}.json"


def write_tombstone(store: LocalStore, dataset: str, day: str, content: bytes) -> None:
    """Write or replace the tombstone of a day. Call it inside `store.exclusive`."""
    folder = make_folder(store.root, dataset, "removed")
    path = folder / f"date={day}.json"
    # Where what a killed process left is reaped after the grace.
    new = make_folder(store.root, dataset, ".superseded") / f"tombstone.{secrets.token_hex(8)}"
    replace_file(path, new, content)
    sync_folder(folder)


def withdraw_day(store: LocalStore, dataset: str, day: str) -> None:
    """Take a published day out of sight. Call it inside `store.exclusive`.

    It lies in `.superseded` for the grace of a replaced day, so that who is reading it can finish.
    """
    data = make_folder(store.root, dataset, "data")
    gone = make_folder(store.root, dataset, ".superseded") / f"date={day}.{secrets.token_hex(8)}"
    with explained(data):
        os.utime(data / f"date={day}")  # its grace begins now
        os.rename(data / f"date={day}", gone)
    sync_folder(data)


def withdraw_quarantine(store: LocalStore, dataset: str, day: str) -> None:
    """Remove the rejected rows of a day at once. Call it inside `store.exclusive`."""
    home = make_folder(store.root, dataset, "quarantine")
    gone = make_folder(store.root, dataset, ".superseded") / f"quarantine.{secrets.token_hex(8)}"
    with explained(home):
        os.rename(home / f"date={day}", gone)
    sync_folder(home)
    shutil.rmtree(gone, ignore_errors=True)  # what cannot go now is reaped after the grace
