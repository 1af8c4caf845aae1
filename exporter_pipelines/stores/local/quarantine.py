"""The quarantine folder of a day. The caller of each function holds the day's lock."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import make_folder, sync_folder, translate_os_errors
from exporter_pipelines.stores.local.staging import LocalStaging


def keep_quarantine(staging: LocalStaging, name: str) -> Path:
    """Move a staged quarantine file to the day's quarantine folder; returns its new path."""
    day = layout.day_name(staging.day)
    folder = make_folder(staging.root, staging.dataset, layout.QUARANTINE, day)
    with translate_os_errors(folder):
        os.rename(staging.folder / name, folder / name)
        sync_folder(folder)
    return folder / name


def drop_quarantine(root: Path, dataset: str, day: str, name: str) -> None:
    """Remove the quarantine file of a day whose switch failed. Raises nothing."""
    with suppress(OSError):
        (layout.quarantine_folder(root, dataset, day) / name).unlink()


def keep_old_quarantine(root: Path, dataset: str, day: str, *, keep: set[str], name: str) -> None:
    """Move quarantine files of earlier attempts to the replaced export that they belong to.

    Args:
        root, dataset, day: The day.
        keep: Files of the new export, which stay.
        name: Of the replaced export.
    """
    folder = layout.quarantine_folder(root, dataset, day)
    replaced = root / dataset / layout.REPLACED / name
    if folder.resolve() != layout.quarantine_folder(root.resolve(), dataset, day):
        return
    for file in folder.iterdir() if folder.is_dir() and replaced.is_dir() else ():
        if file.name not in keep and file.is_file() and not file.is_symlink():
            with suppress(OSError):  # as in `remove_old_quarantine`
                os.rename(file, replaced / file.name)


def remove_old_quarantine(root: Path, dataset: str, day: str, *, keep: set[str]) -> None:
    """Remove quarantine files of earlier attempts.

    Nothing is removed through a symbolic link. A file that cannot be removed stays until the next
    run: this day is already published or held, so its run must not fail.
    """
    folder = layout.quarantine_folder(root, dataset, day)
    if folder.resolve() != layout.quarantine_folder(root.resolve(), dataset, day):
        return
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name not in keep and not file.is_dir():
            with suppress(OSError):
                file.unlink()


def remove_quarantine_of_earlier_holds(
    kept: Path, root: Path, dataset: str, day: str, published: bytes | None
) -> None:
    """Remove the quarantine files of earlier attempts, except that of the published day.

    Args:
        kept: The quarantine file of the attempt that was just held.
        root, dataset, day: The day.
        published: Manifest of the published day. When it is damaged, nothing is removed, since it
            does not say which quarantine file belongs to the published day.
    """
    manifest = Manifest.if_readable(published)
    if manifest or published is None:
        named = Path(manifest.quarantine.path).name if manifest and manifest.quarantine else ""
        remove_old_quarantine(root, dataset, day, keep={kept.name, named})
