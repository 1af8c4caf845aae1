"""Training sets: the newest version of each, and its files."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.versions import Version
from exporter_pipelines.defs_files.training_sets import TrainingSets
from exporter_pipelines.engine.hashing import size_of
from exporter_pipelines.errors import (
    DayNotPublishedError,
    PublishedDayDamagedError,
    UnknownNameError,
)
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.downloads import Download, Part
from exporter_pipelines.service.models import TrainingSet, TrainingSetSplit
from exporter_pipelines.training.published_set import newest_set


def training_sets(context: ServiceContext) -> list[TrainingSet]:
    """All training sets by name, also those that are broken or not built yet."""
    found = sorted(TrainingSets(context.definitions), key=lambda each: each.name)
    return [
        _described(context, each.name, str(each.mistake) if each.mistake else None)
        for each in found
    ]


def training_set(context: ServiceContext, name: str) -> TrainingSet:
    """One training set.

    Raises:
        UnknownNameError: there is none of this name; the message lists the names.
    """
    for each in training_sets(context):
        if each.name == name:
            return each
    raise UnknownNameError("training set", name, TrainingSets(context.definitions).names())


def file_of(context: ServiceContext, name: str, path: str) -> Download:
    """A file of the newest version that its manifest names, or the manifest.

    Raises:
        UnknownNameError: there is no such set or file; the message lists the names.
        DayNotPublishedError: the set was not built yet.
        PublishedDayDamagedError: the file is not what the manifest says.
    """
    training_set(context, name)
    found = newest_set(context.store, name)
    if found is None:
        raise DayNotPublishedError(
            f"Training set {name!r} was not built yet.", f"Build it: exporter train-set {name}"
        )
    entries = {file.path: file for file in found.manifest.files()}
    if path not in {*entries, MANIFEST_NAME}:
        raise UnknownNameError("file", path, [*entries, MANIFEST_NAME])
    with ExitStack() as stack:
        file = stack.enter_context(_open(name, found.version, path))
        if path == MANIFEST_NAME:
            return Download.of(path, file.read())
        size, entry = size_of(file), entries[path]
        if size != entry.size_bytes:
            raise PublishedDayDamagedError(
                f"{name}: {path} has {size:,} bytes, the manifest names another size.",
                f"Build it again: exporter train-set {name}",
            )
        parts = [Part(size, file)]
        return Download(Path(path).name, parts, entry.sha256, entry.sha256, stack.pop_all())


def _described(context: ServiceContext, name: str, problem: str | None) -> TrainingSet:
    newest = newest_set(context.store, name)
    if newest is None:
        return TrainingSet(name=name, problem=problem)
    manifest = newest.manifest
    return TrainingSet(
        name=name,
        description=manifest.description,
        version=manifest.data_version,
        built_at=manifest.built_at,
        splits={
            split: TrainingSetSplit(
                examples=summary.rows,
                positives=summary.positives,
                files=[file.path for file in summary.files],
            )
            for split, summary in manifest.splits.items()
        },
        size_bytes=sum(f.size_bytes for each in manifest.splits.values() for f in each.files),
        left_out_days=manifest.left_out_days,
        warnings=[each.sentence for each in manifest.checks if not each.passed],
        problem=problem,
    )


def _open(name: str, version: Version, path: str) -> BinaryIO:
    """Open a file whose path the manifest or this module names."""
    try:
        return version.open(path)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise PublishedDayDamagedError(
            f"{name}: {path} cannot be read: {reason}.", "Build the set again."
        ) from None
