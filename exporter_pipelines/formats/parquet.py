"""Parquet: typed and columnar, for analytics. It compresses its content and changes no values.

A row group ends after a fixed number of rows or bytes, not at the end of a batch. So the same rows
give the same bytes for any `batch_rows`.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, BinaryIO, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from exporter_pipelines.contracts.staged_day import Data
from exporter_pipelines.formats.bucket_snippets import bucket_templates, place_values
from exporter_pipelines.formats.contract import Export, Format
from exporter_pipelines.formats.snippets import (
    ARROW_SCHEMA,
    DUCKDB,
    filled,
    polars_schema,
    sql_code,
    sql_literal,
    sql_names,
    through_arrow,
)

_GROUP_ROWS = 65_536
_GROUP_BYTES = 32 * 1024 * 1024
_READ_ROWS = 4_096
_WRITER_ROWS = 1_024
"""The writer encodes this many rows at a time, and may end a page after them."""

_ARROW = f"""\
import glob
import pyarrow as pa
import pyarrow.parquet

{ARROW_SCHEMA}
$result = pa.concat_tables(
    [schema.empty_table()]
    + [
        pa.parquet.read_table(file, schema=schema, partitioning=None)
        for file in sorted(glob.glob($files))
    ]
)"""
_LOADING_CODE = {
    **through_arrow(_ARROW, "pandas"),
    "polars": """\
import polars as pl

schema = $polars
$result = pl.scan_parquet(
    $files, schema=schema, missing_columns="insert", extra_columns="ignore",
    hive_partitioning=False,
).collect()""",
    "duckdb": DUCKDB,
    "pyarrow": _ARROW,
    **through_arrow(_ARROW, "datasets"),
}


class ParquetFormat(Format):
    """See `formats.contract.Format`."""

    name: ClassVar[str] = "parquet"
    suffix: ClassVar[str] = ".parquet"
    media_type: ClassVar[str] = "application/vnd.apache.parquet"
    croissant: ClassVar[str] = "application/x-parquet"
    packs_itself: ClassVar[bool] = True

    @classmethod
    def loading_code(cls, export: Export) -> dict[str, str]:
        """See `formats.contract.Format`."""
        code = _LOADING_CODE
        if export.bucket:
            code = bucket_templates(_ARROW, polars=_LOADING_CODE["polars"])
        return filled(
            code,
            **place_values(export),
            polars=polars_schema(export.schema),
            duckdb=sql_code(_duckdb(export), export.schema),
        )

    def _begin(self) -> None:
        self._sink = _Drain()
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def encode(
        self,
        batch: pa.RecordBatch,
        changed: Counter[str],  # noqa: ARG002
    ) -> Iterator[Data]:
        """See `formats.contract.Format`."""
        rows = batch.select(list(self._schema.names))
        while rows.num_rows:
            sizes = self._bytes + np.cumsum(_text_bytes(rows))
            full_after = int(np.searchsorted(sizes, _GROUP_BYTES)) + 1
            taken = min(full_after, _GROUP_ROWS - self._rows, rows.num_rows)
            self._waiting.append(rows.slice(0, taken))
            self._rows, self._bytes = self._rows + taken, int(sizes[taken - 1])
            if self._rows == _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
                self._write_group()
            rows = rows.slice(taken)
            yield from self._sink.drain()

    def finish(self) -> Iterator[Data]:
        """See `formats.contract.Format`."""
        if self._waiting:
            self._write_group()
        if self._writer is not None:
            self._writer.close()
        yield from self._sink.drain()

    def decode(self, file: BinaryIO) -> Iterator[pa.RecordBatch]:
        """See `formats.contract.Format`."""
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(_READ_ROWS):
                yield batch.cast(self._schema.arrow)

    def _write_group(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._sink, self._schema.arrow, compression=self._compression
            )
        group = _aligned(pa.Table.from_batches(self._waiting)).cast(self._schema.arrow)
        self._waiting, self._rows, self._bytes = [], 0, 0
        self._writer.write_table(group, row_group_size=group.num_rows)


def _aligned(group: pa.Table) -> pa.Table:
    """The same rows in chunks that end after a multiple of rows at which the writer looks.

    So it ends pages where it would with a single chunk, and only the few rows around the end of a
    batch are copied.
    """
    ends = np.cumsum([0, *(len(chunk) for chunk in group.column(0).chunks)])
    before = ends // _WRITER_ROWS * _WRITER_ROWS
    cuts = np.unique(np.minimum(np.concatenate([before, before + _WRITER_ROWS]), len(group)))
    return pa.concat_tables(
        group.slice(start, end - start).combine_chunks() for start, end in pairwise(cuts.tolist())
    )


def _duckdb(export: Export) -> str:
    return f"""
FROM read_parquet(
    {sql_literal(export.files)}, hive_partitioning=false, union_by_name=true
)
SELECT {sql_names(export.schema)}
"""


class _Drain(io.RawIOBase):
    """A file in memory whose content is taken out while it is written."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def drain(self) -> list[bytes]:
        """The pieces that were written since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces


def _text_bytes(batch: pa.RecordBatch) -> Any:
    """Bytes of text in each row, as a numpy array."""
    total = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if pa.types.is_string(column.type):
            total += pc.fill_null(pc.binary_length(column), 0).to_numpy()
    return total
