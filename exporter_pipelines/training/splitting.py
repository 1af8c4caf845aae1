"""Which split a row belongs to, or why it is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.training import sql
from exporter_pipelines.training.sql import kept

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND


@dataclass(frozen=True)
class Boundaries:
    """The times, in microseconds, at which validation and test begin, before the gap."""

    validation: int
    test: int


def find_boundaries(connection: duckdb.DuckDBPyConnection, config: TrainingSetConfig) -> Boundaries:
    """The first whole seconds before which `train`, and `train + validation`, of the rows are."""
    hours = _counts(connection, _HOUR, "true")
    total = sum(rows for _, rows in hours)
    shares = (config.split.train, config.split.train + config.split.validation)
    validation, test = (_boundary(connection, hours, share * total) for share in shares)
    return Boundaries(validation, test)


def _boundary(
    connection: duckdb.DuckDBPyConnection, hours: list[tuple[int, int]], wanted: float
) -> int:
    """The end of the second with which `wanted` rows are reached.

    Hours are counted before seconds: there are few of them, even in years.
    """
    before = 0
    for hour, rows in hours:
        if before + rows < wanted:
            before += rows
            continue
        inside = f"_time >= {hour * _HOUR} AND _time < {(hour + 1) * _HOUR}"
        for second, rows_of_second in _counts(connection, _SECOND, inside):
            before += rows_of_second
            if before >= wanted:
                return (second + 1) * _SECOND
    return 0


def _counts(
    connection: duckdb.DuckDBPyConnection, length: int, where: str
) -> list[tuple[int, int]]:
    """(number of the hour or second, rows), oldest first."""
    found = connection.execute(
        f"SELECT {sql.whole_parts('_time', length)} AS n, count(*) FROM labelled WHERE {where} "
        "GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return [(int(number), int(rows)) for number, rows in found]


def assign_splits(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    boundaries: Boundaries,
    open_ends: Sequence[int],
) -> dict[str, int]:
    """The table `assigned` of the rows that have a split; why the others are left out.

    Args:
        connection, config: Of the build.
        boundaries: Of the splits.
        open_ends: Ends of days whose next day is not used, so its labels are not known.

    Returns:
        Reason -> rows.
    """
    timed = f"(SELECT *, {_by_time(config, boundaries)} AS split FROM labelled)"
    if groups := config.split.groups:
        _make_group_splits(connection, config, kept(groups))
        timed += f" LEFT JOIN group_splits ON {kept(groups)} = g"
    columns = "* EXCLUDE (g, by_group)" if groups else "*"
    reasons = " ".join(_reasons(config, boundaries, open_ends))
    connection.execute(
        f"CREATE VIEW judged AS SELECT {columns}, CASE {reasons} END AS _left_out FROM {timed}"
    )
    counted = connection.execute(
        "SELECT _left_out, count(*) FROM judged WHERE _left_out IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    connection.execute(
        "CREATE TABLE assigned AS SELECT * EXCLUDE (_left_out) FROM judged WHERE _left_out IS NULL"
    )
    connection.execute("DROP VIEW judged")
    connection.execute("DROP TABLE labelled")
    return {str(name): int(count) for name, count in counted}


def _by_time(config: TrainingSetConfig, boundaries: Boundaries) -> str:
    gap = sql.microseconds(config.split.gap)
    return (
        f"CASE WHEN _time < {boundaries.validation} THEN 'train' "
        f"WHEN _time < {boundaries.validation + gap} THEN NULL "
        f"WHEN _time < {boundaries.test} THEN 'validation' "
        f"WHEN _time < {boundaries.test + gap} THEN NULL ELSE 'test' END"
    )


def _make_group_splits(
    connection: duckdb.DuckDBPyConnection, config: TrainingSetConfig, group: str
) -> None:
    """The table `group_splits`: the split of each group, by a hash of its value."""
    settings, share = config.split, sql.share_of("g::VARCHAR", config.seed)
    connection.execute(
        f"CREATE TABLE group_splits AS SELECT g, CASE WHEN {share} < {settings.train} THEN 'train' "
        f"WHEN {share} < {settings.train + settings.validation} THEN 'validation' "
        f"ELSE 'test' END AS by_group FROM (SELECT DISTINCT {group} AS g FROM labelled) "
        "WHERE g IS NOT NULL"
    )


def _reasons(
    config: TrainingSetConfig, boundaries: Boundaries, open_ends: Sequence[int]
) -> list[str]:
    reasons = ["WHEN split IS NULL THEN 'in_the_gap'"]
    if config.split.groups:
        reasons.append(f"WHEN {kept(config.split.groups)} IS NULL THEN 'without_a_group'")
        reasons.append("WHEN by_group <> split THEN 'group_of_another_split'")
    reasons.append(
        f"WHEN _label_time >= CASE split WHEN 'train' THEN {boundaries.validation} "
        f"WHEN 'validation' THEN {boundaries.test} END THEN 'label_known_too_late'"
    )
    longest = max((sql.microseconds(s.within) for s in config.labels if s.within), default=0)
    if longest and open_ends:
        near = " OR ".join(f"(_time < {end} AND _time + {longest} > {end})" for end in open_ends)
        reasons.append(f"WHEN _label_time IS NULL AND ({near}) THEN 'labels_not_complete'")
    if config.unlabelled == "drop":
        reasons.append("WHEN _label_time IS NULL THEN 'unlabelled'")
    return reasons
