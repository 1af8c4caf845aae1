"""Reads published days again and compares every byte, row and name with the manifests.

Changes nothing and takes no lock. A day is read through the descriptor of its folder, so everything
that is read belongs to one generation. If the folder was replaced in the meantime, its findings are
dropped and the day is read again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.contracts.published_day import PublishedDay
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.quarantine import quarantine_pattern
from exporter_pipelines.stores import layout
from exporter_pipelines.verification.files import (
    verify_file,
    verify_nulls,
    verify_quarantine,
    verify_schema_file,
)
from exporter_pipelines.verification.manifest import as_written, contradictions, parse_manifest
from exporter_pipelines.verification.report import VerifyReport

_TRIES = 100
"""Maximum number of attempts for a day that is replaced while it is read."""


def verify_folders(
    store: Store, dataset: str, known: Iterable[str]
) -> tuple[VerifyReport, list[str]]:
    """Check the folders of a dataset.

    Args:
        store: Contains the dataset.
        dataset: Name of its folder.
        known: Names of all datasets and presets of the project.

    Returns:
        The findings, and the days with a folder, oldest first.
    """
    report = VerifyReport(dataset)
    if dataset not in known:
        report.add(
            "unknown_dataset",
            dataset,
            "belongs to no dataset of this project",
            "Remove it, or define the dataset that wrote it.",
        )
    if not re.fullmatch(DATASET_NAME, dataset):
        return report, []
    found = store.structure(dataset)
    report.add_misplaced(*found.misplaced)
    days = [*found.days]
    for day in sorted({*found.quarantined_days} - {*days}):  # held days without an export
        _verify_quarantine_place(store, day, report)
    return report, days


def verify_day(
    store: Store, dataset: str, day: str, *, quick: bool = False
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
        report = VerifyReport(dataset, day)
        try:
            folder = store.published_day(dataset, day)
        except FileNotFoundError:
            return report, None
        except OSError as error:
            report.add_error(layout.day_path(dataset, day), error)
            return report, None
        with folder:
            manifest = _verify_contents(store, folder, report, quick=quick)
            if not report.findings or folder.is_current():
                return report, manifest
    return report, manifest


def _verify_contents(
    store: Store, folder: PublishedDay, report: VerifyReport, *, quick: bool
) -> Manifest | None:
    day = report.day or ""
    home = layout.day_path(report.dataset, day)
    try:
        names = folder.names()
    except OSError as error:
        report.add_error(home, error)
        return None
    report.add_misplaced(folder.irregular())
    _verify_quarantine_place(store, day, report)
    manifest = _manifest(folder, report)
    if manifest is None:
        return None
    expected = {MANIFEST_NAME, *(entry.path for entry in manifest.files)}
    for name in names:
        if name not in expected:
            hint = "Remove it; tools that scan data/ read it."
            report.add("foreign", f"{home}/{name}", "is not in the manifest", hint)
    nulls = [verify_file(folder, manifest, file, report, quick=quick) for file in manifest.files]
    path = f"{home}/{MANIFEST_NAME}"
    if not quick and None not in nulls:
        verify_nulls(path, manifest, sum(filter(None, nulls), Counter()), report)
    verify_schema_file(store, manifest, report)
    if manifest.quarantine:
        verify_quarantine(store, manifest, manifest.quarantine, report, quick=quick)
    return None if report.failed else manifest


def _verify_quarantine_place(store: Store, day: str, report: VerifyReport) -> None:
    found = store.misplaced_quarantine(
        report.dataset, day, lambda: quarantine_pattern(report.dataset, day)
    )
    report.add_misplaced(*found)


def _manifest(folder: PublishedDay, report: VerifyReport) -> Manifest | None:
    """The manifest, if it is intact; otherwise None, with a finding."""
    path = f"{layout.day_path(report.dataset, report.day or '')}/{MANIFEST_NAME}"
    try:
        data = folder.read_small(MANIFEST_NAME)
        report.add_misplaced(folder.irregular(MANIFEST_NAME))
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
