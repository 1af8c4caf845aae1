"""From rows to labelled examples of a split, as tables in DuckDB, one step after the other.

    rows      all rows: number, key, time, group, event id
    labelled  + label and the time at which the label was known
    assigned  + split, or why a row is left out
    chosen    without repeated and thinned rows

Times are microseconds since 1970, UTC. Each step's result depends on its rows only, never on
their order, so the bytes of a set do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from exporter_pipelines.contracts.training_set import LabelSource, TrainingSetConfig
from exporter_pipelines.training import sql
from exporter_pipelines.training.inputs import ORDER, Inputs

_MASKED = r"\S*\d\S*"
"""A token with a digit. In logs these are the values: addresses, ports, ids, durations."""

_TABLE = "<the table of the step>"
"""Stands for the table in a condition; no name contains it, since names are quoted."""


@dataclass(frozen=True)
class Boundaries:
    """The times, in microseconds, at which validation and test begin, before the gap."""

    validation: int
    test: int


def columns_of_rows(config: TrainingSetConfig, inputs: Inputs) -> list[str]:
    """The columns that the rows need in their work files, in the order of the dataset."""
    rows = inputs.rows
    needed = {rows.key, rows.time_column, config.message}
    needed |= set(rows.columns if config.features is None else config.features)
    needed |= {ours for source in config.labels for ours in source.by.values()}
    needed |= set(config.dedup.exact)
    needed |= {config.sample.by} if config.sample else set()
    needed |= {config.windows.group} if config.windows else set()
    needed |= {config.split.groups} if config.split.groups else set()
    return [name for name in rows.columns if name in needed]


def columns_of_labels(config: TrainingSetConfig, inputs: Inputs, dataset: str) -> list[str]:
    """The columns that a label dataset needs in its work files."""
    labels = inputs.labels[dataset]
    sources = [source for source in config.labels if source.dataset == dataset]
    needed = {labels.time_column, *(column for source in sources for column in source.by)}
    needed |= {each.column for source in sources for each in source.when}
    return [name for name in labels.columns if name in needed]


def make_rows(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    inputs: Inputs,
    files: Sequence[Path],
) -> None:
    """The table `rows`, and the view `source` with the columns of the work files."""
    connection.execute(f"CREATE VIEW source AS SELECT * FROM {sql.files(files)}")
    template = f"regexp_replace(coalesce({sql.name(config.message)}, ''), '{_MASKED}', '<*>', 'g')"
    others = dict.fromkeys(
        name
        for name in (
            *(ours for source in config.labels for ours in source.by.values()),
            *config.dedup.exact,
            config.sample.by if config.sample else None,
            config.windows.group if config.windows else None,
            config.split.groups,
        )
        if name
    )
    needed = "".join(f", {sql.name(each)} AS {kept(each)}" for each in others)
    connection.execute(
        f"CREATE TABLE rows AS SELECT {ORDER}, {sql.name(inputs.rows.key)}::VARCHAR AS _key, "
        f"epoch_us({sql.name(inputs.rows.time_column)}) AS _time, "
        f"left(md5({template}), 8) AS _event{needed} FROM source"
    )
    # The masked text of one row per event: to mask a message is the slowest part.
    connection.execute(
        f"CREATE TABLE templates AS SELECT _event AS event_id, {template} AS template, rows FROM "
        f"(SELECT _event, min({ORDER}) AS {ORDER}, count(*) AS rows FROM rows GROUP BY 1) "
        f"JOIN source USING ({ORDER})"
    )


def kept(column: str) -> str:
    """The name of a column of the source in `rows`: none begins with an underscore there."""
    return sql.name(f"c_{column}")


def add_labels(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    inputs: Inputs,
    files: dict[str, Sequence[Path]],
) -> None:
    """The table `labelled`: `_label_time` is null for a row without a label."""
    joins, times = [], []
    for number, source in enumerate(config.labels):
        _labels_of(connection, source, inputs, files[source.dataset], number)
        ((_, ours),) = source.by.items()
        column = f"rows.{kept(ours)}"
        if source.within is None:
            joins.append(f"LEFT JOIN labels_{number} ON {column} = labels_{number}.m")
            times.append(f"labels_{number}.t")
        else:
            joins.append(
                f"ASOF LEFT JOIN labels_{number} ON {column} = labels_{number}.m "
                f"AND rows._time <= labels_{number}.t"
            )
            limit = sql.microseconds(source.within)
            found = f"labels_{number}.t"
            times.append(f"CASE WHEN {found} - rows._time <= {limit} THEN {found} END")
    known = f"least({', '.join(times)})" if len(times) > 1 else times[0]
    by_source = ", ".join(f"({time}) IS NOT NULL AS _by_{n}" for n, time in enumerate(times))
    connection.execute(
        f"CREATE TABLE labelled AS SELECT rows.*, {known} AS _label_time, {by_source} "
        f"FROM rows {' '.join(joins)}"
    )
    connection.execute("DROP TABLE rows")


def _labels_of(
    connection: duckdb.DuckDBPyConnection,
    source: LabelSource,
    inputs: Inputs,
    files: Sequence[Path],
    number: int,
) -> None:
    """A table of (matched value, time); of labels by key the earliest time."""
    ((theirs, _),) = source.by.items()
    if not files:
        columns = inputs.labels[source.dataset].columns[theirs].type
        kind = {"int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN"}.get(columns, "VARCHAR")
        connection.execute(f"CREATE TABLE labels_{number} (m {kind}, t BIGINT)")
        return
    when = " AND ".join(["m IS NOT NULL", *(f"({sql.condition(c)})" for c in source.when)])
    time = f"epoch_us({sql.name(inputs.labels[source.dataset].time_column)})"
    earliest = source.within is None
    connection.execute(
        f"CREATE TABLE labels_{number} AS SELECT {sql.name(theirs)} AS m, "
        f"{f'min({time})' if earliest else time} AS t FROM {sql.files(files)} "
        f"WHERE {when.replace('m IS', sql.name(theirs) + ' IS', 1)} "
        f"{'GROUP BY 1' if earliest else ''}"
    )


def count_labels(
    connection: duckdb.DuckDBPyConnection, config: TrainingSetConfig
) -> dict[str, int]:
    """Label source -> rows that it labels; a row may have labels of several."""
    sums = ", ".join(f"count(*) FILTER (_by_{n})" for n in range(len(config.labels)))
    row = sql.row(connection, f"SELECT {sums} FROM labelled")
    return {
        f"{source.dataset} by {' = '.join(*source.by.items())}": int(count)
        for source, count in zip(config.labels, row, strict=True)
    }


def find_boundaries(connection: duckdb.DuckDBPyConnection, config: TrainingSetConfig) -> Boundaries:
    """The first whole seconds before which `train`, and `train + validation`, of the rows are."""
    found = sql.row(
        connection,
        f"WITH seconds AS (SELECT {sql.whole_parts('_time', 1_000_000)} AS s, count(*) AS n "
        "FROM labelled GROUP BY 1), "
        "sums AS (SELECT s, sum(n) OVER (ORDER BY s) AS upto, sum(n) OVER () AS total FROM seconds)"
        " SELECT min(s) FILTER (upto >= ? * total) + 1, min(s) FILTER (upto >= ? * total) + 1 "
        "FROM sums",
        [config.split.train, config.split.train + config.split.validation],
    )
    if found[0] is None:
        return Boundaries(0, 0)
    return Boundaries(int(found[0]) * 1_000_000, int(found[1]) * 1_000_000)


def assign_splits(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    boundaries: Boundaries,
    open_ends: Sequence[int],
) -> dict[str, int]:
    """The table `assigned`, and why rows are left out: reason -> rows.

    Args:
        connection, config: Of the build.
        boundaries: Of the splits.
        open_ends: Ends of days whose next day is not used, so its labels are not known.
    """
    gap, settings = sql.microseconds(config.split.gap), config.split
    by_time = (
        f"CASE WHEN _time < {boundaries.validation} THEN 'train' "
        f"WHEN _time < {boundaries.validation + gap} THEN NULL "
        f"WHEN _time < {boundaries.test} THEN 'validation' "
        f"WHEN _time < {boundaries.test + gap} THEN NULL ELSE 'test' END"
    )
    reason = ["WHEN by_time IS NULL THEN 'in_the_gap'"]
    if settings.groups:
        group = kept(settings.groups)
        share = sql.share_of(f"{group}::VARCHAR", config.seed)
        by_group = (
            f"CASE WHEN {share} < {settings.train} THEN 'train' "
            f"WHEN {share} < {settings.train + settings.validation} THEN 'validation' "
            "ELSE 'test' END"
        )
        reason.append(f"WHEN {group} IS NULL THEN 'without_a_group'")
        reason.append(f"WHEN {by_group} <> by_time THEN 'group_of_another_split'")
    reason.append(
        f"WHEN _label_time >= CASE by_time WHEN 'train' THEN {boundaries.validation} "
        f"WHEN 'validation' THEN {boundaries.test} END THEN 'label_known_too_late'"
    )
    longest = max((sql.microseconds(s.within) for s in config.labels if s.within), default=0)
    if longest:
        near = " OR ".join(f"(_time < {end} AND _time + {longest} > {end})" for end in open_ends)
        reason.append(f"WHEN _label_time IS NULL AND ({near}) THEN 'labels_not_complete'")
    if config.unlabelled == "drop":
        reason.append("WHEN _label_time IS NULL THEN 'unlabelled'")
    connection.execute(
        f"CREATE TABLE assigned AS SELECT *, CASE {' '.join(reason)} END AS _left_out "
        f"FROM (SELECT *, {by_time} AS by_time FROM labelled)"
    )
    connection.execute("DROP TABLE labelled")
    counted = connection.execute(
        "SELECT _left_out, count(*) FROM assigned WHERE _left_out IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return {str(name): int(count) for name, count in counted}


def choose_rows(connection: duckdb.DuckDBPyConnection, config: TrainingSetConfig) -> dict[str, int]:
    """The table `chosen`: without repeated rows and without those that sampling leaves out."""
    left_out = {}
    connection.execute("CREATE VIEW kept_0 AS SELECT * FROM assigned WHERE _left_out IS NULL")
    connection.execute(
        f"CREATE TABLE repeated_keys AS SELECT _key, min({ORDER}) AS first FROM kept_0 "
        "GROUP BY _key HAVING count(*) > 1"
    )
    steps = [("key_of_another_row", _ONE_PER_KEY)]
    split = "by_time, " if config.dedup.per == "split" else ""
    if config.dedup.exact:
        columns = ", ".join(kept(column) for column in config.dedup.exact)
        steps.append(("repeated", _first_of(f"{split}{columns}")))
    if config.dedup.near:
        group = config.windows.group if config.windows else config.split.groups
        columns = f"{split}_event{f', {kept(group)}' if group else ''}"
        steps.append(("same_template", _first_of(columns)))
    if config.sample:
        steps.append(("thinned", _sampled(config)))
    for number, (reason, condition) in enumerate(steps):
        connection.execute(
            f"CREATE TABLE kept_{number + 1} AS SELECT * FROM kept_{number} "
            f"WHERE {condition.replace(_TABLE, f'kept_{number}')}"
        )
        before, after = (sql.count(connection, f"kept_{n}") for n in (number, number + 1))
        left_out[reason] = before - after
    connection.execute(
        f"CREATE TABLE chosen AS SELECT * EXCLUDE (by_time, _left_out), by_time AS split "
        f"FROM kept_{len(steps)}"
    )
    return left_out


_ONE_PER_KEY = (
    "(_key NOT IN (SELECT _key FROM repeated_keys) "
    f"OR {ORDER} IN (SELECT first FROM repeated_keys))"
)
"""A key is not unique in every source; two rows of one key must not be in two splits."""


def _first_of(columns: str) -> str:
    return f"{ORDER} IN (SELECT min({ORDER}) FROM {_TABLE} GROUP BY {columns})"


def _sampled(config: TrainingSetConfig) -> str:
    assert config.sample
    column = f"{kept(config.sample.by)}::VARCHAR"
    share = sql.share_of("_key", config.seed)
    cases = " ".join(
        f"WHEN {sql.text(value)} THEN {share} < {keep}"
        for value, keep in sorted(config.sample.keep.items())
    )
    splits = ", ".join(sql.text(split) for split in config.sample.splits)
    always = " OR _label_time IS NOT NULL" if config.sample.always else ""
    return f"(by_time NOT IN ({splits}){always} OR CASE {column} {cases} ELSE true END)"
