"""A published day as Arrow, verified against its manifest before the first row is returned."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO, Literal

import pyarrow as pa
from pydantic import ValidationError

from exporter_pipelines.contracts.manifest import (
    MANIFEST_NAME,
    ColumnSchema,
    DataFile,
    Manifest,
)
from exporter_pipelines.contracts.published_day import PublishedDay
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.strict import first_problem
from exporter_pipelines.engine.verified_files import VerifiedFiles, verified_files
from exporter_pipelines.errors import (
    ColumnMismatchError,
    DayNotPublishedError,
    PublishedDayDamagedError,
)
from exporter_pipelines.formats import compression_named, format_named, outer_compression
from exporter_pipelines.stores.local.files import translate_os_errors

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
        PublishedDayDamagedError: the manifest cannot be read.
    """
    data = store.read_manifest(dataset, day)
    if data is None:
        raise _not_published(store, dataset, day)
    return _parsed(data, dataset, day)


def read_manifests(store: Store, dataset: str, days: Sequence[str]) -> dict[str, Manifest]:
    """Day -> manifest of published days; raises as `read_manifest`.

    A day that was removed since it was listed, as by a prune, is left out.
    """
    found = {}
    for day, data in store.read_manifests(dataset, days):
        if data is not None:
            found[day] = _parsed(data, dataset, day)
        elif day in store.published_days(dataset):  # published again since, or damaged
            found[day] = read_manifest(store, dataset, day)
    return found


def _published(store: Store, dataset: str, day: str) -> PublishedDay:
    with translate_os_errors(store.day_location(dataset, day), "read"):
        try:
            return store.published_day(dataset, day)
        except (FileNotFoundError, NotADirectoryError):
            raise _not_published(store, dataset, day) from None


def _not_published(store: Store, dataset: str, day: str) -> DayNotPublishedError:
    return DayNotPublishedError(
        f"{dataset} {day} is not published in {store.location}.",
        f"It was never exported, or it was held. Export it: exporter export {dataset} {day}",
    )


def _manifest_bytes(store: Store, folder: PublishedDay, dataset: str, day: str) -> bytes:
    with translate_os_errors(f"{folder.location}/{MANIFEST_NAME}", "read"):
        try:
            return folder.read_small(MANIFEST_NAME)
        except FileNotFoundError:
            raise _not_published(store, dataset, day) from None


def _parsed(data: bytes, dataset: str, day: str) -> Manifest:
    try:
        return Manifest.from_json(data)
    except ValidationError as error:
        where, problem = first_problem(error)
        raise PublishedDayDamagedError(
            f"{dataset} {day}: {MANIFEST_NAME} is not a manifest that this version can read: "
            f"{where + ': ' if where else ''}{problem}.",
            "Export the day again.",
        ) from None


def open_day(store: Store, dataset: str, day: str) -> pa.RecordBatchReader:
    """The rows of a published day, in bounded batches.

    A replacement of the day in the meantime does not affect the reader (`engine.verified_files`).
    JSON columns are text.

    Returns:
        A reader in the schema of the manifest. The files are closed when it is read to its end or
        released.

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
            files = verified_files(folder, manifest)
        except PublishedDayDamagedError:
            # If the day was replaced, its old folder may have been removed: read the new one.
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

    The first day is verified at once, each later day when the reader reaches it. A column of the
    reader is nullable if it is nullable on any of the days. A column that `extra_columns: keep`
    added on some of the days is null on the others.

    Raises:
        ColumnMismatchError: a day was exported with other columns than the first.
    """
    first = open_day(store, dataset, days[0])
    joint = _joint_schema(_stated_schemas(store, dataset, days))
    schema = joint.arrow if joint.columns else first.schema
    extra = {column.name for column in joint.columns if column.extra is not None}

    def batches() -> Iterator[pa.RecordBatch]:
        for number, day in enumerate(days):
            reader = open_day(store, dataset, day) if number else first
            _check_columns(reader.schema, schema, extra, f"{dataset} {day}", days[0])
            for batch in reader:
                yield _with_all_columns(batch, schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _stated_schemas(store: Store, dataset: str, days: Sequence[str]) -> Iterator[RowSchema]:
    """The schemas of the days whose manifests can be read; `open_day` reports all others."""
    for _, data in store.read_manifests(dataset, days):
        if manifest := Manifest.if_readable(data):
            yield row_schema(manifest)


def _joint_schema(schemas: Iterable[RowSchema]) -> RowSchema:
    """The columns of the first schema, then further extra columns; nullable if any one is.

    A schema with other columns is left out, since its day cannot be read together with the first.
    """
    joint: dict[str, Column] = {}
    named: list[tuple[str, pa.DataType]] | None = None
    for schema in schemas:
        own = [(c.name, c.type) for c in schema.columns if c.extra is None]
        named = own if named is None else named
        if own == named:
            for column in schema.columns:
                known = joint.get(column.name, column)
                joint[column.name] = replace(known, nullable=known.nullable or column.nullable)
    return RowSchema("", tuple(joint.values()), None)


def _check_columns(
    found: pa.Schema, expected: pa.Schema, extra: Collection[str], day: str, first: str
) -> None:
    lacking = {name for name in expected.names if name not in found.names}
    known = [expected.field(name) for name in found.names if name in expected.names]
    same = [(f.name, f.type) for f in known] == [(f.name, f.type) for f in found]
    if not same or not lacking <= set(extra):
        raise ColumnMismatchError(
            f"{day} was exported with other columns than {first}.",
            "Export one of the two days again, or read the days one by one.",
        )
    if any(field.nullable and not expected.field(field.name).nullable for field in found):
        raise ColumnMismatchError(
            f"{day} was replaced while the days were read. It has nulls in other columns now.",
            "Read the days again.",
        )


def _with_all_columns(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        batch[field.name] if field.name in batch.schema.names else pa.nulls(len(batch), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _batches(schema: RowSchema, files: VerifiedFiles) -> Iterator[pa.RecordBatch]:
    try:
        for entry, file in files:
            yield from decoded(file, entry, schema)
    finally:
        files.close()


def decoded(file: BinaryIO, entry: DataFile, schema: RowSchema) -> Iterator[pa.RecordBatch]:
    """The rows of an open data file, in bounded batches.

    Args:
        file: At its beginning; the caller closes it.
        entry: Its entry in the manifest.
        schema: Of the day, see `row_schema`.

    Raises:
        PublishedDayDamagedError: it is not what the entry and the schema say; with other rows than
            stated, after the last one.
    """
    rows = 0
    for batch in decoded_as_it_is(file, entry, schema):
        rows += len(batch)
        yield batch
    if rows != entry.record_count:
        raise PublishedDayDamagedError(
            f"{entry.path} has {rows:,} rows instead of {entry.record_count:,}.",
            "Export the day again.",
        )


def decoded_as_it_is(
    file: BinaryIO, entry: DataFile, schema: RowSchema
) -> Iterator[pa.RecordBatch]:
    """As `decoded`, whatever the entry says about the number of rows."""
    try:
        outer = outer_compression(entry.format, entry.compression)
        with compression_named(outer).open(file) as unpacked:
            yield from format_named(entry.format)(schema).decode(unpacked)
    except MemoryError:
        raise
    except Exception as error:  # every library has its own; their text may quote a row
        raise PublishedDayDamagedError(
            f"{entry.path} cannot be decoded ({type(error).__name__}).", "Export the day again."
        ) from None


def row_schema(manifest: Manifest) -> RowSchema:
    """The columns with which the day was exported; today's schema may differ."""
    columns = tuple(
        Column(
            c.name,
            _TYPES[c.type],
            _may_be_null(c),
            required=c.extra is None,
            is_json=c.type == "json",
            extra=c.extra,
        )
        for c in manifest.columns
    )
    return RowSchema(model="", columns=columns, pandera=None)


def source_column(manifest: Manifest, setting: Literal["key", "time_column"]) -> str:
    """The exported key or time column of a day.

    Raises:
        PublishedDayDamagedError: the manifest does not name it.
    """
    name = manifest.source_setting(setting)
    types = {column.name: column.type for column in manifest.columns}
    is_time = types.get(name or "", "").startswith("timestamp")
    if name is None or name not in types or not (is_time or setting == "key"):
        raise PublishedDayDamagedError(
            f"{manifest.dataset} {manifest.partition}: {MANIFEST_NAME} does not name the "
            f"{setting}.",
            "Export the day again.",
        )
    return name


def _may_be_null(column: ColumnSchema) -> bool:
    # A manifest without counts states what the schema allows. JSON has no NaN, and a JSON document
    # may be `null`, so the file may have a null all the same.
    unknown = column.null_count is None and column.type in ("double", "json")
    return column.nullable or unknown
