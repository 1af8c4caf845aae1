"""A published day as Arrow, verified against its manifest before the first row is given out."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pydantic import ValidationError

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, DataFile, Manifest
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.contracts.store import PublishedDay, Store
from exporter_pipelines.engine.hashing import size_and_sha256
from exporter_pipelines.errors import (
    ColumnMismatchError,
    DayNotPublishedError,
    PublishedDayDamagedError,
)
from exporter_pipelines.formats import compression_named, format_named, outer_compression
from exporter_pipelines.stores.local.files import translate_os_errors

_KEPT_OPEN = 64
"""Parts of a day that stay open while it is read. 1,024 is what a process may usually open."""

_TYPES = {
    "int64": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "json": pa.string(),
    "timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"),
}


def read_manifest(store: Store, dataset: str, day: str) -> Manifest:
    """The manifest of a published day.

    Raises:
        DayNotPublishedError: the day has no export.
        PublishedDayDamagedError: the manifest is not one.
    """
    data = store.read_manifest(dataset, day)
    if data is None:
        raise _not_published(store, dataset, day)
    return _parsed(data, dataset, day)


def _published(store: Store, dataset: str, day: str) -> PublishedDay:
    with translate_os_errors(store.day_folder(dataset, day), "read"):
        try:
            return store.published_day(dataset, day)
        except (FileNotFoundError, NotADirectoryError):
            raise _not_published(store, dataset, day) from None


def _not_published(store: Store, dataset: str, day: str) -> DayNotPublishedError:
    return DayNotPublishedError(
        f"{dataset} {day} is not published in {store.location}.",
        "It was not exported, or held. Export it: dagster asset materialize "
        f"-m exporter_pipelines.definitions --select {dataset} --partition {day}",
    )


def _manifest_bytes(store: Store, folder: PublishedDay, dataset: str, day: str) -> bytes:
    with translate_os_errors(folder.path / MANIFEST_NAME, "read"):
        try:
            with folder.open(MANIFEST_NAME) as file:
                return file.read()
        except FileNotFoundError:
            raise _not_published(store, dataset, day) from None


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


def open_day(store: Store, dataset: str, day: str) -> pa.RecordBatchReader:
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
        folder = _published(store, dataset, day)
        try:
            manifest = _parsed(_manifest_bytes(store, folder, dataset, day), dataset, day)
            files = _VerifiedFiles(folder, manifest)
        except PublishedDayDamagedError:
            # Another folder by now: the day was replaced, and the old one's grace may have ended.
            current = folder.is_current()
            folder.close()
            if current:
                raise
            continue
        except BaseException:
            folder.close()
            raise
        schema = row_schema(manifest)
        return pa.RecordBatchReader.from_batches(schema.arrow, _batches(schema, files))


def open_days(store: Store, dataset: str, days: Sequence[str]) -> pa.RecordBatchReader:
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


class _VerifiedFiles:
    """The files of one generation of a day, each read once and found to be what it should be.

    The first ones stay open, so that a reader that takes hours still has them. A day of more
    parts would exceed what a process may open: the others are opened again through the folder,
    which keeps them for its grace, and are refused when they are not the files that were read.
    """

    def __init__(self, folder: PublishedDay, manifest: Manifest) -> None:
        self._entries = manifest.files
        self._opened: list[BinaryIO] = []
        self._identities: list[tuple[int, ...]] = []
        self._folder: PublishedDay | None = folder
        try:
            for entry in self._entries:
                file = _open(folder, entry)
                kept = len(self._opened) < _KEPT_OPEN
                if kept:
                    self._opened.append(file)
                try:
                    _verify(file, entry, folder.path)
                    self._identities.append(_identity(file))
                finally:
                    if not kept:
                        file.close()
        except BaseException:
            self._folder = None  # still the caller's
            self.close()
            raise
        if len(self._opened) == len(self._entries):
            folder.close()
            self._folder = None

    def __iter__(self) -> Iterator[tuple[DataFile, BinaryIO]]:
        """Each file with its entry; each is closed when the next is asked for."""
        for number, entry in enumerate(self._entries):
            file = self._opened[number] if number < len(self._opened) else self._again(number)
            with file:
                yield entry, file

    def close(self) -> None:
        """Let go of everything."""
        for file in self._opened:
            file.close()
        if self._folder:
            self._folder.close()

    def _again(self, number: int) -> BinaryIO:
        assert self._folder is not None
        entry = self._entries[number]
        file = _open(self._folder, entry)
        if _identity(file) != self._identities[number]:
            file.close()
            raise PublishedDayDamagedError(
                f"{self._folder.path / entry.path} was changed while it was read.",
                "Export the day again.",
            )
        return file


def _identity(file: BinaryIO) -> tuple[int, ...]:
    facts = os.fstat(file.fileno())
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def _open(folder: PublishedDay, entry: DataFile) -> BinaryIO:
    path = folder.path / entry.path
    with translate_os_errors(path, "read"):
        try:
            return folder.open(entry.path)
        except FileNotFoundError:
            replaced = "" if folder.is_current() else " The day was replaced while it was read."
            raise PublishedDayDamagedError(
                f"{path} is missing, but its manifest names it.{replaced}",
                "Read it again." if replaced else "Export the day again.",
            ) from None
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise PublishedDayDamagedError(
                f"{folder.path}: what its manifest names {entry.path!r} is not a file in it.",
                "Export the day again.",
            ) from None


def _verify(file: BinaryIO, entry: DataFile, folder: Path) -> None:
    path = folder / entry.path
    with translate_os_errors(path, "read"):
        _, sha256 = size_and_sha256(file)
    if sha256 != entry.sha256:
        raise PublishedDayDamagedError(
            f"{path} does not have the sha256 of its manifest.", "Export the day again."
        )
    file.seek(0)


def _batches(schema: RowSchema, files: _VerifiedFiles) -> Iterator[pa.RecordBatch]:
    try:
        for entry, file in files:
            yield from decoded(file, entry, schema)
    finally:
        files.close()


def decoded(file: BinaryIO, entry: DataFile, schema: RowSchema) -> Iterator[pa.RecordBatch]:
    """The rows of an open data file, in bounded batches.

    Args:
        file: At its beginning; the caller closes it.
        entry: What the manifest says of it.
        schema: Of the day, see `row_schema`.
    """
    outer = outer_compression(entry.format, entry.compression)
    with compression_named(outer).open(file) as unpacked:
        yield from format_named(entry.format)(schema).decode(unpacked)


def row_schema(manifest: Manifest) -> RowSchema:
    """The columns as they were when the day was exported, whatever the schema says today."""
    columns = tuple(
        Column(c.name, _TYPES[c.type], c.nullable, required=True, is_json=c.type == "json")
        for c in manifest.columns
    )
    return RowSchema(model="", columns=columns, pandera=None)
