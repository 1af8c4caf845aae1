"""Parquet files of even size: `train-00000-of-00007.parquet` and so on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exporter_pipelines.contracts.training_set import SPLITS
from exporter_pipelines.engine.hashing import size_and_sha256
from exporter_pipelines.training.examples import HIDDEN, Examples
from exporter_pipelines.training.shuffling import in_order

_GROUP_ROWS = 20_000
"""Rows of a row group: what a reader holds in memory at least."""

_EVIDENCE = pa.schema([
    ("example", pa.int64()), ("group", pa.string()), ("label_known_at", pa.timestamp("us", "UTC"))
])  # fmt: skip


@dataclass(frozen=True)
class Shard:
    """A written file: its path within the set, rows, bytes and SHA-256."""

    path: str
    split: str
    rows: int
    size_bytes: int
    sha256: str


def write_shards(examples: Examples, folder: Path, rows_per_file: int, work: Path) -> list[Shard]:
    """Write examples to `data/`, and what only checks may know to `evidence/`.

    The files of a split differ by one row at most. A split without examples has one empty file,
    so that every reader finds it.

    Args:
        examples: Of all splits.
        folder: Of the set.
        rows_per_file: Most examples in a file.
        work: For files that are deleted again.
    """
    (folder / "data").mkdir()
    (folder / "evidence").mkdir()
    extents, schema = examples.extents(), examples.schema()
    shards: list[Shard] = []
    for split in SPLITS:
        sorted_rows = in_order(
            examples.batches(split, extents[split]), schema, extents[split], work
        )
        rest = _Rows(sorted_rows)
        shards += _write_split(rest, schema, folder, split, extents[split].count, rows_per_file)
    return shards


def _write_split(
    rest: _Rows, schema: pa.Schema, folder: Path, split: str, total: int, rows_per_file: int
) -> Iterator[Shard]:
    files = max(1, -(-total // rows_per_file))
    plain = pa.schema([_plain(field) for field in schema if field.name not in HIDDEN])
    evidence = folder / "evidence" / f"{split}.parquet"
    with pq.ParquetWriter(evidence, _EVIDENCE, compression="zstd") as labels:
        done = 0
        for number in range(files):
            rows = total * (number + 1) // files - total * number // files
            path = f"data/{split}-{number:05}-of-{files:05}.parquet"
            with pq.ParquetWriter(folder / path, plain, compression="zstd") as writer:
                for table in rest.take(rows):
                    writer.write_table(table.select(plain.names).cast(plain), _GROUP_ROWS)
                    labels.write_table(_evidence(table, done))
                    done += len(table)
            with (folder / path).open("rb") as file:
                size, sha256 = size_and_sha256(file)
            yield Shard(path, split, rows, size, sha256)


def _plain(field: pa.Field) -> pa.Field:
    """Times in UTC, whatever DuckDB calls its zone; lists with Arrow's usual name of an item."""
    if pa.types.is_timestamp(field.type):
        return pa.field(field.name, pa.timestamp("us", "UTC"))
    if pa.types.is_list(field.type):
        return pa.field(field.name, pa.list_(field.type.value_type))
    return field


def _evidence(table: pa.Table, done: int) -> pa.Table:
    numbers = pa.array(np.arange(done, done + len(table)))
    known = table["_label_time"].cast(pa.int64()).cast(_EVIDENCE.field("label_known_at").type)
    return pa.table([numbers, table["_group"].cast(pa.string()), known], schema=_EVIDENCE)


class _Rows:
    """Rows in row groups of the same size, however the tables cut them."""

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self._tables, self._waiting = tables, deque[pa.Table]()

    def take(self, rows: int) -> Iterator[pa.Table]:
        """The next rows, in tables of `_GROUP_ROWS`; the last one may be smaller."""
        while rows:
            wanted = min(rows, _GROUP_ROWS)
            yield pa.concat_tables(self._pieces(wanted)).combine_chunks()
            rows -= wanted

    def _pieces(self, rows: int) -> Iterator[pa.Table]:
        while rows:
            table = self._waiting.popleft() if self._waiting else next(self._tables)
            if len(table) > rows:
                self._waiting.append(table.slice(rows))
            yield table.slice(0, rows)
            rows -= min(rows, len(table))
