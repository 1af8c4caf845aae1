"""The layout `loghub_csv`: `<split>.log_structured.csv`, as published log-anomaly code reads it.

Columns: LineId, Label (`-` is normal), Timestamp (seconds since 1970), Date, Node, Time, Content,
EventId, EventTemplate, and the group as Component. One line per row, also of sets with windows.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from exporter_pipelines.contracts.training_set import SPLITS, TrainingSetConfig
from exporter_pipelines.training import sql
from exporter_pipelines.training.inputs import ORDER
from exporter_pipelines.training.plan import kept

FOLDER = "loghub_csv"


def write_loghub_csv(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    folder: Path,
) -> None:
    """Write one file per split, in the order of time, and `templates.csv`."""
    home = folder / FOLDER
    home.mkdir()
    group = config.windows.group if config.windows else config.split.groups
    node = f"coalesce(chosen.{kept(group)}::VARCHAR, '-')" if group else "'-'"
    moment = "make_timestamp(_time)"
    for split in SPLITS:
        query = (
            f"SELECT row_number() OVER (ORDER BY {ORDER}) AS LineId, "
            "CASE WHEN _label_time IS NULL THEN '-' ELSE 'ANOMALY' END AS Label, "
            f'_time // 1000000 AS "Timestamp", strftime({moment}, \'%Y.%m.%d\') AS "Date", '
            f"{node} AS Node, strftime({moment}, '%Y-%m-%d-%H.%M.%S.%f') AS \"Time\", "
            f"{node} AS Component, replace(replace({sql.name(config.message)}, chr(13), ' '), "
            "chr(10), ' ') AS Content, _event AS EventId, "
            "replace(replace(template, chr(13), ' '), chr(10), ' ') AS EventTemplate "
            f"FROM chosen JOIN source USING ({ORDER}) JOIN templates ON event_id = _event "
            f"WHERE split = {sql.text(split)} ORDER BY LineId"
        )
        _copy(connection, query, home / f"{split}.log_structured.csv")
    _copy(
        connection,
        "SELECT event_id AS EventId, replace(replace(template, chr(13), ' '), chr(10), ' ') AS "
        "EventTemplate, rows AS Occurrences FROM templates ORDER BY rows DESC, event_id",
        home / "templates.csv",
    )


def _copy(connection: duckdb.DuckDBPyConnection, query: str, file: Path) -> None:
    connection.execute(f"COPY ({query}) TO {sql.text(str(file))} (FORMAT csv, HEADER)")
