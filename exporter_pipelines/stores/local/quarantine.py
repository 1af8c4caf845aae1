"""The folder of a day's rejected rows. Everything here is called while the day's lock is held."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import explained, make_folder, sync_folder
from exporter_pipelines.stores.local.staging import LocalStaging


def keep_quarantine(staging: LocalStaging, name: str) -> Path:
    """Move a staged quarantine file to its place, and return where it is now."""
    day = layout.day_name(staging.day)
    folder = make_folder(staging.root, staging.dataset, layout.QUARANTINE, day)
    with explained(folder):
        os.rename(staging.folder / name, folder / name)
        sync_folder(folder)
    return folder / name


def drop_quarantine(root: Path, dataset: str, day: str, name: str) -> None:
    """Remove a quarantine file whose day was not published after all. Raises nothing."""
    with suppress(OSError):
        (layout.quarantine_folder(root, dataset, day) / name).unlink()


def reap_quarantine(root: Path, dataset: str, day: str, *, keep: set[str]) -> None:
    """Remove quarantine files of earlier attempts.

    Nothing is removed through a symbolic link. What cannot be removed is left to the next run:
    the day is published or held by now, and its run must not fail any more.
    """
    folder = layout.quarantine_folder(root, dataset, day)
    if folder.resolve() != layout.quarantine_folder(root.resolve(), dataset, day):
        return
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name not in keep and not file.is_dir():
            with suppress(OSError):
                file.unlink()


def reap_beside_held(
    kept: Path, root: Path, dataset: str, day: str, published: bytes | None
) -> None:
    """Remove the quarantines of earlier attempts, but not that of the published day.

    Args:
        kept: The quarantine of the day that was just held.
        root, dataset, day: Whose.
        published: Manifest of the published day. Which quarantine a damaged one names cannot be
            known, and then all of them stay.
    """
    manifest = Manifest.if_readable(published)
    if manifest or published is None:
        named = Path(manifest.quarantine.path).name if manifest and manifest.quarantine else ""
        reap_quarantine(root, dataset, day, keep={kept.name, named})
