"""What `exporter init` reads from a SQLite table; see `contracts.inspection.Inspection`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from exporter_pipelines.contracts.inspection import Relation
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
from exporter_pipelines.sources.sqlite.catalog import SqliteCatalog
from exporter_pipelines.sources.sqlite.query import quoted
from exporter_pipelines.sources.time_candidates import SAMPLED_ROWS, time_candidate

FULL_READ_S = 3.0
"""Limit of the one query that reads a whole table. Above it, a sample is read."""
SAMPLE_READ_S = 3.0

_SAMPLE_ROWS = 20_000
_VALUE_ROWS = 20_000
_COLUMNS_AT_ONCE = 200  # each needs six of the 2,000 columns that a result can have
_EXACT = 2**53
_TEXTS = {"text", "blob"}  # a blob can be the text of a time

_COUNTS = (
    "count({c})", "sum(typeof({c}) = 'integer')", "sum(typeof({c}) = 'real')",
    "sum(typeof({c}) = 'text')", "sum(typeof({c}) = 'integer' AND {c} + 0 IN (0, 1))",
    "sum(typeof({c}) = 'integer' AND {c} + 0 NOT BETWEEN -{exact} AND {exact})",
)  # fmt: skip


class _Stored(NamedTuple):
    """Number of rows with a value, and how many of them are of each kind."""

    full: int
    integers: int
    reals: int
    texts: int
    bits: int
    long_integers: int


class Ask(Protocol):
    """Runs a query; raises `NotAnsweredError` after `timeout_s`."""

    def __call__(
        self, statement: str, parameters: Sequence[Any] = ..., *, timeout_s: float = ...
    ) -> list[Any]:
        """The rows of a query."""
        ...


class SqliteProfiles:
    """Profiles one table or view.

    Args:
        ask: Runs a query.
        relation: The table or view.
        handle: The same as SQL.
    """

    def __init__(self, ask: Ask, relation: Relation, handle: str) -> None:
        self._ask, self._relation, self._table = ask, relation, handle
        self._catalog = SqliteCatalog(ask, relation.native)

    def row_count(self) -> RowCount | None:
        """See `Inspection.row_count`."""
        try:
            return RowCount(self._ask(f"SELECT count(*) FROM {self._table}")[0][0], False)  # noqa: S608 - quoted, as below
        except NotAnsweredError:
            if not self._has_rowid():
                return None
            found = self._ask(f"SELECT max(rowid) FROM {self._table}")  # noqa: S608
            return RowCount(found[0][0], is_estimate=True)

    def unique_keys(self) -> list[tuple[str, ...]]:
        """See `Inspection.unique_keys`."""
        keys = sorted((c for c in self._catalog.columns if c.primary_key), key=_place_in_key)
        single: list[tuple[str, ...]] = [
            (c.name,) for c in self._catalog.columns if self._catalog.is_unique(c.name)
        ]
        found = [tuple(c.name for c in keys), *single] if len(keys) > 1 else single
        return [key for key in found if all(name in self._relation.types for name in key)]

    def keys_without_null(self) -> list[str]:
        """See `Inspection.keys_without_null`."""
        found = (c.name for c in self._catalog.columns if self._catalog.has_unique_index(c.name))
        return [
            name for name in found if name in self._relation.types and not self._may_have_null(name)
        ]

    def _may_have_null(self, name: str) -> bool:
        statement = f"SELECT 1 FROM {self._table} WHERE {quoted(name)} IS NULL LIMIT 1"  # noqa: S608
        try:
            return bool(self._ask(statement))
        except NotAnsweredError:
            return True

    def time_candidates(self) -> list[TimeCandidate]:
        """See `Inspection.time_candidates`."""
        names = list(self._relation.types)[:_COLUMNS_AT_ONCE]
        read = ", ".join(f"substr({quoted(n)}, 1, 64), typeof({quoted(n)})" for n in names)
        rows = self._ask(f"SELECT {read} FROM {self._table} LIMIT {SAMPLED_ROWS}")  # noqa: S608
        found = (self._candidate(name, [row[2 * n : 2 * n + 2] for row in rows])
                 for n, name in enumerate(names))  # fmt: skip
        return [candidate for candidate in found if candidate]

    def profile(self) -> TableProfile:
        """See `Inspection.profile`."""
        try:
            rows, counts = self._counts(self._table, FULL_READ_S)
            is_complete = True
        except NotAnsweredError:
            rows, counts = self._counts(self._sample(), SAMPLE_READ_S)
            is_complete = False
        declared = {column.name: column for column in self._catalog.columns}
        columns = []
        for (name, type_name), stored in zip(self._relation.types.items(), counts, strict=True):
            column = declared.get(name)
            not_null = bool(column and column.not_null) or self._is_rowid(name)
            kind, note = self._kind(name, column.declared_type.lower() if column else "", stored)
            nulls = rows - stored.full
            words = kind == "string" and stored.texts == stored.full
            columns.append(ColumnProfile(name, type_name, not_null, nulls, kind, words, note))
        return TableProfile(rows, is_complete, tuple(columns))

    def small_values(self, column: str) -> ValueSet | None:
        """See `Inspection.small_values`."""
        name = quoted(column)
        found = self._ask(
            f"SELECT value, count(*) FROM (SELECT substr({name}, 1, {MAX_VALUE_CHARS + 1}) "  # noqa: S608
            f"AS value FROM {self._table} WHERE {name} IS NOT NULL LIMIT {_VALUE_ROWS}) "
            f"GROUP BY value ORDER BY value LIMIT {MAX_VALUES + 1}"
        )
        values = tuple(str(value) for value, _ in found)
        if len(values) > MAX_VALUES or any(len(value) > MAX_VALUE_CHARS for value in values):
            return None
        return ValueSet(values, sum(number for _, number in found))

    def sampled_texts(self, columns: Sequence[str]) -> dict[str, list[str | None]]:
        """See `Inspection.sampled_texts`."""
        names = list(columns)[:_COLUMNS_AT_ONCE]
        read = ", ".join(
            f"CASE typeof({c}) WHEN 'blob' THEN NULL ELSE substr({c}, 1, {MAX_SAMPLED_CHARS}) END"
            for c in map(quoted, names)
        )
        statement = f"SELECT {read} FROM {self._table}"  # noqa: S608
        if self._has_rowid():
            half, rowids = MAX_SAMPLED_ROWS // 2, f"SELECT rowid FROM {self._table}"  # noqa: S608
            statement += (
                f" WHERE rowid IN (SELECT * FROM ({rowids} ORDER BY rowid LIMIT {half}) UNION "  # noqa: S608
                f"SELECT * FROM ({rowids} ORDER BY rowid DESC LIMIT {half}))"
            )
        rows = self._ask(f"{statement} LIMIT {MAX_SAMPLED_ROWS}")
        return {name: [row[n] for row in rows] for n, name in enumerate(names)}

    def query_of(self, key: tuple[str, ...], name: str) -> str:
        """See `Inspection.query_of`."""
        text = " || '/' || ".join(f"coalesce({quoted('t', column)}, '')" for column in key)
        joined = f"{text} AS {quoted(name)}, " if key else ""
        return f"SELECT {joined}t.* FROM {self._table} AS t"  # noqa: S608

    def _candidate(self, name: str, cells: Sequence[Any]) -> TimeCandidate | None:
        kinds = {kind for _, kind in cells} - {"null"}
        if not kinds:
            declared = self._relation.types[name]
            is_time = "date" in declared or "time" in declared
            return TimeCandidate(name, "text", "iso8601", True, 0, len(cells)) if is_time else None
        kind: TimeKind = "text" if kinds & _TEXTS else "number"
        if not kinds <= (_TEXTS if kind == "text" else {"integer", "real"}):
            return None  # text among numbers
        values = [_number(value) if kind == "number" else _text(value) for value, _ in cells]
        return time_candidate(name, kind, values)

    def _kind(self, name: str, declared: str, stored: _Stored) -> tuple[Kind, str]:
        """The exported type that fits every stored value, and why it is an unusual one."""
        if stored.full == 0:
            return _declared_kind(declared), ""
        if "bool" in declared and stored.bits == stored.full:
            return "bool", ""
        if stored.integers == stored.full:
            return "int64", ""
        if stored.integers + stored.reals == stored.full and not stored.long_integers:
            return "float64", ""
        if stored.texts == stored.full:
            return ("json", "") if "json" in declared and self._all_json(name) else ("string", "")
        return "string", "as text, because it has values of several types"

    def _all_json(self, name: str) -> bool:
        column = quoted(name)
        statement = (
            f"SELECT 1 FROM {self._table} WHERE {column} IS NOT NULL "  # noqa: S608
            f"AND NOT json_valid({column}) LIMIT 1"
        )
        try:
            return not self._ask(statement)
        except NotAnsweredError:
            return False  # as text, every value can be exported

    def _counts(self, rows: str, timeout_s: float) -> tuple[int, list[_Stored]]:
        total, counts, names = 0, [], list(self._relation.types)
        for start in range(0, len(names), _COLUMNS_AT_ONCE) or [0]:
            part = names[start : start + _COLUMNS_AT_ONCE]
            read = [
                count.format(c=quoted(name), exact=_EXACT) for name in part for count in _COUNTS
            ]
            (row,) = self._ask(
                f"SELECT {', '.join(['count(*)', *read])} FROM {rows}",  # noqa: S608
                timeout_s=timeout_s,
            )
            total, values = row[0], [value or 0 for value in row[1:]]
            size = len(_COUNTS)
            counts += [_Stored(*values[n * size : (n + 1) * size]) for n in range(len(part))]
        return total, counts

    def _sample(self) -> str:
        """The first rows and the last ones; the first ones only where there is no rowid."""
        first = f"SELECT * FROM (SELECT * FROM {self._table} LIMIT {_SAMPLE_ROWS})"  # noqa: S608
        if not self._has_rowid():
            return f"({first})"
        last = (
            f"SELECT * FROM (SELECT * FROM {self._table} ORDER BY rowid DESC LIMIT {_SAMPLE_ROWS})"  # noqa: S608
        )
        return f"({first} UNION ALL {last})"

    def _has_rowid(self) -> bool:
        if self._relation.is_view:
            return False
        found = self._ask("SELECT wr FROM pragma_table_list(?)", (self._relation.native,))
        return bool(found) and not found[0][0]

    def _is_rowid(self, name: str) -> bool:
        """Whether the rowid itself guarantees a value."""
        keys = [c for c in self._catalog.columns if c.primary_key]
        return [c.name for c in keys] == [name] and self._catalog.is_unique(name)


def _place_in_key(column: Any) -> int:
    return int(column.primary_key)


def _text(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _declared_kind(declared: str) -> Kind:
    """The exported type of a column without values: text can hold whatever comes."""
    if "bool" in declared:
        return "bool"
    return "int64" if "int" in declared else "string"
