"""What `exporter init` reads from a PostgreSQL table; see `contracts.inspection.Inspection`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from psycopg import sql

from exporter_pipelines.contracts.table_profile import (
    MAX_SAMPLED_CHARS,
    MAX_SAMPLED_ROWS,
    MAX_VALUE_CHARS,
    MAX_VALUES,
    ColumnProfile,
    Kind,
    RowCount,
    TableProfile,
    TimeCandidate,
    TimeKind,
    ValueSet,
)
from exporter_pipelines.errors import NotAnsweredError
from exporter_pipelines.sources.postgres.times import NUMERIC_TYPES, TEXTS, WHOLE_NUMBERS
from exporter_pipelines.sources.postgres.types import FLOAT_MAX, FLOAT_MIN, FLOATS
from exporter_pipelines.sources.time_candidates import SAMPLED_ROWS, time_candidate

FULL_READ_MS = 8000
"""Limit of the one query that reads a whole table. Above it, a sample is read."""
SAMPLE_READ_MS = 8000
NULL_READ_MS = 1000
"""Limit of a query that looks for a null; an index usually answers it at once."""

_SAMPLE_ROWS = 100_000
_VALUE_ROWS = 20_000
_ESTIMATED_FROM = 100_000
_COLUMNS_AT_ONCE = 300  # each needs two of the 1,664 columns that a result can have
_CHARS = 64

_TIME_KINDS: dict[str, TimeKind] = {
    "timestamptz": "aware", "timestamp": "naive", "date": "date",
    **dict.fromkeys(TEXTS, "text"), **dict.fromkeys(NUMERIC_TYPES, "number"),
}  # fmt: skip
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(WHOLE_NUMBERS, "int64"), **dict.fromkeys(FLOATS, "float64"),
    "numeric": "float64", "bool": "bool", "timestamptz": "timestamp", "timestamp": "timestamp",
    "json": "json", "jsonb": "json",
}  # fmt: skip
# Values that the usual type would reject, or change.
_ODD = {
    **dict.fromkeys(("timestamptz", "timestamp"), "{c} NOT BETWEEN '0001-01-02' AND '9999-12-30'"),
    # More digits than a double has, or outside of its range.
    "numeric": "{c} NOT IN ('NaN', 'Infinity', '-Infinity') AND {c} <> 0 AND ("
    f"abs({{c}}) NOT BETWEEN {FLOAT_MIN} AND {FLOAT_MAX} "
    "OR length(btrim(translate({c}::text, '-.', ''), '0')) > 15)",
}
_NOTES = {
    "numeric": "as text, because a double would lose digits",
    "timestamptz": "as text, because some values are infinite or beyond year 9999",
    "timestamp": "as text, because some values are infinite or beyond year 9999",
}

_ESTIMATE = "SELECT reltuples::int8 AS rows FROM pg_class WHERE oid = {oid}"
_COUNT = "SELECT count(*) AS rows FROM {table}"
_DECLARED = """
SELECT a.attname AS name, a.attnotnull AS not_null, t.typtype = 'e' AS enum
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped
"""
# An index of a parent table does not cover the rows of inheriting tables; see `questions.UNIQUE`.
_COVERS_ALL_ROWS = """(EXISTS (SELECT FROM pg_class c WHERE c.oid = i.indrelid AND c.relkind = 'p')
    OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = i.indrelid))"""
_UNIQUE_KEYS = """
SELECT (SELECT json_agg(a.attname ORDER BY k.n)
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE k.n <= i.indnkeyatts)::text AS columns
FROM pg_index i
WHERE i.indrelid = {oid} AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
  AND i.indexprs IS NULL AND {covers} AND NOT EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
      AND NOT a.attnotnull)
ORDER BY i.indisprimary DESC, i.indexrelid
""".replace("{covers}", _COVERS_ALL_ROWS)
_NULLABLE_KEYS = """
SELECT DISTINCT a.attname AS name, a.attnum
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = {oid} AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1
  AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT a.attnotnull AND {covers}
ORDER BY a.attnum
""".replace("{covers}", _COVERS_ALL_ROWS)
_VALUES = """
SELECT value, count(*) AS number
FROM (SELECT left({column}::text, {chars}) AS value FROM {rows} WHERE {column} IS NOT NULL
      LIMIT {limit}) AS read
GROUP BY value ORDER BY value LIMIT {most}
"""


class Ask(Protocol):
    """Runs a query with its parts filled in; raises `NotAnsweredError` after `timeout_ms`."""

    def __call__(
        self, question: str, timeout_ms: int = ..., /, **parts: sql.Composable
    ) -> list[dict[str, Any]]:
        """The rows of a query."""
        ...


class PostgresProfiles:
    """Profiles one table or view.

    Args:
        ask: Runs a query.
        oid: Of the relation, as SQL.
        kind: `pg_class.relkind`.
        table: The relation, as SQL.
        types: Column -> type, of the columns that this user may read.
    """

    def __init__(
        self,
        ask: Ask,
        oid: sql.Composable,
        kind: str,
        table: sql.Composable,
        types: dict[str, str],
    ) -> None:
        self._ask, self._oid, self._kind, self._table = ask, oid, kind, table
        self._types = types

    def row_count(self) -> RowCount | None:
        """See `Inspection.row_count`."""
        estimated = self._estimated_rows()
        if estimated >= _ESTIMATED_FROM:
            return RowCount(estimated, is_estimate=True)
        try:
            (row,) = self._ask(_COUNT, table=self._table)
        except NotAnsweredError:
            return RowCount(estimated, is_estimate=True) if estimated > 0 else None
        return RowCount(row["rows"], is_estimate=False)

    def unique_keys(self) -> list[tuple[str, ...]]:
        """See `Inspection.unique_keys`."""
        return [tuple(json.loads(row["columns"])) for row in self._ask(_UNIQUE_KEYS, oid=self._oid)]

    def keys_without_null(self) -> list[str]:
        """See `Inspection.keys_without_null`."""
        names = [row["name"] for row in self._ask(_NULLABLE_KEYS, oid=self._oid)]
        return [name for name in names if name in self._types and not self._may_have_null(name)]

    def _may_have_null(self, name: str) -> bool:
        question = "SELECT FROM {table} WHERE {column} IS NULL LIMIT 1"
        column = sql.Identifier(name)
        try:
            return bool(self._ask(question, NULL_READ_MS, table=self._table, column=column))
        except NotAnsweredError:  # without statistics, the server may read the whole table
            return True

    def time_candidates(self) -> list[TimeCandidate]:
        """See `Inspection.time_candidates`."""
        kinds = {
            name: _TIME_KINDS[type_] for name, type_ in self._types.items() if type_ in _TIME_KINDS
        }
        names = list(kinds)[:_COLUMNS_AT_ONCE]
        if not names:
            return []
        read = sql.SQL(", ").join(
            sql.SQL("left({}::text, {}) AS {}").format(
                sql.Identifier(name), sql.Literal(_CHARS), sql.Identifier(f"c{n}")
            )
            for n, name in enumerate(names)
        )
        rows = self._ask(
            "SELECT {read} FROM {table} LIMIT {limit}",
            read=read, table=self._table, limit=sql.Literal(SAMPLED_ROWS),
        )  # fmt: skip
        found = (
            time_candidate(name, kinds[name], [_value(row[f"c{n}"], kinds[name]) for row in rows])
            for n, name in enumerate(names)
        )
        return [candidate for candidate in found if candidate]

    def profile(self) -> TableProfile:
        """See `Inspection.profile`."""
        declared = self._ask(_DECLARED, oid=self._oid)
        not_null = {row["name"] for row in declared if row["not_null"]}
        enums = {row["name"] for row in declared if row["enum"]}
        try:
            rows, counts = self._counts(self._table, FULL_READ_MS)
            is_complete = True
        except NotAnsweredError:
            rows, counts = self._counts(self._sample(), SAMPLE_READ_MS)
            is_complete = False
        columns = tuple(
            _profiled(name, type_, name in not_null, name in enums, rows - full, odd)
            for (name, type_), (full, odd) in zip(self._types.items(), counts, strict=True)
        )
        return TableProfile(rows, is_complete, columns)

    def small_values(self, column: str) -> ValueSet | None:
        """See `Inspection.small_values`."""
        rows = self._sample() if self._estimated_rows() >= _ESTIMATED_FROM else self._table
        found = self._ask(
            _VALUES,
            rows=rows,
            column=sql.Identifier(column),
            chars=sql.Literal(MAX_VALUE_CHARS + 1),
            limit=sql.Literal(_VALUE_ROWS),
            most=sql.Literal(MAX_VALUES + 1),
        )
        values = tuple(str(row["value"]) for row in found)
        if len(values) > MAX_VALUES or any(len(value) > MAX_VALUE_CHARS for value in values):
            return None
        return ValueSet(values, sum(row["number"] for row in found))

    def sampled_texts(self, columns: Sequence[str]) -> dict[str, list[str | None]]:
        """See `Inspection.sampled_texts`."""
        names = list(columns)[:_COLUMNS_AT_ONCE]
        read = sql.SQL(", ").join(
            _cut(name, self._types[name], MAX_SAMPLED_CHARS, f"c{n}")
            for n, name in enumerate(names)
        )
        rows: list[dict[str, Any]] = []
        # A sample of a table that has lost most of its rows may be empty.
        for source in (self._sample(MAX_SAMPLED_ROWS), self._table):
            rows = rows or self._ask(
                "SELECT {read} FROM {source} LIMIT {limit}",
                read=read, source=source, limit=sql.Literal(MAX_SAMPLED_ROWS),
            )  # fmt: skip
        return {name: [row[f"c{n}"] for row in rows] for n, name in enumerate(names)}

    def query_of(self, key: tuple[str, ...], name: str) -> str:
        """See `Inspection.query_of`."""
        columns = _list(self._types)
        if key:
            joined = sql.SQL("concat_ws('/', {}) AS {}, ").format(_list(key), sql.Identifier(name))
            columns = joined + columns
        return sql.SQL("SELECT {} FROM {}").format(columns, self._table).as_string()

    def _estimated_rows(self) -> int:
        """Rows according to the statistics; 0 or less if there are none."""
        found = self._ask(_ESTIMATE, oid=self._oid)
        return int(found[0]["rows"]) if found else 0  # a query has none

    def _sample(self, most: int = _SAMPLE_ROWS) -> sql.Composable:
        """Some rows of all parts of the table; of a view its first rows."""
        estimated, limit = self._estimated_rows(), sql.Literal(most)
        template = "(SELECT {columns} FROM {table} LIMIT {limit}) AS sample"
        if self._kind in {"r", "p", "m"} and estimated > most:
            template = (
                "(SELECT {columns} FROM {table} TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1) "
                "LIMIT {limit}) AS sample"
            )
        percent = sql.Literal(round(100 * most / max(estimated, 1), 6))
        return sql.SQL(template).format(
            columns=_list(self._types), table=self._table, limit=limit, percent=percent
        )

    def _counts(self, rows: sql.Composable, timeout_ms: int) -> tuple[int, list[tuple[int, int]]]:
        """Number of rows; per column the rows with a value, and those with an odd one."""
        total, counts, columns = 0, [], list(self._types.items())
        for start in range(0, len(columns), _COLUMNS_AT_ONCE) or [0]:
            part = columns[start : start + _COLUMNS_AT_ONCE]
            (row,) = self._ask(
                "SELECT count(*) AS rows{counts} FROM {source}",
                timeout_ms, counts=_count_list(part), source=rows,
            )  # fmt: skip
            total = row["rows"]
            counts += [(row[f"full{n}"], row[f"odd{n}"]) for n in range(len(part))]
        return total, counts


def _cut(name: str, type_: str, chars: int, alias: str) -> sql.Composable:
    """The beginning of a value as text; nothing of a binary one."""
    text = "NULL::text" if type_ == "bytea" else "left({column}::text, {chars})"
    return sql.SQL(f"{text} AS {{alias}}").format(
        column=sql.Identifier(name), chars=sql.Literal(chars), alias=sql.Identifier(alias)
    )


def _list(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _count_list(columns: Sequence[tuple[str, str]]) -> sql.Composable:
    parts = [
        sql.SQL(
            ", count({c}) AS {full}, "
            + ("count(*) FILTER (WHERE " + _ODD[type_] + ")" if type_ in _ODD else "0::int8")
            + " AS {odd}"
        ).format(
            c=sql.Identifier(name), full=sql.Identifier(f"full{n}"), odd=sql.Identifier(f"odd{n}")
        )
        for n, (name, type_) in enumerate(columns)
    ]
    return sql.SQL("").join(parts)


def _profiled(
    name: str, type_name: str, not_null: bool, is_enum: bool, nulls: int, odd: int
) -> ColumnProfile:
    kind = _KINDS.get(type_name, "json" if type_name.startswith("_") else "string")
    has_words = is_enum or type_name in TEXTS
    if odd:
        return ColumnProfile(name, type_name, not_null, nulls, "string", False, _NOTES[type_name])
    return ColumnProfile(name, type_name, not_null, nulls, kind, has_words)


def _value(text: str | None, kind: TimeKind) -> Any:
    if text is None or kind != "number":
        return text
    return float(text)
