"""What is true of all published days of a dataset together, for the files next to `data/`.

The schema allows or forbids nulls, but a file may have a null in any column: a rule may be ignored,
and JSON has no NaN. So the columns are described as they were written. A column is nullable when
the schema says so, or when any published day has it with a null, or does not have it.

The manifests of all days are read only when the answer is not in `schema.arrow` yet: for the first
day with other columns, and when a day is replaced that was the reason for a nullable column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import pyarrow as pa

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.staged_day import StagedDay
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.load import row_schema

SCHEMA_FILE = "schema.arrow"


def schema_as_written(staged: StagedDay) -> RowSchema:
    """The columns of a staged day; nullable if the schema allows null or the files have one."""
    return with_nullable(staged.schema, {name for name, n in staged.tally.nulls.items() if n})


def with_nullable(schema: RowSchema, names: Collection[str]) -> RowSchema:
    """The same schema with these columns nullable."""
    columns = tuple(replace(c, nullable=c.nullable or c.name in names) for c in schema.columns)
    return replace(schema, columns=columns)


def schema_of_all_days(store: Store, dataset: str, day: str, schema: RowSchema) -> RowSchema:
    """The columns of a dataset once a day is published.

    Args:
        store: Has the other published days.
        dataset: Its name.
        day: The day that is about to be published.
        schema: Of this day, from `schema_as_written`.
    """
    schema = _with_extra_columns(store, dataset, day, schema)
    required = {c.name for c in schema.columns if not c.nullable}
    known = stored_nullable(store, dataset, schema)
    if known is None or _nullable_in(_published(store, dataset, day)) & required & known:
        known = _nullable_elsewhere(store, dataset, day, required)
    return with_nullable(schema, known)


def _with_extra_columns(store: Store, dataset: str, day: str, schema: RowSchema) -> RowSchema:
    """The schema with the columns that only other days have, because of `extra_columns: keep`.

    `schema.arrow` names every column of the days before, so other manifests are read only if it
    has a column that this day has not, and only until that is found.
    """
    stored = _stored_schema(store, dataset)
    order = stored.names if stored else []
    wanted = set(order) - set(schema.names)
    extra = {column.name: column for column in schema.columns if column.extra is not None}
    for manifest in _other_days(store, dataset, day) if wanted else ():
        for column in row_schema(manifest).columns:
            if column.extra is not None and column.name in wanted:
                extra.setdefault(column.name, column)
        if wanted <= set(extra):
            break
    # In the order of the file, so that a day with fewer columns does not change it.
    known = [extra.pop(name) for name in order if name in extra]
    own = [column for column in schema.columns if column.extra is None]
    return replace(schema, columns=(*own, *known, *extra.values()))


def _stored_schema(store: Store, dataset: str) -> pa.Schema | None:
    data = store.read_dataset_file(dataset, SCHEMA_FILE)
    try:
        return pa.ipc.read_schema(pa.py_buffer(data)) if data else None
    except (pa.ArrowException, OSError):
        return None


def stored_nullable(store: Store, dataset: str, schema: RowSchema) -> set[str] | None:
    """The nullable columns of `schema.arrow`; None if it has other columns or cannot be read."""
    stored = _stored_schema(store, dataset)
    if stored is None or not _all_nullable(stored).equals(_all_nullable(schema.arrow)):
        return None
    return {field.name for field in stored if field.nullable}


def _all_nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])


def _nullable_elsewhere(store: Store, dataset: str, day: str, wanted: set[str]) -> set[str]:
    """Those of the wanted columns that another published day has with nulls, or does not have."""
    found: set[str] = set()
    for manifest in _other_days(store, dataset, day):
        if found >= wanted:
            break
        found |= wanted & _nullable_in(manifest)
        found |= wanted - {column.name for column in manifest.columns}
    return found


def _other_days(store: Store, dataset: str, day: str) -> Iterator[Manifest]:
    """The manifests of the other days with rows, newest first: older days are replaced first."""
    for each in reversed(store.published_days(dataset)):
        manifest = _published(store, dataset, each) if each != day else None
        if manifest is not None and manifest.record_count:
            yield manifest


def _published(store: Store, dataset: str, day: str) -> Manifest | None:
    return Manifest.if_readable(store.read_manifest(dataset, day))


def _nullable_in(manifest: Manifest | None) -> set[str]:
    if manifest is None:
        return set()
    return {column.name for column in row_schema(manifest).columns if column.nullable}
