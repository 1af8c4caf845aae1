"""Reads published days again and compares every byte, row and name with the manifests.

Changes nothing and takes no lock. A day is read through the descriptor of its folder, so everything
that is read belongs to one generation. If the folder was replaced in the meantime, its findings are
dropped and the day is read again.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from exporter_pipelines.contracts.dataset import DATASET_NAME
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.contracts.store import generation_of
from exporter_pipelines.stores import LocalStore, layout
from exporter_pipelines.stores.local.files import FILE_MODE, FOLDER_MODE
from exporter_pipelines.stores.local.published_day import LocalPublishedDay, content_of
from exporter_pipelines.verification.files import (
    verify_file,
    verify_nulls,
    verify_quarantine,
    verify_quarantine_folder,
    verify_schema_file,
)
from exporter_pipelines.verification.manifest import as_written, contradictions, parse_manifest
from exporter_pipelines.verification.report import VerifyReport

_TRIES = 100
"""Maximum number of attempts for a day that is replaced while it is read."""


def datasets_below(root: Path) -> list[str]:
    """Names of the visible folders in the output folder."""
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
) -> tuple[VerifyReport, list[str]]:
    """Check the folders of a dataset.

    Args:
        store: Contains the dataset.
        dataset: Name of its folder.
        known: Names of all datasets and presets of the project.

    Returns:
        The findings, and the days with a folder, oldest first.
    """
    report = VerifyReport(store.root, dataset)
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
        _verify_other_entry(entry, report)
    days = _days(home / layout.DATA, report)
    for day in sorted({*_days(home / layout.QUARANTINE, report)} - {*days}):
        # Held days that were never published.
        verify_quarantine_folder(store, store.quarantine_folder(dataset, day), day, report)
    return report, days


def verify_day(
    store: LocalStore, dataset: str, day: str, *, quick: bool = False
) -> tuple[VerifyReport, Manifest | None]:
    """Read a published day again.

    Args:
        store: Contains the dataset.
        dataset: Name of its folder.
        day: `YYYY-MM-DD`.
        quick: Check only names, modes, sizes and the manifest; read no data file.

    Returns:
        The findings, and the manifest if there are no failures. A day that was removed in the
        meantime has neither.
    """
    for _ in range(_TRIES):
        report = VerifyReport(store.root, dataset, day)
        try:
            folder = store.published_day(dataset, day)
        except FileNotFoundError:
            return report, None
        except OSError as error:
            report.add_error(store.day_folder(dataset, day), error)
            return report, None
        with folder:
            manifest = _verify_contents(store, folder, report, quick=quick)
            if not report.findings or folder.is_current():
                return report, manifest
    return report, manifest


def _verify_contents(
    store: LocalStore, folder: LocalPublishedDay, report: VerifyReport, *, quick: bool
) -> Manifest | None:
    try:
        names = folder.names()
    except OSError as error:
        report.add_error(folder.path, error)
        return None
    report.check_mode(folder.path, folder.folder_stat(), FOLDER_MODE)
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
    nulls = [verify_file(folder, manifest, file, report, quick=quick) for file in manifest.files]
    path = folder.path / MANIFEST_NAME
    if not quick and None not in nulls:
        verify_nulls(path, manifest, sum(filter(None, nulls), Counter()), report)
    verify_schema_file(store, manifest, report)
    if manifest.quarantine:
        verify_quarantine(store, manifest, manifest.quarantine, report, quick=quick)
    return None if report.failed else manifest


def _manifest(folder: LocalPublishedDay, report: VerifyReport) -> Manifest | None:
    """The manifest, if it is intact; otherwise None, with a finding."""
    path = folder.path / MANIFEST_NAME
    try:
        with folder.open(MANIFEST_NAME) as file:
            report.check_mode(path, os.fstat(file.fileno()), FILE_MODE)
            data = content_of(file)
    except FileNotFoundError:
        report.add("manifest_missing", path, "is missing")
        return None
    except OSError as error:
        report.add_error(path, error)
        return None
    report.generation = generation_of(data)
    manifest = parse_manifest(data)
    if isinstance(manifest, str):
        report.add("manifest_damaged", path, f"was changed after it was written: {manifest}")
        return None
    if manifest.manifest_sha256 is None and not as_written(manifest, data):
        report.add("manifest_damaged", path, "was changed after it was written")
        return None
    assert report.day is not None
    wrong = list(contradictions(manifest, report.dataset, report.day))
    for sentence in wrong:
        report.add("manifest_wrong", path, sentence)
    if manifest.manifest_sha256 is None:
        message = "has no checksum; an earlier version wrote it"
        report.add("manifest_unsealed", path, message, level="warn")
    return None if wrong else manifest


def _folder(path: Path, report: VerifyReport) -> bool:
    """Whether the path is a folder; adds a finding if it is something else."""
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
    report.check_mode(path, facts, FOLDER_MODE)
    return True


def _entries(folder: Path, report: VerifyReport) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        report.add_error(folder, error)
        return []


def _verify_other_entry(entry: Path, report: VerifyReport) -> None:
    """Report unknown folders and links next to `data/`; plain files are allowed."""
    if entry.is_symlink():
        if entry.name not in (layout.DATA, layout.QUARANTINE):  # checked separately
            report.add("symbolic_link", entry, "is a symbolic link", "Remove it.")
    elif entry.is_dir() and entry.name not in layout.DATASET_FOLDERS:
        report.add("foreign", entry, "is not a folder of an export", "Remove it.")


def _days(folder: Path, report: VerifyReport) -> list[str]:
    """The days with a folder in `data/` or `quarantine/`; everything else is reported."""
    days = []
    for entry in _entries(folder, report) if _folder(folder, report) else []:
        if day := layout.day_of(entry.name):
            days.append(day)
        else:
            report.add("foreign", entry, "is not a day of an export", "Remove it.")
    return days
