"""The examples of a set as Arrow batches, one per window of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from exporter_pipelines.contracts.training_set import TrainingSetConfig, Windows
from exporter_pipelines.training import sql
from exporter_pipelines.training.examples import (
    EVENTS,
    KNOWN,
    LABEL,
    Extent,
    extents_of,
    label_sql,
    order_sql,
)
from exporter_pipelines.training.inputs import ORDER
from exporter_pipelines.training.splitting import Boundaries
from exporter_pipelines.training.sql import kept

_ROWS_IN_MEMORY = 250_000
"""Rows whose events are in memory at once while windows are made: DuckDB cannot spill lists."""


@dataclass(frozen=True)
class WindowExamples:
    """One example per window, in the files that `make_windows` wrote.

    Attributes:
        connection: Of the build.
        files: Parquet files with the windows of all splits.
    """

    connection: duckdb.DuckDBPyConnection
    files: Sequence[Path]

    def extents(self) -> Mapping[str, Extent]:
        """See `Examples`."""
        return extents_of(self.connection, sql.files(self.files), "_tie")

    def schema(self) -> pa.Schema:
        """See `Examples`."""
        return sql.schema(self.connection, self._query("train", self.files[0]))

    def batches(self, split: str, extent: Extent) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """See `Examples`."""
        for file in self.files:
            yield from sql.batches(self.connection, self._query(split, file))

    def _query(self, split: str, file: Path) -> str:
        source = sql.files([file])
        return f"SELECT * EXCLUDE (split) FROM {source} WHERE split = {sql.text(split)}"


def make_windows(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    windows: Windows,
    boundaries: Boundaries,
    folder: Path,
) -> tuple[WindowExamples, dict[str, int]]:
    """Write the windows of the table `chosen` into a folder.

    Returns:
        The examples, and why rows are in no example: reason -> rows.
    """
    left_out = _place_rows(connection, config, windows, boundaries)
    files = _assemble(connection, config, windows.group, folder)
    connection.execute("DROP TABLE in_windows")
    return WindowExamples(connection, files), left_out


def _place_rows(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    windows: Windows,
    boundaries: Boundaries,
) -> dict[str, int]:
    """The table `in_windows`: a row for each row in each window."""
    group = kept(windows.group)
    before = sql.count(connection, "chosen")
    if windows.size is not None:
        members = _by_time(config, windows, boundaries, group)
    else:
        members = _by_rows(windows, group)
    connection.execute(
        f"CREATE TABLE in_windows AS SELECT split, g, w, {ORDER}, _time, _event, {KNOWN}, "
        f"w_start, w_end FROM ({members})"
    )
    return {"in_no_whole_window": before - _rows_in_windows(connection, before)}


def _rows_in_windows(connection: duckdb.DuckDBPyConnection, most: int) -> int:
    """Different rows, counted in parts: DuckDB keeps those that it has seen in memory."""
    parts = max(1, -(-most // _ROWS_IN_MEMORY))
    return sum(
        int(
            sql.row(
                connection,
                f"SELECT count(DISTINCT {ORDER}) FROM in_windows WHERE {ORDER} % {parts} = {part}",
            )[0]
        )
        for part in range(parts)
    )


def _by_time(
    config: TrainingSetConfig, windows: Windows, boundaries: Boundaries, group: str
) -> str:
    assert windows.size is not None
    size, gap = sql.microseconds(windows.size), sql.microseconds(config.split.gap)
    every = sql.microseconds(windows.every or windows.size)
    first = f"{sql.whole_parts(f'_time - {size}', every)} + 1"
    last = sql.whole_parts("_time", every)
    return (
        f"SELECT *, w * {every} AS w_start, w * {every} + {size} AS w_end FROM (SELECT *, {group} "
        f"AS g, unnest(generate_series({first}, {last})) AS w FROM chosen "
        f"WHERE {group} IS NOT NULL) WHERE "
        f"CASE split WHEN 'train' THEN w * {every} + {size} <= {boundaries.validation} "
        f"WHEN 'validation' THEN w * {every} >= {boundaries.validation + gap} "
        f"AND w * {every} + {size} <= {boundaries.test} "
        f"ELSE w * {every} >= {boundaries.test + gap} END"
    )


def _by_rows(windows: Windows, group: str) -> str:
    assert windows.rows is not None
    rows, step = windows.rows, windows.step or windows.rows
    first = f"CASE WHEN p < {rows} THEN 0 ELSE (p - {rows} + {step}) // {step} END"
    return (
        f"SELECT *, NULL::BIGINT AS w_start, NULL::BIGINT AS w_end FROM (SELECT *, "
        f"unnest(generate_series({first}, p // {step})) AS w FROM (SELECT *, {group} AS g, "
        f"row_number() OVER (PARTITION BY split, {group} ORDER BY {ORDER}) - 1 AS p, "
        f"count(*) OVER (PARTITION BY split, {group}) AS size FROM chosen "
        f"WHERE {group} IS NOT NULL)) WHERE w * {step} + {rows} <= size"
    )


def _assemble(
    connection: duckdb.DuckDBPyConnection, config: TrainingSetConfig, group: str, folder: Path
) -> list[Path]:
    """Write the windows, a part of them at a time."""
    rows = sql.count(connection, "in_windows")
    parts = max(1, -(-rows // _ROWS_IN_MEMORY))
    name = "concat(g, chr(0), w)"
    moment = "make_timestamptz({})".format
    files = []
    for part in range(parts):
        file = folder / f"windows-{part:05}.parquet"
        connection.execute(
            f"COPY (SELECT split, {order_sql(name, config.seed)} AS _order, min({ORDER}) AS _tie, "
            f"w AS _window, g::VARCHAR AS _group, min({KNOWN}) AS {KNOWN}, "
            f"g AS {sql.name(group)}, "
            f"{moment('coalesce(min(w_start), min(_time))')} AS start, "
            f'{moment("coalesce(min(w_end), max(_time) + 1)")} AS "end", count(*) AS rows, '
            f"list(_event ORDER BY {ORDER}) AS {EVENTS}, "
            f"{label_sql(config, f'min({KNOWN})')} AS {LABEL} "
            f"FROM in_windows WHERE w % {parts} = {part} GROUP BY split, g, w) "
            f"TO {sql.text(str(file))} (FORMAT parquet, COMPRESSION zstd)"
        )
        files.append(file)
    return files
