"""Which rows of the splits stay: one per key, without repetitions, frequent ones thinned.

DuckDB keeps the groups of a comparison in memory. So rows are compared in parts, by a hash of what
is compared: equal rows are in one part.
"""

from __future__ import annotations

import duckdb

from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.training import sql
from exporter_pipelines.training.inputs import ORDER
from exporter_pipelines.training.sql import kept

_ROWS_AT_ONCE = 500_000


def choose_rows(connection: duckdb.DuckDBPyConnection, config: TrainingSetConfig) -> dict[str, int]:
    """Make the table `assigned` the table `chosen`; reason -> rows that are left out."""
    left_out = {}
    split = ["split"] if config.dedup.per == "split" else []
    if _make_repeated_keys(connection):
        # A key is not unique in every source; two rows of one key must not be in two splits.
        left_out["key_of_another_row"] = _delete(
            connection,
            "_key IN (SELECT _key FROM repeated_keys) "
            f"AND {ORDER} NOT IN (SELECT first FROM repeated_keys)",
        )
    if config.dedup.exact:
        columns = [*split, *map(kept, config.dedup.exact)]
        left_out["repeated"] = _delete_repeated(connection, columns)
    if config.dedup.near:
        group = config.windows.group if config.windows else config.split.groups
        columns = [*split, "_event", *([kept(group)] if group else [])]
        left_out["same_template"] = _delete_repeated(connection, columns)
    if config.sample:
        left_out["thinned"] = _delete(connection, f"NOT {_sampled(config)}")
    connection.execute("ALTER TABLE assigned RENAME TO chosen")
    return left_out


def _make_repeated_keys(connection: duckdb.DuckDBPyConnection) -> int:
    """The table `repeated_keys`: key and first row; how many there are."""
    parts = _parts(connection)
    connection.execute("CREATE TABLE repeated_keys (_key VARCHAR, first BIGINT)")
    for part in range(parts):
        connection.execute(
            f"INSERT INTO repeated_keys SELECT _key, min({ORDER}) FROM assigned "
            f"WHERE hash(_key) % {parts} = {part} GROUP BY _key HAVING count(*) > 1"
        )
    return sql.count(connection, "repeated_keys")


def _delete_repeated(connection: duckdb.DuckDBPyConnection, columns: list[str]) -> int:
    """Delete all rows but the first of those that are equal in some columns."""
    parts, names = _parts(connection), ", ".join(columns)
    deleted = 0
    for part in range(parts):
        of_part = f"hash({names}) % {parts} = {part}"
        deleted += _delete(
            connection,
            f"{of_part} AND {ORDER} NOT IN "
            f"(SELECT min({ORDER}) FROM assigned WHERE {of_part} GROUP BY {names})",
        )
    return deleted


def _parts(connection: duckdb.DuckDBPyConnection) -> int:
    return max(1, -(-sql.count(connection, "assigned") // _ROWS_AT_ONCE))


def _delete(connection: duckdb.DuckDBPyConnection, where: str) -> int:
    return int(sql.row(connection, f"DELETE FROM assigned WHERE {where}")[0])


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
    return f"(split NOT IN ({splits}){always} OR CASE {column} {cases} ELSE true END)"
