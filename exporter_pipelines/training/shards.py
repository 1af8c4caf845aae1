"""Parquet files of even size: `train-00000-of-00007.parquet` and so on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exporter_pipelines.contracts.training_set import SPLITS
from exporter_pipelines.engine.hashing import size_and_sha256
from exporter_pipelines.training import sql
from exporter_pipelines.training.examples import HIDDEN

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


def write_shards(
    connection: duckdb.DuckDBPyConnection, folder: Path, rows_per_file: int
) -> list[Shard]:
    """Write the view `examples` to `data/`, and what only checks may know to `evidence/`.

    The files of a split differ by one row at most. A split without examples has one empty file,
    so that every reader finds it.
    """
    (folder / "data").mkdir()
    (folder / "evidence").mkdir()
    return [
        shard
        for split in SPLITS
        for shard in _write_split(connection, folder, split, rows_per_file)
    ]


def _write_split(
    connection: duckdb.DuckDBPyConnection, folder: Path, split: str, rows_per_file: int
) -> Iterator[Shard]:
    total = int(sql.row(connection, "SELECT count(*) FROM examples WHERE split = ?", [split])[0])
    files = max(1, -(-total // rows_per_file))
    reader = connection.sql(
        "SELECT * EXCLUDE (split) FROM examples WHERE split = ? ORDER BY _order, _tie, _window",
        params=[split],
    ).to_arrow_reader(_GROUP_ROWS)
    schema = pa.schema([_plain(field) for field in reader.schema if field.name not in HIDDEN])
    rest = _Rows(reader)
    evidence = folder / "evidence" / f"{split}.parquet"
    with pq.ParquetWriter(evidence, _EVIDENCE, compression="zstd") as labels:
        done = 0
        for number in range(files):
            rows = total * (number + 1) // files - total * number // files
            path = f"data/{split}-{number:05}-of-{files:05}.parquet"
            with pq.ParquetWriter(folder / path, schema, compression="zstd") as writer:
                for table in rest.take(rows):
                    writer.write_table(table.select(schema.names).cast(schema), _GROUP_ROWS)
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
    """Rows of a reader in row groups of the same size, however the reader cuts its batches."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader, self._rest = reader, pa.Table.from_batches([], reader.schema)

    def take(self, rows: int) -> Iterator[pa.Table]:
        """The next rows, in tables of `_GROUP_ROWS`; the last one may be smaller."""
        while rows:
            wanted = min(rows, _GROUP_ROWS)
            while len(self._rest) < wanted:
                batch = self._reader.read_next_batch()
                self._rest = pa.concat_tables([self._rest, pa.Table.from_batches([batch])])
            yield self._rest.slice(0, wanted).combine_chunks()
            self._rest = self._rest.slice(wanted)
            rows -= wanted
