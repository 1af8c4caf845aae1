"""A published day as Arrow, verified against its manifest before the first row is given out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pydantic import ValidationError

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, DataFile, Manifest
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.errors import (
    ColumnMismatchError,
    DayNotPublishedError,
    PublishedDayDamagedError,
)
from exporter_pipelines.formats import compression_named, format_named, outer_compression
from exporter_pipelines.stores.local import LocalStore
from exporter_pipelines.stores.local_files import explained

_READ_BYTES = 1024 * 1024

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
        PublishedDayDamagedError: the manifest is not one.
    """
    return _parsed(_manifest_bytes(store, dataset, day), dataset, day)


def _manifest_bytes(store: LocalStore, dataset: str, day: str) -> bytes:
    data = store.read_manifest(dataset, day)
    if data is None:
        raise DayNotPublishedError(
            f"{dataset} {day} is not published in {store.root}.",
            "It was not exported, or held. Export it: dagster asset materialize "
            f"-m exporter_pipelines.definitions --select {dataset} --partition {day}",
        )
    return data


def _parsed(data: bytes, dataset: str, day: str) -> Manifest:
    try:
        return Manifest.from_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PublishedDayDamagedError(
            f"{dataset} {day}: {MANIFEST_NAME} is not a manifest that this version can read: "
            f"{where + ': ' if where else ''}{first['msg']}.",
            "Export the day again.",
        ) from None


def open_day(store: LocalStore, dataset: str, day: str) -> pa.RecordBatchReader:
    """The rows of a published day, in bounded batches.

    Files are opened, hashed and only then decoded, through the same descriptor, so that a day
    that is replaced meanwhile can neither mix with this one nor disturb it. JSON columns arrive
    as text.

    Returns:
        A reader in the schema of the manifest. The files close when it is read to its end or
        let go of.

    Raises:
        DayNotPublishedError: the day has no export.
        PublishedDayDamagedError: the manifest cannot be read, or a file is missing or is not what
            the manifest says.
        OutputUnavailableError: a file may not be read.
    """
    while True:
        data = _manifest_bytes(store, dataset, day)
        manifest = _parsed(data, dataset, day)
        try:
            files = _open_verified(store.day_folder(dataset, day), manifest)
        except PublishedDayDamagedError:
            # Another manifest by now: the day was replaced between it and its files.
            if store.read_manifest(dataset, day) == data:
                raise
            continue
        schema = _row_schema(manifest)
        return pa.RecordBatchReader.from_batches(schema.arrow, _batches(manifest, schema, files))


def open_days(store: LocalStore, dataset: str, days: Sequence[str]) -> pa.RecordBatchReader:
    """The rows of several published days, one after another; see `open_day`.

    The first day is verified at once, each other one when the reader arrives there.

    Raises:
        ColumnMismatchError: a day was exported with other columns than the first.
    """
    first = open_day(store, dataset, days[0])

    def batches() -> Iterator[pa.RecordBatch]:
        yield from first
        for day in days[1:]:
            following = open_day(store, dataset, day)
            if following.schema != first.schema:
                raise ColumnMismatchError(
                    f"{dataset} {day} was exported with other columns than {days[0]}.",
                    "Export one of them again, or read them one by one.",
                )
            yield from following

    return pa.RecordBatchReader.from_batches(first.schema, batches())


def _open_verified(folder: Path, manifest: Manifest) -> list[BinaryIO]:
    opened: list[BinaryIO] = []
    try:
        for entry in manifest.files:
            path = folder / entry.path
            with explained(path, "read"):
                opened.append(_open(path))
                _verify(opened[-1], entry, path)
    except BaseException:
        _close(opened)
        raise
    return opened


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise PublishedDayDamagedError(
            f"{path} is missing, but its manifest names it.", "Export the day again."
        ) from None


def _verify(file: BinaryIO, entry: DataFile, path: Path) -> None:
    digest = hashlib.sha256()
    while chunk := file.read(_READ_BYTES):
        digest.update(chunk)
    if digest.hexdigest() != entry.sha256:
        raise PublishedDayDamagedError(
            f"{path} does not have the sha256 of its manifest.", "Export the day again."
        )
    file.seek(0)


def _batches(
    manifest: Manifest, schema: RowSchema, files: list[BinaryIO]
) -> Iterator[pa.RecordBatch]:
    try:
        for entry, file in zip(manifest.files, files, strict=True):
            outer = outer_compression(entry.format, entry.compression)
            with compression_named(outer).open(file) as unpacked:
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
