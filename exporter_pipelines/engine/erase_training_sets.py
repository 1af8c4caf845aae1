"""Finds subjects in the files of training sets, and removes the versions that have one.

A version is never changed, so it is removed as a whole. Its set is built again from the days
without the subject: by `training_sets_sensor`, or by `exporter train-set`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.contracts.training_manifest import TrainingManifest
from exporter_pipelines.contracts.versions import Version, Versions
from exporter_pipelines.engine.erase_scope import Found, Scope
from exporter_pipelines.engine.subject_forms import Space
from exporter_pipelines.errors import OutputUnavailableError, PublishedDayDamagedError
from exporter_pipelines.formats import compression_of
from exporter_pipelines.privacy.erasing import Erased, Erasing

_ROWS = 8_192
_LINES = 20_000
_WAIT_S = 600


def search_version(version: Version, erasing: Erasing) -> Erased:
    """What the files of a version have of the subjects.

    Raises:
        PublishedDayDamagedError: a file cannot be decoded.
        OutputUnavailableError: a file may not be read.
    """
    erased = Erased()
    for name in version.names():
        try:
            with version.open(name) as file:
                if name.endswith(".parquet"):
                    _search_table(file, erasing, erased)
                else:
                    _search_text(file, name, erasing, erased)
        except (pa.ArrowException, EOFError):
            raise PublishedDayDamagedError(
                f"{version.location}/{name} cannot be decoded.", "Build the training set again."
            ) from None
        except OSError as error:
            raise OutputUnavailableError(
                f"{version.location}/{name} cannot be read: {error.strerror}.", ""
            ) from None
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


def in_training_set(scope: Scope, versions: Versions, name: str, each: str) -> Iterator[Found]:
    """A version of a training set."""
    version = versions.version(each)
    if version is None:
        return
    spaces = set(_spaces(scope, _manifest_of(version)))
    erased = search_version(version, scope.forms.erasing_anything(spaces))
    if not erased:
        return
    if scope.apply:
        remove_version(versions, each)
    yield Found(name, each, "training set", erased.rows.total(), 0, dict(erased.columns))


def _spaces(scope: Scope, manifest: TrainingManifest | None) -> Iterator[Space]:
    """The spaces of its days now, and those that its days had when it was built."""
    for dataset, days in manifest.inputs.items() if manifest else ():
        for day in days:
            yield from scope.spaces(dataset, day)
        policy = scope.datasets[dataset].config.privacy if dataset in scope.datasets else None
        for stated in manifest.privacy if manifest and policy else ():
            if len(parts := stated.split()) == 3 and policy:
                key_id, epoch, scope_of_keys = parts
                yield Space(policy.key, key_id, scope_of_keys, epoch, policy.addresses)


def _manifest_of(version: Version) -> TrainingManifest | None:
    """The manifest of a version; None if it has none that can be read."""
    try:
        with version.open(MANIFEST_NAME) as file:
            return TrainingManifest.if_readable(file.read())
    except FileNotFoundError:
        return None


def _search_table(file: BinaryIO, erasing: Erasing, erased: Erased) -> None:
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(_ROWS):
            texts = _texts_of(batch)
            columns = tuple(Column(name, pa.string(), True, False) for name in texts.schema.names)
            erased.rows.update(
                erasing.rows_with_subjects(texts, RowSchema("", columns, None), erased).values()
            )


def _texts_of(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The columns of text, and those of lists of text with one row for each value."""
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
