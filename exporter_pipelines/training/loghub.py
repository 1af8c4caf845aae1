"""The layout `loghub_csv`: `<split>.log_structured.csv`, as published log-anomaly code reads it.

Columns: LineId, Label (`-` is normal), Timestamp (seconds since 1970), Date, Node, Time, Content,
EventId, EventTemplate, and the group as Component. One line per row, also of sets with windows.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb

from exporter_pipelines.contracts.training_set import SPLITS, TrainingSetConfig
from exporter_pipelines.training import sql
from exporter_pipelines.training.inputs import ORDER
from exporter_pipelines.training.sql import kept
from exporter_pipelines.training.work_files import WorkFile

FOLDER = "loghub_csv"


def write_loghub_csv(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    files: Sequence[WorkFile],
    folder: Path,
) -> None:
    """Write one file per split, in the order of time, and `templates.csv`.

    Args:
        connection, config: Of the build.
        files: The work files of the rows, whose lines are appended one after the other.
        folder: Of the set.
    """
    home = folder / FOLDER
    home.mkdir()
    for split in SPLITS:
        with (home / f"{split}.log_structured.csv").open("wb") as whole:
            lines = 0
            for number, file in enumerate(files):
                part = home / f".{file.path.stem}.csv"
                query = _lines(config, file, split, lines)
                lines += _copy(connection, query, part, header=number == 0)
                with part.open("rb") as opened:
                    shutil.copyfileobj(opened, whole)
                part.unlink()
    _copy(
        connection,
        "SELECT event_id AS EventId, replace(replace(template, chr(13), ' '), chr(10), ' ') AS "
        "EventTemplate, rows AS Occurrences FROM templates ORDER BY rows DESC, event_id",
        home / "templates.csv",
        header=True,
    )


def _lines(config: TrainingSetConfig, file: WorkFile, split: str, before: int) -> str:
    """The lines of a work file; `before` is the number of those before them."""
    group = config.windows.group if config.windows else config.split.groups
    node = f"coalesce(chosen.{kept(group)}::VARCHAR, '-')" if group else "'-'"
    moment = "make_timestamp(_time)"
    return (
        f"SELECT {before} + row_number() OVER (ORDER BY {ORDER}) AS LineId, "
        "CASE WHEN _label_time IS NULL THEN '-' ELSE 'ANOMALY' END AS Label, "
        f'_time // 1000000 AS "Timestamp", strftime({moment}, \'%Y.%m.%d\') AS "Date", '
        f"{node} AS Node, strftime({moment}, '%Y-%m-%d-%H.%M.%S.%f') AS \"Time\", "
        f"{node} AS Component, replace(replace({sql.name(config.message)}, chr(13), ' '), "
        "chr(10), ' ') AS Content, _event AS EventId, "
        "replace(replace(template, chr(13), ' '), chr(10), ' ') AS EventTemplate "
        f"FROM chosen JOIN {sql.files([file.path])} USING ({ORDER}) "
        f"JOIN templates ON event_id = _event WHERE {ORDER} BETWEEN {file.first} AND {file.last} "
        f"AND split = {sql.text(split)} ORDER BY LineId"
    )


def _copy(connection: duckdb.DuckDBPyConnection, query: str, file: Path, *, header: bool) -> int:
    """Write the result of a query, and return its rows."""
    options = f"FORMAT csv, HEADER {str(header).lower()}"
    return int(sql.row(connection, f"COPY ({query}) TO {sql.text(str(file))} ({options})")[0])
