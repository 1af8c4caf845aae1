"""The rows of the chosen days as Parquet work files, which DuckDB reads.

The rows come from the verified loader, not from DuckDB's own readers: DuckDB needs several times
its memory limit for compressed JSON Lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine import load
from exporter_pipelines.errors import DayNotPublishedError
from exporter_pipelines.training.inputs import ORDER, Input
from exporter_pipelines.training.pinning import InputChangedError, require_same_day

_FILE_ROWS = 262_144
"""Most rows of a work file: what DuckDB joins and sorts at once."""
_GROUP_ROWS = 16_384


@dataclass(frozen=True)
class WorkFile:
    """A work file: the rows from number `first` to `last`, both included."""

    path: Path
    first: int
    last: int


def write_work_files(
    store: Store, chosen: Input, columns: Sequence[str], folder: Path
) -> list[WorkFile]:
    """Write the rows of all days, in their order.

    Args:
        store: Where the days are published.
        chosen: The days.
        columns: That are needed; the others are left out.
        folder: Of the files; must exist.

    Raises:
        InputChangedError: a day was exported again or removed in the meantime.
        PublishedDayDamagedError: a file is not what its manifest says.
    """
    files: list[WorkFile] = []
    for day, manifest in chosen.days.items():
        if not manifest.record_count:
            continue
        number = files[-1].last + 1 if files else 0
        try:
            with load.open_day(store, chosen.dataset, day) as reader:
                files += _write(reader, columns, number, folder / f"{chosen.dataset}-{day}")
        except DayNotPublishedError:  # removed since it was chosen
            raise InputChangedError(f"{chosen.dataset} {day}") from None
        require_same_day(store, chosen.dataset, day, manifest.data_version)
    return files


def _write(
    reader: pa.RecordBatchReader, columns: Sequence[str], number: int, stem: Path
) -> Iterator[WorkFile]:
    schema = pa.schema([
        pa.field(ORDER, pa.int64()), *(reader.schema.field(name) for name in columns)
    ])  # fmt: skip
    groups = _groups(reader, columns)
    group = next(groups, None)
    while group is not None:
        first, path = number, stem.with_name(f"{stem.name}-{number:012}.parquet")
        with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
            while group is not None and number - first < _FILE_ROWS:
                numbers = pa.array(np.arange(number, number + len(group)))
                number += len(group)
                writer.write_table(pa.table([numbers, *group.columns], schema=schema))
                group = next(groups, None)
        yield WorkFile(path, first, number - 1)


def _groups(reader: pa.RecordBatchReader, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The rows in tables of `_GROUP_ROWS`; the last one may be smaller."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        rest = batch.select(list(columns))
        while rows + len(rest) >= _GROUP_ROWS:
            taken = _GROUP_ROWS - rows
            yield pa.Table.from_batches([*waiting, rest.slice(0, taken)])
            waiting, rows, rest = [], 0, rest.slice(taken)
        if len(rest):
            waiting.append(rest)
            rows += len(rest)
    if waiting:
        yield pa.Table.from_batches(waiting)
