"""Every name and path below the output folder, in one place.

    <root>/<dataset>/data/date=<day>/          the published day: data files and `_manifest.json`
    <root>/<dataset>/quarantine/date=<day>/    rejected rows
    <root>/<dataset>/removed/date=<day>.json   what was removed from a day, when and why
    <root>/<dataset>/README.md, schema.*, croissant.json   the dataset card and its schemas
    <root>/<dataset>/_changes.jsonl            which days have another content than before
    <root>/<dataset>/.staging/<attempt>/       a day being written, next to `<attempt>.lock`
    <root>/<dataset>/.superseded/<attempt>/    replaced days, kept an hour for their readers
    <root>/<dataset>/.replaced/<attempt>/      replaced days that had more rows, kept for weeks
    <root>/<dataset>/.locks/date=<day>         lock that is held while the day is switched
    <root>/<dataset>/.locks/dataset_files      lock that is held while card and schemas are replaced
    <root>/<dataset>/.fingerprints/            hashes of source rows, readable by their owner only
    <root>/.ledger/<dataset>/date=<day>.jsonl  what happened to a day (`contracts.ledger`), private
    <root>/.ledger/<dataset>/dataset.jsonl     what happened to a dataset
    <root>/.exporter-output.json               marks an output folder and identifies it
    <root>/report/                             export reports
    <root>/training_sets/<name>/               training sets, see `stores.local.versions`

Hidden folders are outside `data/`, because tools scan all of `data/`.
Belongs here: names, patterns and paths. Does not belong here: reading or writing anything.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from pathlib import Path

from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.errors import ConfigurationError

DATA = "data"
QUARANTINE = "quarantine"
REMOVED = "removed"
STAGING = ".staging"
SUPERSEDED = ".superseded"
REPLACED = ".replaced"
LOCKS = ".locks"
FINGERPRINTS = ".fingerprints"
DATASET_FOLDERS = {DATA, QUARANTINE, REMOVED, STAGING, SUPERSEDED, REPLACED, LOCKS, FINGERPRINTS}

LEDGER = ".ledger"
MARKER = ".exporter-output.json"
REPORT = "report"
TRAINING_SETS = "training_sets"
NOT_DATASETS = {REPORT, TRAINING_SETS, "lost+found"}
"""Folders of the root that do not belong to a dataset. The first two are not allowed as a name."""

_DAY_FOLDER = re.compile(r"date=(\d{4}-\d{2}-\d{2})")


def dataset_folder(root: Path, dataset: str) -> Path:
    """The folder of a dataset.

    Raises:
        ConfigurationError: the name could lead out of the root.
    """
    if not re.fullmatch(DATASET_NAME, dataset):
        raise ConfigurationError(
            f"{dataset!r} cannot be the name of a dataset.",
            "Use lower-case letters, digits and underscores.",
        )
    return root / dataset


def day_name(day: str) -> str:
    """Name of the folder of a day, `date=2026-11-01`.

    Raises:
        ConfigurationError: `day` is not a date.
    """
    try:
        return f"date={dt.date.fromisoformat(day).isoformat()}"
    except ValueError:
        raise ConfigurationError(f"{day!r} is not a day.", "Write it as YYYY-MM-DD.") from None


def day_of(name: str) -> str | None:
    """The day in the name of a folder; None when the name is not `date=<day>`."""
    match = _DAY_FOLDER.fullmatch(name)
    try:
        return dt.date.fromisoformat(match[1]).isoformat() if match else None
    except ValueError:
        return None


def is_of_one_day(name: str) -> bool:
    """Whether a file or folder of this name concerns one day only: the day, or an attempt at it."""
    return name.startswith("date=")


def day_path(dataset: str, day: str) -> str:
    """Where a day is published, relative to the root; a URL ends with it, too."""
    return f"{dataset}/{DATA}/{day_name(day)}"


def quarantine_folder_path(dataset: str, day: str) -> str:
    """Where the rejected rows of a day are kept, relative to the root."""
    return f"{dataset}/{QUARANTINE}/{day_name(day)}"


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
    """Name of an attempt's staging folder. A day that it replaces is kept under the same name."""
    return f"{day_name(day)}.{generation}"


def day_of_attempt(attempt: str) -> str:
    """The day in an `attempt_name`."""
    return attempt.partition(".")[0].removeprefix("date=")


def data_file_name(
    dataset: str, day: str, suffix: str, *, generation: str = "", part: int | None = None
) -> str:
    """Name of a data file.

    Args:
        dataset, day: What the file holds.
        suffix: Of format and compression, `.jsonl.gz`.
        generation: Of the attempt; used when a day has several files. It keeps a reader that
            listed the parts of one export from opening those of the next.
        part: Number from 0; None when the day has one file.
    """
    stem = f"{dataset}-{day}"
    return f"{stem}{suffix}" if part is None else f"{stem}.{generation}.part-{part:05}{suffix}"


def data_file_pattern(dataset: str, day: str, suffix: str) -> re.Pattern[str]:
    """Matches the names that `data_file_name` returns."""
    stem = re.escape(f"{dataset}-{day}")
    return re.compile(rf"{stem}(\.[0-9a-f]+\.part-\d{{5,}})?{re.escape(suffix)}")


def quarantine_stem(dataset: str, day: str, run_id: str, generation: str) -> str:
    """Name of a quarantine file without its suffix.

    It holds the run id, to find the run's page, and the generation, since one run may attempt a
    day twice.
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
        dataset, day: What the files hold.
        suffixes: Of the compressions, "" among them.
        with_folder: Match a `quarantine_path` instead of a file name.
    """
    before = f"{QUARANTINE}/date={day}/" if with_folder else ""
    ends = "|".join(map(re.escape, suffixes))
    return re.compile(rf"{re.escape(before + dataset)}-{day}\.[A-Za-z0-9-]+\.jsonl({ends})")


def ledger_folder(root: Path, dataset: str) -> Path:
    """The folder of a dataset's ledger."""
    return root / LEDGER / dataset_folder(root, dataset).name


def ledger_file(root: Path, dataset: str, day: str | None) -> Path:
    """The ledger of a day; for `None`, of the dataset."""
    return ledger_folder(root, dataset) / f"{day_name(day) if day else 'dataset'}.jsonl"


def day_of_ledger_file(name: str) -> str | None:
    """The day in the name of a ledger file; None for that of the dataset."""
    return day_of(name.removesuffix(".jsonl"))


def report_page(root: Path, day: str) -> Path:
    """Path of the report of a day."""
    return root / REPORT / f"date={day}" / f"export-report-{day}.html"


def report_index(root: Path) -> Path:
    """Path of the newest report."""
    return root / REPORT / "index.html"
