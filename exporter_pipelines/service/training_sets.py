"""Training sets: the newest version of each, and its files."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.training_manifest import TrainingManifest
from exporter_pipelines.defs_files.training_sets import TrainingSets
from exporter_pipelines.errors import (
    DayNotPublishedError,
    PublishedDayDamagedError,
    UnknownNameError,
)
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.downloads import Download, Part
from exporter_pipelines.service.models import TrainingSet, TrainingSetSplit
from exporter_pipelines.stores.local.versions import VersionedFolder

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
    folder, manifest = _newest(context, name)
    if folder is None or manifest is None:
        raise DayNotPublishedError(
            f"Training set {name!r} was not built yet.", f"Build it: exporter train-set {name}"
        )
    data = {file.path: file for split in manifest.splits.values() for file in split.files}
    if path not in {*data, *_DESCRIBING}:
        raise UnknownNameError("file", path, [*data, *_DESCRIBING])
    with ExitStack() as stack:
        file = stack.enter_context(_open(folder, path))
        size = os.fstat(file.fileno()).st_size
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


def _newest(context: ServiceContext, name: str) -> tuple[Path | None, TrainingManifest | None]:
    folder = VersionedFolder(context.store.root, name).latest()
    if folder is None:
        return None, None
    try:
        content = (folder / MANIFEST_NAME).read_bytes()
    except OSError:
        return folder, None
    return folder, TrainingManifest.if_readable(content)


def _open(folder: Path, path: str) -> BinaryIO:
    """Open a file whose path the manifest or this module names; no link is followed."""
    try:
        descriptor = os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise PublishedDayDamagedError(
            f"{folder.parent.name}: {path} cannot be read: {reason}.", "Build the set again."
        ) from None
    return os.fdopen(descriptor, "rb")
