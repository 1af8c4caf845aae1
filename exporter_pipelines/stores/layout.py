"""Every name and path below the output folder, in one place.

    <root>/<dataset>/data/date=<day>/          the published day: data files and `_manifest.json`
    <root>/<dataset>/quarantine/date=<day>/    rejected rows
    <root>/<dataset>/removed/date=<day>.json   what was removed from a day, when and why
    <root>/<dataset>/README.md, schema.*       the dataset card and its schemas
    <root>/<dataset>/.staging/<attempt>/       a day that is being written, with a lock beside it
    <root>/<dataset>/.superseded/<attempt>/    replaced days, kept for readers that still list them
    <root>/<dataset>/.locks/date=<day>         the lock that serialises the switch of one day
    <root>/<dataset>/.fingerprints/            hashes of source rows, readable by their owner only
    <root>/.runs/<run id>.lock                 held while the process of a run lives
    <root>/report/                             export reports

Hidden names are outside `data/`, which tools scan as a whole.
Belongs here: names, patterns and paths. Does not belong here: reading or writing anything.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from pathlib import Path

from exporter_pipelines.contracts.dataset import DATASET_NAME
from exporter_pipelines.errors import ConfigurationError

DATA = "data"
QUARANTINE = "quarantine"
REMOVED = "removed"
STAGING = ".staging"
SUPERSEDED = ".superseded"
LOCKS = ".locks"
FINGERPRINTS = ".fingerprints"
DATASET_FOLDERS = {DATA, QUARANTINE, REMOVED, STAGING, SUPERSEDED, LOCKS, FINGERPRINTS}

RUNS = ".runs"
REPORT = "report"
NOT_DATASETS = {REPORT, "lost+found"}
"""Folders of the root that are no dataset's; no dataset may be called `report`."""

_DAY_FOLDER = re.compile(r"date=(\d{4}-\d{2}-\d{2})")


def dataset_folder(root: Path, dataset: str) -> Path:
    """The folder of a dataset.

    Raises:
        ConfigurationError: the name could lead out of the root.
    """
    if not re.fullmatch(DATASET_NAME, dataset):
        raise ConfigurationError(
            f"{dataset!r} cannot be the name of a dataset.",
            "Names are small letters, digits and underscores.",
        )
    return root / dataset


def day_name(day: str) -> str:
    """Name of the folder of a day, `date=2026-11-01`.

    Raises:
        ConfigurationError: it is not a day.
    """
    try:
        return f"date={dt.date.fromisoformat(day).isoformat()}"
    except ValueError:
        raise ConfigurationError(f"{day!r} is not a day.", "Write it as YYYY-MM-DD.") from None


def day_of(name: str) -> str | None:
    """The day of a folder's name; None when the name is not one of a day."""
    match = _DAY_FOLDER.fullmatch(name)
    try:
        return dt.date.fromisoformat(match[1]).isoformat() if match else None
    except ValueError:
        return None


def day_folder(root: Path, dataset: str, day: str) -> Path:
    """Where a day is published."""
    return dataset_folder(root, dataset) / DATA / day_name(day)


def quarantine_folder(root: Path, dataset: str, day: str) -> Path:
    """Where the rejected rows of a day are kept."""
    return dataset_folder(root, dataset) / QUARANTINE / day_name(day)


def tombstone_name(day: str) -> str:
    """Name of the file in `removed/` that describes what was removed from a day."""
    return f"{day_name(day)}.json"


def attempt_name(day: str, generation: str) -> str:
    """Name of the staging folder of an attempt, and of the replaced day it becomes."""
    return f"{day_name(day)}.{generation}"


def day_of_attempt(attempt: str) -> str:
    """The day of `attempt_name`."""
    return attempt.partition(".")[0].removeprefix("date=")


def data_file_name(
    dataset: str, day: str, suffix: str, *, generation: str = "", part: int | None = None
) -> str:
    """Name of a data file.

    Args:
        dataset, day: Whose.
        suffix: Of format and compression, `.jsonl.gz`.
        generation: Of the attempt, for a day of several files: a reader that has listed the parts
            of one export must not open those of another.
        part: Number from 0, for a day of several files.
    """
    stem = f"{dataset}-{day}"
    return f"{stem}{suffix}" if part is None else f"{stem}.{generation}.part-{part:05}{suffix}"


def data_file_pattern(dataset: str, day: str, suffix: str) -> re.Pattern[str]:
    """Matches what `data_file_name` gives."""
    stem = re.escape(f"{dataset}-{day}")
    return re.compile(rf"{stem}(\.[0-9a-f]+\.part-\d{{5,}})?{re.escape(suffix)}")


def quarantine_stem(dataset: str, day: str, run_id: str, generation: str) -> str:
    """Name of a quarantine file without its suffix.

    The run's id leads to its page; the generation keeps two attempts of one run apart.
    """
    return f"{dataset}-{day}.{run_id[:8]}-{generation[:8]}"


def quarantine_path(day: str, name: str) -> str:
    """A quarantine file as the manifest names it, relative to the dataset's folder."""
    return f"{QUARANTINE}/{day_name(day)}/{name}"


def quarantine_pattern(
    dataset: str, day: str, suffixes: Iterable[str], *, with_folder: bool = False
) -> re.Pattern[str]:
    """Matches quarantine files of a day.

    Args:
        dataset, day: Whose.
        suffixes: Ends of a name after `.jsonl`: those of the compressions, "" among them.
        with_folder: Whether the name is `quarantine_path`.
    """
    before = f"{QUARANTINE}/date={day}/" if with_folder else ""
    ends = "|".join(map(re.escape, suffixes))
    return re.compile(rf"{re.escape(before + dataset)}-{day}\.[A-Za-z0-9-]+\.jsonl({ends})")


def fingerprint_name(day: str, generation: str) -> str:
    """Name of the file that holds the fingerprint of one generation of a day."""
    return f"{day_name(day)}.{generation[:16]}"


def run_lock(root: Path, run_id: str) -> Path:
    """The lock file of a run."""
    return root / RUNS / f"{run_id}.lock"


def report_page(root: Path, day: str) -> Path:
    """Where the report of a day is."""
    return root / REPORT / f"date={day}" / f"export-report-{day}.html"


def report_index(root: Path) -> Path:
    """Where the newest report always is."""
    return root / REPORT / "index.html"
