"""Compares the files of a day with its manifest. One file is open at a time, and read in pieces."""

from __future__ import annotations

import datetime as dt
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow.compute as pc

from exporter_pipelines.contracts.manifest import DataFile, Manifest, Quarantine
from exporter_pipelines.engine.hashing import size_and_sha256
from exporter_pipelines.engine.load import decoded, row_schema
from exporter_pipelines.engine.quarantine import quarantine_pattern
from exporter_pipelines.engine.retention import read_tombstone
from exporter_pipelines.engine.whole_dataset import SCHEMA_FILE, stored_nullable
from exporter_pipelines.formats import compression_of
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local.files import FILE_MODE, FOLDER_MODE, PRIVATE_FILE_MODE
from exporter_pipelines.stores.local.published_day import LocalPublishedDay, open_folder
from exporter_pipelines.verification.report import VerifyReport

_READ_BYTES = 1024 * 1024


def verify_file(
    folder: LocalPublishedDay,
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
    path = folder.path / entry.path
    try:
        with folder.open(entry.path) as file:
            return _verify_data(file, path, manifest, entry, report, quick=quick)
    except FileNotFoundError:
        report.add("file_missing", path, "is missing, but the manifest names it")
    except OSError as error:
        report.add_error(path, error)
    return None


def verify_nulls(path: Path, manifest: Manifest, nulls: Counter[str], report: VerifyReport) -> None:
    """Compare the nulls in all files of a day with its manifest."""
    for column in manifest.columns:
        found, stated = nulls[column.name], column.null_count
        if stated is not None and found != stated:
            what = f"the column {column.name!r} has {found:,} nulls instead of {stated:,}"
            report.add("nulls_differ", path, what)
        elif stated is None and found and not column.nullable:
            what = f"the column {column.name!r} has {found:,} nulls, but is not nullable"
            report.add("nulls_differ", path, what, level="warn")


def _verify_data(
    file: BinaryIO,
    path: Path,
    manifest: Manifest,
    entry: DataFile,
    report: VerifyReport,
    *,
    quick: bool,
) -> Counter[str] | None:
    facts = os.fstat(file.fileno())
    report.check_mode(path, facts, FILE_MODE)
    report.files += 1
    report.size_bytes += facts.st_size
    if facts.st_size != entry.size_bytes:
        report.add(
            "size_differs", path, f"has {facts.st_size:,} bytes instead of {entry.size_bytes:,}"
        )
    elif quick:
        report.rows += entry.record_count
    elif size_and_sha256(file)[1] != entry.sha256:
        report.add("content_differs", path, "does not have the sha256 of the manifest")
    else:
        file.seek(0)
        return _verify_rows(file, path, manifest, entry, report)
    return None


def _verify_rows(
    file: BinaryIO, path: Path, manifest: Manifest, entry: DataFile, report: VerifyReport
) -> Counter[str] | None:
    nulls: Counter[str] = Counter()
    try:
        rows, first, last = _span(file, manifest, entry, nulls)
    except Exception as error:  # each library has its own exceptions; their text may quote a row
        report.add("undecodable", path, f"cannot be decoded ({type(error).__name__})")
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
    for batch in decoded(file, entry, row_schema(manifest)):
        rows += batch.num_rows
        nulls.update({name: batch[name].null_count for name in batch.schema.names})
        if column and batch.num_rows:
            span = pc.min_max(batch[column]).as_py()
            first = min(first or span["min"], span["min"])
            last = max(last or span["max"], span["max"])
    return (rows, first, last) if column else (rows, entry.min_timestamp, entry.max_timestamp)


def time_column(manifest: Manifest) -> str | None:
    """The exported time column; None if the manifest does not name it."""
    source = manifest.export_config.get("source")
    name = source.get("time_column") if isinstance(source, dict) else None
    return name if name in {column.name for column in manifest.columns} else None


def verify_quarantine(
    store: LocalStore, manifest: Manifest, entry: Quarantine, report: VerifyReport, *, quick: bool
) -> None:
    """Check the quarantine file of a manifest: sha256 and rows."""
    folder = store.quarantine_folder(manifest.dataset, manifest.partition)
    path = folder / entry.path.rpartition("/")[2]
    try:
        with store.open_quarantine(manifest.dataset, manifest.partition, path.name) as file:
            _verify_quarantined(file, path, entry, report, quick=quick)
    except FileNotFoundError:
        # Retention may remove rejected rows before their day, and records it first.
        tombstone = read_tombstone(store, manifest.dataset, manifest.partition)
        if not (tombstone and tombstone.covers("quarantine", manifest.export_timestamp)):
            report.add("file_missing", path, "is missing, but the manifest names it")
    except OSError as error:
        report.add_error(path, error)


def _verify_quarantined(
    file: BinaryIO, path: Path, entry: Quarantine, report: VerifyReport, *, quick: bool
) -> None:
    report.files += 1
    report.size_bytes += os.fstat(file.fileno()).st_size
    if quick:
        return
    if size_and_sha256(file)[1] != entry.sha256:
        report.add("content_differs", path, "does not have the sha256 of the manifest")
        return
    file.seek(0)
    try:
        rows = sum(chunk.count(b"\n") for chunk in unpacked(file, path.name))
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


def verify_quarantine_folder(
    store: LocalStore, folder: Path, day: str, report: VerifyReport
) -> None:
    """Check names and modes in the quarantine folder of a day."""
    try:
        descriptor = open_folder(store.root, folder)
    except FileNotFoundError:
        return
    except OSError as error:
        report.add_error(folder, error)
        return
    names = quarantine_pattern(report.dataset, day)
    try:
        report.check_mode(folder, os.fstat(descriptor), FOLDER_MODE)
        for name in sorted(os.listdir(descriptor)):  # noqa: PTH208 - a descriptor has no path
            try:
                facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue  # an export has removed it
            if not names.fullmatch(name) or not stat.S_ISREG(facts.st_mode):
                report.add(
                    "foreign", folder / name, "is not a quarantine file of an export", "Remove it."
                )
            else:
                report.check_mode(folder / name, facts, PRIVATE_FILE_MODE)
    finally:
        os.close(descriptor)


def verify_schema_file(store: LocalStore, manifest: Manifest, report: VerifyReport) -> None:
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
                store.home(manifest.dataset) / SCHEMA_FILE,
                f"says that {column.name!r} is never null, but it is on this day",
                "Remove it and export any day of the dataset again.",
            )
