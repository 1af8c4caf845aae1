"""The examples of a set as Arrow batches, one per row of the source; `windows` has the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import duckdb
import pyarrow as pa

from exporter_pipelines.contracts.training_set import SPLITS, TrainingSetConfig
from exporter_pipelines.training import sql
from exporter_pipelines.training.columns import feature_columns
from exporter_pipelines.training.inputs import ORDER, Inputs
from exporter_pipelines.training.sql import kept
from exporter_pipelines.training.work_files import WorkFile

LABEL = "label"
EVENT = "event_id"
EVENTS = "events"

HIDDEN = ("_order", "_tie", "_window", "_group", "_label_time")
"""Columns that are in no file; the first three give the order within a split."""

KNOWN = "_label_time"


@dataclass(frozen=True)
class Extent:
    """How many examples a split has, and the first and last `_tie` among them."""

    count: int = 0
    first: int = 0
    last: int = 0


class Examples(Protocol):
    """Examples that are read split by split."""

    def extents(self) -> Mapping[str, Extent]:
        """Of each split."""
        ...

    def schema(self) -> pa.Schema:
        """`HIDDEN`, then the columns of the files."""
        ...

    def batches(self, split: str, extent: Extent) -> Iterator[pa.RecordBatch]:
        """The examples of a split, whose extent is this one, in any order."""
        ...


@dataclass(frozen=True)
class RowExamples:
    """One example per row of the table `chosen`.

    The work files are joined one after the other, so that DuckDB has the rows of one in memory.

    Attributes:
        connection, config, inputs: Of the build.
        files: The work files of the rows.
    """

    connection: duckdb.DuckDBPyConnection
    config: TrainingSetConfig
    inputs: Inputs
    files: Sequence[WorkFile]

    def extents(self) -> Mapping[str, Extent]:
        """See `Examples`."""
        return extents_of(self.connection, "chosen", ORDER)

    def schema(self) -> pa.Schema:
        """See `Examples`."""
        return sql.schema(self.connection, self._query(SPLITS[0], self.files[0]))

    def batches(self, split: str, extent: Extent) -> Iterator[pa.RecordBatch]:
        """See `Examples`."""
        for file in self.files:
            if extent.count and file.first <= extent.last and extent.first <= file.last:
                yield from sql.batches(self.connection, self._query(split, file))

    def _query(self, split: str, file: WorkFile) -> str:
        columns = ", ".join(map(sql.name, feature_columns(self.config, self.inputs)))
        groups = self.config.split.groups
        group = f"{kept(groups)}::VARCHAR" if groups else "NULL::VARCHAR"
        return (
            f"SELECT {order_sql('_key', self.config.seed)} AS _order, {ORDER} AS _tie, "
            f"0 AS _window, {group} AS _group, {KNOWN}, {columns}, _event AS {EVENT}, "
            f"{label_sql(self.config)} AS {LABEL} FROM "
            f"(FROM chosen WHERE {ORDER} BETWEEN {file.first} AND {file.last} "
            f"AND split = {sql.text(split)}) JOIN {sql.files([file.path])} USING ({ORDER})"
        )


def extents_of(connection: duckdb.DuckDBPyConnection, table: str, tie: str) -> Mapping[str, Extent]:
    """The extent of each split in a table."""
    found = connection.execute(
        f"SELECT split, count(*), min({tie}), max({tie}) FROM {table} GROUP BY 1"
    ).fetchall()
    return {split: Extent() for split in SPLITS} | {row[0]: Extent(*row[1:]) for row in found}


def label_sql(config: TrainingSetConfig, known: str = KNOWN) -> str:
    """0, 1 or null from the time at which a label was known."""
    otherwise = "NULL" if config.unlabelled == "unknown" else "0"
    return f"(CASE WHEN {known} IS NOT NULL THEN 1 ELSE {otherwise} END)::BIGINT"


def order_sql(key: str, seed: int) -> str:
    """Train is shuffled; the other splits are in the order of time."""
    hashed = f"md5_number_lower(concat({seed}, ':shuffle:', {key}))"
    return f"(CASE split WHEN 'train' THEN {hashed} ELSE 0 END)::UBIGINT"
