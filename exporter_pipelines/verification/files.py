"""Compares the files of a day with its manifest. One file is open at a time, and read in pieces."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow.compute as pc

from exporter_pipelines.contracts.manifest import DataFile, Manifest, Quarantine
from exporter_pipelines.contracts.published_day import PublishedDay
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.hashing import size_of
from exporter_pipelines.engine.load import decoded_as_it_is, row_schema
from exporter_pipelines.engine.local_copy import HashedFile, hashed
from exporter_pipelines.engine.retention import read_tombstone
from exporter_pipelines.engine.whole_dataset import SCHEMA_FILE, stored_nullable
from exporter_pipelines.formats import compression_of
from exporter_pipelines.stores import layout
from exporter_pipelines.verification.report import VerifyReport

_READ_BYTES = 1024 * 1024


def verify_file(
    folder: PublishedDay,
    manifest: Manifest,
    entry: DataFile,
    report: VerifyReport,
    *,
    quick: bool,
) -> Counter[str] | None:
    """Check one data file: mode, size, sha256, rows and their timestamps.

    Returns:
        Column -> nulls in the file; None if its rows were not read.
    """
    path = f"{layout.day_path(manifest.dataset, manifest.partition)}/{entry.path}"
    try:
        with folder.open(entry.path) as file:
            report.add_misplaced(folder.irregular(entry.path))
            report.files += 1
            size = folder.size(entry.path)
            report.size_bytes += size
            if size != entry.size_bytes:
                what = f"has {size:,} bytes instead of {entry.size_bytes:,}"
                report.add("size_differs", path, what)
            elif quick:
                report.rows += entry.record_count
            else:
                with hashed(file, is_remote=folder.is_remote) as content:
                    return _verify_content(content, path, manifest, entry, report)
    except FileNotFoundError:
        report.add("file_missing", path, "is missing, but the manifest names it")
    except OSError as error:
        report.add_error(path, error)
    return None


def verify_nulls(path: str, manifest: Manifest, nulls: Counter[str], report: VerifyReport) -> None:
    """Compare the nulls in all files of a day with its manifest."""
    for column in manifest.columns:
        found, stated = nulls[column.name], column.null_count
        if stated is not None and found != stated:
            what = f"the column {column.name!r} has {found:,} nulls instead of {stated:,}"
            report.add("nulls_differ", path, what)
        elif stated is None and found and not column.nullable:
            what = f"the column {column.name!r} has {found:,} nulls, but is not nullable"
            report.add("nulls_differ", path, what, level="warn")


def _verify_content(
    content: HashedFile, path: str, manifest: Manifest, entry: DataFile, report: VerifyReport
) -> Counter[str] | None:
    if content.sha256 != entry.sha256:
        report.add("content_differs", path, "does not have the sha256 of the manifest")
        return None
    return _verify_rows(content.file, path, manifest, entry, report)


def _verify_rows(
    file: BinaryIO, path: str, manifest: Manifest, entry: DataFile, report: VerifyReport
) -> Counter[str] | None:
    nulls: Counter[str] = Counter()
    try:
        rows, first, last = _span(file, manifest, entry, nulls)
    except Exception:  # each library has its own exceptions; their text may quote a row
        report.add("undecodable", path, "cannot be decoded")
        return None
    report.rows += rows
    if rows != entry.record_count:
        report.add("rows_differ", path, f"has {rows:,} rows instead of {entry.record_count:,}")
    elif (first, last) != (entry.min_timestamp, entry.max_timestamp):
        report.add("rows_differ", path, "has another min/max timestamp than its manifest")
    return nulls


def _span(
    file: BinaryIO, manifest: Manifest, entry: DataFile, nulls: Counter[str]
) -> tuple[int, dt.datetime | None, dt.datetime | None]:
    """Rows, first and last timestamp; those of the manifest if it names no time column.

    Nulls are added to `nulls`.
    """
    column = time_column(manifest)
    rows, first, last = 0, None, None
    for batch in decoded_as_it_is(file, entry, row_schema(manifest)):
        rows += batch.num_rows
        nulls.update({name: batch[name].null_count for name in batch.schema.names})
        if column and batch.num_rows:
            span = pc.min_max(batch[column]).as_py()
            first = min(first or span["min"], span["min"])
            last = max(last or span["max"], span["max"])
    return (rows, first, last) if column else (rows, entry.min_timestamp, entry.max_timestamp)


def time_column(manifest: Manifest) -> str | None:
    """The exported time column; None if the manifest does not name it."""
    name = manifest.source_setting("time_column")
    return name if name in {column.name for column in manifest.columns} else None


def verify_quarantine(
    store: Store, manifest: Manifest, entry: Quarantine, report: VerifyReport, *, quick: bool
) -> None:
    """Check the quarantine file of a manifest: sha256 and rows."""
    name = entry.path.rpartition("/")[2]
    path = f"{layout.quarantine_folder_path(manifest.dataset, manifest.partition)}/{name}"
    try:
        with store.open_quarantine(manifest.dataset, manifest.partition, name) as file:
            report.files += 1
            report.size_bytes += size_of(file)
            if not quick:
                with hashed(file, is_remote=store.is_remote) as content:
                    _verify_quarantined(content, path, entry, report)
    except FileNotFoundError:
        # Retention may remove rejected rows before their day, and records it first.
        tombstone = read_tombstone(store, manifest.dataset, manifest.partition)
        if not (tombstone and tombstone.covers("quarantine", manifest.export_timestamp)):
            report.add("file_missing", path, "is missing, but the manifest names it")
    except OSError as error:
        report.add_error(path, error)


def _verify_quarantined(
    content: HashedFile, path: str, entry: Quarantine, report: VerifyReport
) -> None:
    if content.sha256 != entry.sha256:
        report.add("content_differs", path, "does not have the sha256 of the manifest")
        return
    try:
        rows = sum(chunk.count(b"\n") for chunk in unpacked(content.file, path))
    except Exception as error:
        report.add("undecodable", path, f"cannot be unpacked ({type(error).__name__})")
        return
    if rows != entry.record_count:
        report.add("rows_differ", path, f"has {rows:,} rows instead of {entry.record_count:,}")


def unpacked(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The decompressed content of a quarantine file, in pieces."""
    with compression_of(name).open(file) as content:
        while chunk := content.read(_READ_BYTES):
            yield chunk


def verify_schema_file(store: Store, manifest: Manifest, report: VerifyReport) -> None:
    """Check that `schema.arrow` allows the nulls of a day; a file of other columns is no finding.

    Two exports of different days may both have written it, each without the nulls of the other.
    """
    schema = row_schema(manifest)
    allowed = stored_nullable(store, manifest.dataset, schema)
    if allowed is None or not manifest.record_count:
        return
    for column in manifest.columns:
        if column.null_count and column.name not in allowed:
            report.add(
                "schema_differs",
                f"{manifest.dataset}/{SCHEMA_FILE}",
                f"says that {column.name!r} is never null, but it is on this day",
                "Remove it and export any day of the dataset again.",
            )
