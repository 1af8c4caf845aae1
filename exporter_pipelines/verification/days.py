"""Published days read again: every byte, row and name against the manifests.

Changes nothing and takes no lock. A day is read through the descriptor of its folder, so what is
read is of one generation; a finding on a folder that was replaced meanwhile is not reported, and
the day is read anew.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from exporter_pipelines.contracts.dataset import DATASET_NAME
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.stores import LocalStore, layout
from exporter_pipelines.stores.local.files import FILE_MODE, FOLDER_MODE
from exporter_pipelines.stores.local.published_day import LocalPublishedDay
from exporter_pipelines.verification.files import (
    verify_file,
    verify_quarantine,
    verify_quarantine_folder,
)
from exporter_pipelines.verification.manifest import as_written, contradictions, parse_manifest
from exporter_pipelines.verification.report import Report

_TRIES = 100
"""Of a day that is replaced again and again while it is read."""


def datasets_below(root: Path) -> list[str]:
    """Names of the folders in the output; hidden ones are nobody's exports."""
    if not root.is_dir():
        return []
    return sorted(
        entry.name
        for entry in root.iterdir()
        if not entry.name.startswith(".")
        and entry.name not in layout.NOT_DATASETS
        and (entry.is_dir() or entry.is_symlink())
    )


def verify_folders(
    store: LocalStore, dataset: str, known: Iterable[str]
) -> tuple[Report, list[str]]:
    """Look at the folders of a dataset.

    Args:
        store: Where.
        dataset: Name of a folder.
        known: Names of the project's datasets and presets.

    Returns:
        What was found, and the days whose folders are there, oldest first.
    """
    report = Report(store.root, dataset)
    home = store.root / dataset
    if dataset not in known:
        report.add(
            "unknown_dataset",
            home,
            "belongs to no dataset of this project",
            "Remove it, or define the dataset that wrote it.",
        )
    if not re.fullmatch(DATASET_NAME, dataset):
        return report, []
    if not _folder(home, report):
        return report, []
    for entry in _entries(home, report):
        _look_beside(entry, report)
    days = _days(home / layout.DATA, report)
    for day in sorted({*_days(home / layout.QUARANTINE, report)} - {*days}):
        # Held, and never published.
        verify_quarantine_folder(store, store.quarantine_folder(dataset, day), day, report)
    return report, days


def verify_day(
    store: LocalStore, dataset: str, day: str, *, quick: bool = False
) -> tuple[Report, Manifest | None]:
    """Read a published day again.

    Args:
        store: Where.
        dataset: Name of its folder.
        day: `YYYY-MM-DD`.
        quick: Names, modes, sizes and the manifest only; no file is read.

    Returns:
        What was found, and the manifest that was found in order. A day that is gone meanwhile
        has neither findings nor a manifest.
    """
    for _ in range(_TRIES):
        report = Report(store.root, dataset, day)
        try:
            folder = store.published_day(dataset, day)
        except FileNotFoundError:
            return report, None
        except OSError as error:
            report.add_error(store.day_folder(dataset, day), error)
            return report, None
        with folder:
            manifest = _look(store, folder, report, quick=quick)
            if not report.findings or folder.is_current():
                return report, manifest
    return report, manifest


def _look(
    store: LocalStore, folder: LocalPublishedDay, report: Report, *, quick: bool
) -> Manifest | None:
    try:
        names = folder.names()
    except OSError as error:
        report.add_error(folder.path, error)
        return None
    report.look_at_mode(folder.path, folder.folder_stat(), FOLDER_MODE)
    day = layout.day_of(folder.path.name) or ""
    verify_quarantine_folder(store, store.quarantine_folder(report.dataset, day), day, report)
    manifest = _manifest(folder, report)
    if manifest is None:
        return None
    expected = {MANIFEST_NAME, *(entry.path for entry in manifest.files)}
    for name in names:
        if name not in expected:
            hint = "Remove it; tools that scan data/ read it."
            report.add("foreign", folder.path / name, "is not in the manifest", hint)
    for entry in manifest.files:
        verify_file(folder, manifest, entry, report, quick=quick)
    if manifest.quarantine:
        verify_quarantine(store, manifest, manifest.quarantine, report, quick=quick)
    return None if report.failed else manifest


def _manifest(folder: LocalPublishedDay, report: Report) -> Manifest | None:
    """A manifest by which files can be judged, or None and why."""
    path = folder.path / MANIFEST_NAME
    try:
        with folder.open(MANIFEST_NAME) as file:
            report.look_at_mode(path, os.fstat(file.fileno()), FILE_MODE)
            data = file.read()
    except FileNotFoundError:
        report.add("manifest_missing", path, "is missing")
        return None
    except OSError as error:
        report.add_error(path, error)
        return None
    manifest = parse_manifest(data)
    if isinstance(manifest, str):
        report.add("manifest_damaged", path, f"is not as it was written: {manifest}")
        return None
    if manifest.manifest_sha256 is None and not as_written(manifest, data):
        report.add("manifest_damaged", path, "is not as it was written")
        return None
    assert report.day is not None
    wrong = list(contradictions(manifest, report.dataset, report.day))
    for sentence in wrong:
        report.add("manifest_wrong", path, sentence)
    if manifest.manifest_sha256 is None:
        message = "has no checksum of its own; an earlier version wrote it"
        report.add("manifest_unsealed", path, message, level="warn")
    return None if wrong else manifest


def _folder(path: Path, report: Report) -> bool:
    """Whether a folder of ours is one."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(facts.st_mode):
        report.add("symbolic_link", path, "is a symbolic link", "Remove it.")
        return False
    if not stat.S_ISDIR(facts.st_mode):
        report.add("foreign", path, "is not a folder", "Remove it.")
        return False
    report.look_at_mode(path, facts, FOLDER_MODE)
    return True


def _entries(folder: Path, report: Report) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        report.add_error(folder, error)
        return []


def _look_beside(entry: Path, report: Report) -> None:
    """What lies beside `data/` may be anything but a folder of unknown purpose or a link."""
    if entry.is_symlink():
        if entry.name not in (layout.DATA, layout.QUARANTINE):  # those are looked at by themselves
            report.add("symbolic_link", entry, "is a symbolic link", "Remove it.")
    elif entry.is_dir() and entry.name not in layout.DATASET_FOLDERS:
        report.add("foreign", entry, "is a folder that no export makes", "Remove it.")


def _days(folder: Path, report: Report) -> list[str]:
    """The days whose folders lie in `data/` or `quarantine/`; all else there is foreign."""
    days = []
    for entry in _entries(folder, report) if _folder(folder, report) else []:
        if day := layout.day_of(entry.name):
            days.append(day)
        else:
            report.add("foreign", entry, "is no day of an export", "Remove it.")
    return days
