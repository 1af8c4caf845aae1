"""Training sets: the newest version of each, and its files."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.training_manifest import TrainingManifest
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

_DESCRIBING = ("README.md", "croissant.json", "sample.jsonl", "templates.parquet", MANIFEST_NAME)


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
    """A file of the newest version: data, card, Croissant, sample, templates or manifest.

    Raises:
        UnknownNameError: there is no such set or file; the message lists the names.
        DayNotPublishedError: the set was not built yet.
        PublishedDayDamagedError: the file is not what the manifest says.
    """
    training_set(context, name)
    version, manifest = _newest(context, name)
    if version is None or manifest is None:
        raise DayNotPublishedError(
            f"Training set {name!r} was not built yet.", f"Build it: exporter train-set {name}"
        )
    data = {file.path: file for split in manifest.splits.values() for file in split.files}
    if path not in {*data, *_DESCRIBING}:
        raise UnknownNameError("file", path, [*data, *_DESCRIBING])
    with ExitStack() as stack:
        file = stack.enter_context(_open(name, version, path))
        size = size_of(file)
        if path in data and size != data[path].size_bytes:
            raise PublishedDayDamagedError(
                f"{name}: {path} has {size:,} bytes, the manifest names another size.",
                f"Build it again: exporter train-set {name}",
            )
        if path in data:
            sha256 = data[path].sha256
            parts = [Part(size, file)]
            return Download(Path(path).name, parts, sha256, sha256, stack.pop_all())
        return Download.of(path, file.read())


def _described(context: ServiceContext, name: str, problem: str | None) -> TrainingSet:
    _, manifest = _newest(context, name)
    if manifest is None:
        return TrainingSet(name=name, problem=problem)
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


def _newest(context: ServiceContext, name: str) -> tuple[Version | None, TrainingManifest | None]:
    version = context.store.versions(name).newest()
    if version is None:
        return None, None
    try:
        with version.open(MANIFEST_NAME) as file:
            return version, TrainingManifest.if_readable(file.read())
    except OSError:
        return version, None


def _open(name: str, version: Version, path: str) -> BinaryIO:
    """Open a file whose path the manifest or this module names."""
    try:
        return version.open(path)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise PublishedDayDamagedError(
            f"{name}: {path} cannot be read: {reason}.", "Build the set again."
        ) from None
