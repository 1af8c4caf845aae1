"""The name of every object of an output in a bucket.

    <dataset>/manifests/date=<day>.json            the pointer: publishes the day, see `pointers`
    <dataset>/generations/date=<day>/<attempt>/    data files of one export; never changed
    <dataset>/data/date=<day>/                     the view: a copy of the published data files
    <dataset>/quarantine/date=<day>/               rejected rows
    <dataset>/attempts/date=<day>/<attempt>.<base> an attempt, and which one it replaces
    <dataset>/replaced/<attempt name>/             replaced exports that had more rows
    <dataset>/removed/date=<day>.json              what was removed from a day, when and why
    <dataset>/fingerprints/date=<day>/<generation> hashes of source rows, private
    <dataset>/README.md, schema.*, croissant.json  the dataset card and its schemas
    <dataset>/_changes.jsonl                       which days have another content than before
    .ledger/<dataset>/date=<day>/<entry>           what happened to a day, private
    .ledger/<dataset>/dataset/<entry>              what happened to a dataset
    .exporter-output.json                          identifies the output
    .exporter-conditions/                          test objects, see `conditions`
    report/                                        export reports
    training_sets/<name>/                          training sets

Names are the same as on disk where the thing is the same. `data/` has only what a glob may read.
"""

from __future__ import annotations

import re
from pathlib import Path

from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.stores import layout

MANIFESTS = "manifests"
GENERATIONS = "generations"
ATTEMPTS = "attempts"
REPLACED = "replaced"
FINGERPRINTS = "fingerprints"
NO_BASE = "none"
FOLDERS = {
    MANIFESTS, GENERATIONS, ATTEMPTS, REPLACED, FINGERPRINTS,
    layout.DATA, layout.QUARANTINE, layout.REMOVED,
}  # fmt: skip
"""What is directly below a dataset, apart from its card and schemas."""

POINTER_COPY = "_pointer.json"
"""In a replaced export: the pointer that it had."""


def home(dataset: str) -> str:
    """The prefix of a dataset.

    Raises:
        ConfigurationError: it cannot be the name of a dataset.
    """
    if not re.fullmatch(DATASET_NAME, dataset):
        raise ConfigurationError(
            f"{dataset!r} cannot be the name of a dataset.",
            "Use lower-case letters, digits and underscores.",
        )
    return dataset


def manifests(dataset: str) -> str:
    """The prefix of all pointers of a dataset."""
    return f"{home(dataset)}/{MANIFESTS}"


def pointer(dataset: str, day: str) -> str:
    """The pointer of a day."""
    return f"{manifests(dataset)}/{layout.day_name(day)}.json"


def generation(dataset: str, day: str, attempt: str) -> str:
    """The prefix of the data files of one attempt."""
    return f"{home(dataset)}/{GENERATIONS}/{layout.day_name(day)}/{attempt}"


def view(dataset: str, day: str) -> str:
    """The prefix of a day for globs."""
    return f"{home(dataset)}/{layout.DATA}/{layout.day_name(day)}"


def quarantine(dataset: str, day: str) -> str:
    """The prefix of the rejected rows of a day."""
    return f"{home(dataset)}/{layout.QUARANTINE}/{layout.day_name(day)}"


def attempts(dataset: str, day: str | None = None) -> str:
    """The prefix of the attempts at a day, or of all attempts of a dataset."""
    prefix = f"{home(dataset)}/{ATTEMPTS}"
    return f"{prefix}/{layout.day_name(day)}" if day else prefix


def attempt(dataset: str, day: str, name: str, base: str | None) -> str:
    """The object that exists while an attempt may still need to be cleaned up."""
    return f"{attempts(dataset, day)}/{name}.{base or NO_BASE}"


def replaced(dataset: str, name: str = "") -> str:
    """The prefix of a replaced export, or of all of a dataset."""
    prefix = f"{home(dataset)}/{REPLACED}"
    return f"{prefix}/{name}" if name else prefix


def tombstone(dataset: str, day: str) -> str:
    """The tombstone of a day."""
    return f"{home(dataset)}/{layout.REMOVED}/{layout.tombstone_name(day)}"


def fingerprints(dataset: str, day: str) -> str:
    """The prefix of the fingerprints of a day."""
    return f"{home(dataset)}/{FINGERPRINTS}/{layout.day_name(day)}"


def fingerprint(dataset: str, day: str, generation_hash: str) -> str:
    """The fingerprint of one generation of a day."""
    return f"{fingerprints(dataset, day)}/{generation_hash}"


def ledger(dataset: str, day: str | None) -> str:
    """The prefix of the ledger of a day; for `None`, of the dataset."""
    return f"{layout.LEDGER}/{home(dataset)}/{layout.day_name(day) if day else 'dataset'}"


def report(day: str | None) -> str:
    """The export report of a day; for `None`, the newest."""
    page = layout.report_page(Path(), day) if day else layout.report_index(Path())
    return page.as_posix()


def versions(name: str) -> str:
    """The prefix of the versions of a training set."""
    return f"{layout.TRAINING_SETS}/{home(name)}"
