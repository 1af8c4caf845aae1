"""Finds subjects in the files of training sets, and removes the versions that have one.

A version is never changed, so it is removed as a whole. Its set is built again from the days
without the subject: by `training_sets_sensor`, or by `exporter train-set`.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.contracts.training_manifest import TrainingManifest
from exporter_pipelines.contracts.versions import Version, Versions
from exporter_pipelines.engine.erase_scope import Found, Scope
from exporter_pipelines.engine.subject_forms import Space
from exporter_pipelines.errors import PublishedDayDamagedError
from exporter_pipelines.formats import compression_of
from exporter_pipelines.privacy.erasing import Erased, Erasing

_ROWS = 8_192
_LINES = 20_000
_WAIT_S = 600
_EXAMPLES = "data/"
_COUNTS = ("label", "rows")
"""Columns that a build adds; their numbers are no person's."""


def search_version(version: Version, erasing: Erasing, not_personal: Collection[str]) -> Erased:
    """What the files of a version have of the subjects.

    Args:
        version: To search.
        erasing: Finds the subjects.
        not_personal: Columns of the examples whose numbers are not searched.

    Raises:
        PublishedDayDamagedError: a file cannot be decoded.
        OSError: a file may not be read.
    """
    erased = Erased()
    for name in version.names():
        numbers_except = not_personal if name.startswith(_EXAMPLES) else None
        try:
            with version.open(name) as file:
                if name.endswith(".parquet"):
                    _search_table(file, erasing, erased, numbers_except)
                else:
                    _search_text(file, name, erasing, erased)
        except FileNotFoundError:
            continue  # a build has removed an old version meanwhile
        except (pa.ArrowException, EOFError, zlib.error):
            raise _damaged(f"{version.location}/{name} cannot be decoded.") from None
    return erased


def finish_builds(versions: Versions) -> None:
    """Wait for a build that began with the days as they were; remove what a killed one left.

    A bucket cannot tell. There a build looks at its days again after it has published.
    """
    with versions.lock(_WAIT_S):
        pass


def remove_version(versions: Versions, version: str) -> None:
    """Remove a version at once; waits for a build of the same set."""
    with versions.lock(_WAIT_S):
        versions.remove(version)


def in_training_set(
    scope: Scope, versions: Versions, version: Version, name: str, each: str
) -> Iterator[Found]:
    """A version of a training set."""
    manifest = _manifest_of(version)
    erasing = scope.forms.erasing_anything(set(_spaces(scope, manifest)))
    erased = search_version(version, erasing, {*_COUNTS, *_keys(scope, manifest)})
    if not erased:
        return
    if scope.apply:
        remove_version(versions, each)
    yield Found(name, each, "training set", erased.rows.total(), 0, dict(erased.columns))


def _spaces(scope: Scope, manifest: TrainingManifest) -> Iterator[Space]:
    """The spaces of its days now, and those that its days had when it was built."""
    for dataset, days in manifest.inputs.items():
        for day in days:
            yield from scope.spaces(dataset, day)
        policy = scope.datasets[dataset].config.privacy if dataset in scope.datasets else None
        for stated in manifest.privacy if policy else ():
            if len(parts := stated.split()) == 3 and policy:
                key_id, epoch, scope_of_keys = parts
                yield Space(policy.key, key_id, scope_of_keys, epoch, policy.addresses)


def _keys(scope: Scope, manifest: TrainingManifest) -> Iterator[str]:
    """Columns whose numbers identify rows, and no person: as in days, they are not searched."""
    for dataset in manifest.inputs:
        if dataset in scope.datasets:
            yield scope.datasets[dataset].config.source.key


def _manifest_of(version: Version) -> TrainingManifest:
    """The manifest of a version.

    Raises:
        PublishedDayDamagedError: it has none that can be read.
    """
    try:
        with version.open(MANIFEST_NAME) as file:
            manifest = TrainingManifest.if_readable(file.read())
    except FileNotFoundError:
        manifest = None
    if manifest is None:
        raise _damaged(f"{version.location} has no {MANIFEST_NAME} that can be read.")
    return manifest


def _damaged(message: str) -> PublishedDayDamagedError:
    return PublishedDayDamagedError(
        message, "Remove this folder, and build the training set again."
    )


def _search_table(
    file: BinaryIO, erasing: Erasing, erased: Erased, numbers_except: Collection[str] | None
) -> None:
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(_ROWS):
            texts = _texts_of(batch, numbers_except)
            columns = tuple(Column(name, pa.string(), True, False) for name in texts.schema.names)
            erased.rows.update(
                erasing.rows_with_subjects(texts, RowSchema("", columns, None), erased).values()
            )


def _texts_of(batch: pa.RecordBatch, numbers_except: Collection[str] | None) -> pa.RecordBatch:
    """The columns to search, as text; a list as one text with a line for each value.

    Args:
        batch: Of any columns.
        numbers_except: Columns whose numbers are left out; None for all.
    """
    arrays, names = [], []
    for field in batch.schema:
        column = batch.column(field.name)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            arrays.append(column.cast(pa.string()))
            names.append(field.name)
        elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            joined = [_joined(values) for values in column.to_pylist()]
            arrays.append(pa.array(joined, pa.string()))
            names.append(field.name)
        elif (
            pa.types.is_integer(column.type)
            and numbers_except is not None
            and field.name not in numbers_except
        ):
            arrays.append(column.cast(pa.string()))
            names.append(field.name)
    return pa.RecordBatch.from_arrays(arrays, names)


def _joined(values: list[object] | None) -> str | None:
    return None if values is None else "\n".join(str(value) for value in values)


def _search_text(file: BinaryIO, name: str, erasing: Erasing, erased: Erased) -> None:
    for lines in _blocks(file, name):
        erased.rows.update(erasing.lines_with_subjects(lines, name, erased).values())


def _blocks(file: BinaryIO, name: str) -> Iterator[list[bytes]]:
    with compression_of(name).open(file) as content:
        lines: list[bytes] = []
        for line in content:
            lines.append(line)
            if len(lines) >= _LINES:
                yield lines
                lines = []
        if lines:
            yield lines
