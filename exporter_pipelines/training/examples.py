"""The examples of each split, in the order of the files: one per row, or one per window."""

from __future__ import annotations

from pathlib import Path

import duckdb

from exporter_pipelines.contracts.training_set import TrainingSetConfig, Windows
from exporter_pipelines.training import sql
from exporter_pipelines.training.inputs import ORDER, Inputs
from exporter_pipelines.training.plan import Boundaries, kept

_ROWS_IN_MEMORY = 1_000_000
"""Rows whose events are in memory at once while windows are made; 24 bytes each."""

LABEL = "label"
EVENT = "event_id"
EVENTS = "events"
WINDOW_COLUMNS = ("start", "end", "rows", EVENTS, LABEL)
"""Columns of a window after that of its group."""

HIDDEN = ("_order", "_tie", "_window", "_group", "_label_time")
"""Columns that are in no file; the first three give the order within a split."""

_KNOWN = "_label_time"


def feature_columns(config: TrainingSetConfig, inputs: Inputs) -> list[str]:
    """The columns of the rows that examples have, key and time column among them."""
    wanted = set(inputs.rows.columns if config.features is None else config.features)
    wanted |= {inputs.rows.key, inputs.rows.time_column}
    return [name for name in inputs.rows.columns if name in wanted]


def label_sql(config: TrainingSetConfig) -> str:
    """0, 1 or null from the time at which a label was known."""
    otherwise = "NULL" if config.unlabelled == "unknown" else "0"
    return f"(CASE WHEN {_KNOWN} IS NOT NULL THEN 1 ELSE {otherwise} END)::BIGINT"


def make_examples(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    inputs: Inputs,
    boundaries: Boundaries,
    folder: Path,
) -> dict[str, int]:
    """The view `examples`: split, `HIDDEN` columns, then the columns of the files.

    Returns:
        Why rows are in no example: reason -> rows.
    """
    if config.windows is None:
        _rows(connection, config, inputs)
        return {}
    left_out = _window_rows(connection, config, config.windows, boundaries)
    files = _assemble(connection, config, config.windows.group, folder)
    connection.execute(f"CREATE VIEW examples AS SELECT * FROM {sql.files(files)}")
    return left_out


def _rows(connection: duckdb.DuckDBPyConnection, config: TrainingSetConfig, inputs: Inputs) -> None:
    columns = ", ".join(f"source.{sql.name(name)}" for name in feature_columns(config, inputs))
    group = f"{kept(config.split.groups)}::VARCHAR" if config.split.groups else "NULL::VARCHAR"
    connection.execute(
        f"CREATE VIEW examples AS SELECT split, {_order('_key', config.seed)} AS _order, "
        f"chosen.{ORDER} AS _tie, 0 AS _window, {group} AS _group, {_KNOWN}, {columns}, "
        f"_event AS {EVENT}, {label_sql(config)} AS {LABEL} FROM chosen JOIN source USING ({ORDER})"
    )


def _order(key: str, seed: int) -> str:
    """Train is shuffled; the other splits are in the order of time."""
    hashed = f"md5_number_lower(concat({seed}, ':shuffle:', {key}))"
    return f"CASE split WHEN 'train' THEN {hashed} ELSE 0 END"


def _window_rows(
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
        f"CREATE TABLE in_windows AS SELECT split, g, w, {ORDER}, _time, _event, {_KNOWN}, "
        f"w_start, w_end FROM ({members})"
    )
    within = sql.row(connection, f"SELECT count(DISTINCT {ORDER}) FROM in_windows")[0]
    return {"in_no_whole_window": before - int(within)}


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
    """Write the windows, a part of them at a time, since DuckDB cannot spill lists to disk."""
    rows = sql.count(connection, "in_windows")
    parts = max(1, -(-rows // _ROWS_IN_MEMORY))
    name = "concat(g, chr(0), w)"
    moment = "make_timestamptz({})".format
    files = []
    for part in range(parts):
        file = folder / f"windows-{part}.parquet"
        connection.execute(
            f"COPY (SELECT split, {_order(name, config.seed)} AS _order, min({ORDER}) AS _tie, "
            f"w AS _window, g::VARCHAR AS _group, min({_KNOWN}) AS {_KNOWN}, "
            f"g AS {sql.name(group)}, "
            f"{moment('coalesce(min(w_start), min(_time))')} AS start, "
            f'{moment("coalesce(min(w_end), max(_time) + 1)")} AS "end", count(*) AS rows, '
            f"list(_event ORDER BY {ORDER}) AS {EVENTS}, "
            f"{label_sql(config).replace(_KNOWN, f'min({_KNOWN})')} AS {LABEL} "
            f"FROM in_windows WHERE w % {parts} = {part} GROUP BY split, g, w) "
            f"TO {sql.text(str(file))} (FORMAT parquet, COMPRESSION zstd)"
        )
        files.append(file)
    return files
