"""All rows with their event id, and the time at which a label for them was known.

The work files are joined with the labels one after the other. A join with a time sorts both sides,
and the rows of one file fit into memory.

Times are microseconds since 1970, UTC. Each step's result depends on its rows only, never on
their order, so the bytes of a set do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from exporter_pipelines.contracts.training_set import LabelSource, TrainingSetConfig
from exporter_pipelines.training import sql
from exporter_pipelines.training.columns import compared_columns
from exporter_pipelines.training.inputs import ORDER, Inputs
from exporter_pipelines.training.sql import kept
from exporter_pipelines.training.work_files import WorkFile

_MASKED = r"\S*\d\S*"
"""A token with a digit. In logs these are the values: addresses, ports, ids, durations."""


def label_rows(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    inputs: Inputs,
    rows: Sequence[WorkFile],
    labels: Mapping[str, Sequence[WorkFile]],
) -> dict[str, int]:
    """The table `labelled`: number, key, time, event, compared columns, and `_label_time`.

    `_label_time` is null for a row without a label. The table `templates` has the masked message
    of each event.

    Returns:
        Label source -> rows that it labels; a row may have labels of several.
    """
    for number, source in enumerate(config.labels):
        _make_labels(connection, source, inputs, labels[source.dataset], number)
    for number, file in enumerate(rows):
        into = "INSERT INTO labelled" if number else "CREATE TABLE labelled AS"
        connection.execute(f"{into} {_labelled(connection, config, inputs, file.path)}")
    _make_templates(connection, config, [file.path for file in rows])
    counts = _count_labels(connection, config)
    for number in range(len(config.labels)):
        connection.execute(f"ALTER TABLE labelled DROP COLUMN _by_{number}")
        connection.execute(f"DROP TABLE labels_{number}")
    return counts


def _labelled(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    inputs: Inputs,
    file: Path,
) -> str:
    time = f"epoch_us({sql.name(inputs.rows.time_column)})"
    first, last = sql.row(connection, f"SELECT min({time}), max({time}) FROM {sql.files([file])}")
    joins, times = [], []
    for number, source in enumerate(config.labels):
        ((_, ours),) = source.by.items()
        column, found = f"rows.{kept(ours)}", f"l{number}.t"
        if source.within is None:
            joins.append(f"LEFT JOIN labels_{number} l{number} ON {column} = l{number}.m")
            times.append(found)
            continue
        limit = sql.microseconds(source.within)
        near = f"(FROM labels_{number} WHERE t BETWEEN {first} AND {last + limit})"
        joins.append(
            f"ASOF LEFT JOIN {near} l{number} ON {column} = l{number}.m AND rows._time <= {found}"
        )
        times.append(f"CASE WHEN {found} - rows._time <= {limit} THEN {found} END")
    known = f"least({', '.join(times)})" if len(times) > 1 else times[0]
    by_source = ", ".join(f"({each}) IS NOT NULL AS _by_{n}" for n, each in enumerate(times))
    needed = "".join(f", {sql.name(each)} AS {kept(each)}" for each in compared_columns(config))
    rows = (
        f"SELECT {ORDER}, {sql.name(inputs.rows.key)}::VARCHAR AS _key, {time} AS _time, "
        f"left(md5({_template(config)}), 8) AS _event{needed} FROM {sql.files([file])}"
    )
    return (
        f"SELECT rows.*, {known} AS _label_time, {by_source} FROM ({rows}) rows {' '.join(joins)}"
    )


def _template(config: TrainingSetConfig) -> str:
    return f"regexp_replace(coalesce({sql.name(config.message)}, ''), '{_MASKED}', '<*>', 'g')"


def _make_templates(
    connection: duckdb.DuckDBPyConnection, config: TrainingSetConfig, files: Sequence[Path]
) -> None:
    # The masked text of one row per event: to mask a message is the slowest part.
    connection.execute(
        f"CREATE TABLE templates AS SELECT _event AS event_id, {_template(config)} AS template, "
        f"rows FROM (SELECT _event, min({ORDER}) AS {ORDER}, count(*) AS rows FROM labelled "
        f"GROUP BY 1) JOIN {sql.files(files)} USING ({ORDER})"
    )


def _make_labels(
    connection: duckdb.DuckDBPyConnection,
    source: LabelSource,
    inputs: Inputs,
    files: Sequence[WorkFile],
    number: int,
) -> None:
    """A table of (matched value, time); of labels by key the earliest time."""
    ((theirs, _),) = source.by.items()
    labels = inputs.labels[source.dataset]
    if not files:
        kind = {"int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN"}
        column = kind.get(labels.columns[theirs].type, "VARCHAR")
        connection.execute(f"CREATE TABLE labels_{number} (m {column}, t BIGINT)")
        return
    conditions = [f"({sql.condition(each)})" for each in source.when]
    when = " AND ".join([f"{sql.name(theirs)} IS NOT NULL", *conditions])
    time = f"epoch_us({sql.name(labels.time_column)})"
    earliest = source.within is None
    connection.execute(
        f"CREATE TABLE labels_{number} AS SELECT {sql.name(theirs)} AS m, "
        f"{f'min({time})' if earliest else time} AS t "
        f"FROM {sql.files(file.path for file in files)} "
        f"WHERE {when} {'GROUP BY 1' if earliest else ''}"
    )


def _count_labels(
    connection: duckdb.DuckDBPyConnection, config: TrainingSetConfig
) -> dict[str, int]:
    sums = ", ".join(f"count(*) FILTER (_by_{n})" for n in range(len(config.labels)))
    row = sql.row(connection, f"SELECT {sums} FROM labelled")
    return {
        f"{source.dataset} by {' = '.join(*source.by.items())}": int(count)
        for source, count in zip(config.labels, row, strict=True)
    }
