"""A published day as Arrow, verified against its manifest before the first row is given out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from exporter_pipelines.contracts.manifest import DataFile, Manifest
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.errors import DayNotPublishedError, PublishedDayDamagedError
from exporter_pipelines.formats import compression_named, format_named
from exporter_pipelines.stores.local import LocalStore

_READ_BYTES = 1024 * 1024
_ATTEMPTS = 5

_TYPES = {
    "int64": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "json": pa.string(),
    "timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"),
}


def read_manifest(store: LocalStore, dataset: str, day: str) -> Manifest:
    """The manifest of a published day.

    Raises:
        DayNotPublishedError: the day has no export.
    """
    data = store.read_manifest(dataset, day)
    if data is None:
        raise DayNotPublishedError(
            f"{dataset} {day} is not published in {store.root}.",
            f"Export it: dagster asset materialize -m exporter_pipelines.definitions "
            f"--select {dataset} --partition {day}",
        )
    return Manifest.from_json(data)


def open_day(store: LocalStore, dataset: str, day: str) -> pa.RecordBatchReader:
    """The rows of a published day, in bounded batches.

    Files are opened, hashed and only then decoded, through the same descriptor, so that a day
    that is replaced meanwhile can neither mix with this one nor disturb it. JSON columns arrive
    as text.

    Returns:
        A reader in the schema of the manifest; close it, or read it to its end.

    Raises:
        DayNotPublishedError: the day has no export.
        PublishedDayDamagedError: a file is missing or is not what the manifest says.
    """
    damaged: PublishedDayDamagedError | None = None
    for _ in range(_ATTEMPTS):
        manifest = read_manifest(store, dataset, day)
        try:
            files = _open_verified(store, manifest)
        except PublishedDayDamagedError as error:
            damaged = error  # or replaced between manifest and files: look again
            continue
        schema = _row_schema(manifest)
        return pa.RecordBatchReader.from_batches(schema.arrow, _batches(manifest, schema, files))
    assert damaged is not None
    raise damaged


def _open_verified(store: LocalStore, manifest: Manifest) -> list[BinaryIO]:
    folder = store.day_folder(manifest.dataset, manifest.partition)
    opened: list[BinaryIO] = []
    try:
        for entry in manifest.files:
            opened.append((folder / entry.path).open("rb"))
            _verify(opened[-1], entry, manifest)
    except FileNotFoundError as error:
        _close(opened)
        raise PublishedDayDamagedError(
            f"{manifest.dataset} {manifest.partition}: a file of the manifest is missing.",
            "Export the day again.",
        ) from error
    except BaseException:
        _close(opened)
        raise
    return opened


def _verify(file: BinaryIO, entry: DataFile, manifest: Manifest) -> None:
    digest = hashlib.sha256()
    while chunk := file.read(_READ_BYTES):
        digest.update(chunk)
    if digest.hexdigest() != entry.sha256:
        raise PublishedDayDamagedError(
            f"{manifest.dataset} {manifest.partition}: {entry.path} does not have the sha256 of "
            "its manifest.",
            "Export the day again.",
        )
    file.seek(0)


def _batches(
    manifest: Manifest, schema: RowSchema, files: list[BinaryIO]
) -> Iterator[pa.RecordBatch]:
    try:
        for entry, file in zip(manifest.files, files, strict=True):
            with compression_named(entry.compression).open(file) as unpacked:
                yield from format_named(entry.format)(schema).decode(unpacked)
    finally:
        _close(files)


def _close(files: list[BinaryIO]) -> None:
    for file in files:
        file.close()


def _row_schema(manifest: Manifest) -> RowSchema:
    """The columns as they were when the day was exported, whatever the schema says today."""
    columns = tuple(
        Column(c.name, _TYPES[c.type], c.nullable, required=True, is_json=c.type == "json")
        for c in manifest.columns
    )
    return RowSchema(model="", columns=columns, pandera=None)
