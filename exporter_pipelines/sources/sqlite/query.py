"""The SQL for one day of one SQLite table.

Belongs here: combining columns, window and order. Every name is quoted, every value is a parameter.
Does not belong here: running the statements.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.sources.sqlite.near import roughly
from exporter_pipelines.sources.sqlite.plain_times import PlainTimes
from exporter_pipelines.sources.sqlite.usual_times import UsualTimes
from exporter_pipelines.sources.sqlite.values import FITS, IS_BLOB, TOO_LARGE
from exporter_pipelines.sources.time_encodings import since_epoch_us
from exporter_pipelines.sources.time_spellings import DATE_SEPARATORS

INSTANT = "exporter_instant"
"""SQL function: stored time -> microseconds since 1970, or null."""

# Longer than any time; and for a rejected number or boolean, no more is kept as a reason.
_SMALL_BYTES = 200
_CUT_CHARS = 1_000

MOST_COLUMNS = 2_000
"""SQLite's limit of columns in a result and in ORDER BY, and of columns in a table."""
_GROUPED = 50
"""Columns of a wide table that are sorted as one text."""
_PACKED = 30
"""States of text columns in one number."""


def quoted(*names: str) -> str:
    """Names as SQLite identifiers."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def relation(dataset: Dataset) -> str:
    """The table or subquery for FROM, with its alias."""
    source = dataset.config.source
    if source.query is not None:
        # The line break ends a comment at the end of the query, before the parenthesis.
        return f"({source.query.strip().rstrip(';')}\n) AS t"
    return f"{quoted('main', table_name(source))} AS t"


def table_name(source: SourceConfig) -> str:
    """The name in the file of a table. A dot is part of it, unless `main.` stands before the name.

    A file has no schema other than `main`.
    """
    table = source.table or ""
    return table[5:] if table.lower().startswith("main.") else table


def written_name(name: str) -> str:
    """How `table:` names a table of the file, see `table_name`."""
    return f"main.{name}" if name.lower().startswith("main.") else name


def limit_of(dataset: Dataset, encoding: str) -> int:
    """Bytes above which SQL cuts a text off, in a database with this encoding.

    In UTF-16, text may have up to twice as many bytes as in UTF-8. The exact limit is checked on
    arrival.
    """
    limit = dataset.config.max_value_bytes
    return limit if encoding == "utf-8" else 2 * limit


def chosen(column: Column, value: str, limit_bytes: int) -> str:
    """The value of a column, cut off if it is too large."""
    if not pa.types.is_string(column.type):
        return small(value)
    return (
        f"CASE WHEN {_too_large(value, limit_bytes)} THEN substr({value}, 1, {_CUT_CHARS}) "
        f"ELSE {value} END"
    )


def state(value: str, limit_bytes: int) -> str:
    """The state (see `values`) of a text."""
    return (
        f"CASE WHEN {_too_large(value, limit_bytes)} THEN {TOO_LARGE} "
        f"WHEN {value} >= x'' THEN {IS_BLOB} ELSE {FITS} END"  # blobs sort after all else
    )


def _packed(states: Sequence[str]) -> str:
    """Some states as one number. A result with fewer columns is fetched faster."""
    return " + ".join(f"{3**place}*({each})" for place, each in enumerate(states))


def _unpacked(packed: Sequence[int], count: int) -> list[Sequence[int]]:
    """The states in some numbers of `_packed`."""
    if not any(packed):
        return [bytes(len(packed))] * count
    return [[number // 3**place % 3 for number in packed] for place in range(count)]


def _too_large(value: str, limit_bytes: int) -> str:
    return f"length(CAST({value} AS BLOB)) > {limit_bytes}"


def _marked(value: str, limit_bytes: int) -> str:
    """A text that begins with the digit of its state, and a blob as hexadecimal."""
    return (
        f"CASE WHEN {_too_large(value, limit_bytes)} "
        f"THEN '{TOO_LARGE}'||substr({value}, 1, {_CUT_CHARS}) "
        f"WHEN typeof({value}) = 'blob' THEN '{IS_BLOB}'||hex({value}) "
        f"WHEN typeof({value}) = 'text' THEN '{FITS}'||{value} ELSE {value} END"
    )


def _unmarked(value: Any) -> tuple[Any, int]:
    """The value and the state of a `_marked` text; a number has no mark."""
    if not isinstance(value, bytes):
        return value, FITS
    found = value[0] - ord("0")
    return bytes.fromhex(value[1:].decode()) if found == IS_BLOB else value[1:], found


def _grouped(names: list[str], size: int) -> list[list[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


class SqliteDayQuery:
    """Builds the statements of a day.

    Args:
        dataset: Names the table, key and time column.
        window: The day.
        names: Columns of the table.
        schema: As bound to this table.
        key_is_unique: Whether (time, key) is a total order.
        encoding: Of the database.
        binary: See `OwnCollations.binary`.

    Attributes:
        parameters: Of both statements.
    """

    def __init__(
        self,
        dataset: Dataset,
        window: DayWindow,
        names: Collection[str],
        schema: RowSchema,
        key_is_unique: bool,
        encoding: str,
        binary: str = "",
    ) -> None:
        source = dataset.config.source
        self._dataset, self._schema, self._names = dataset, schema, names
        self._window = window
        self._key_is_unique = key_is_unique
        self._relation = relation(dataset)
        self._time = self._reference(source.time_column)
        self._key = self._reference(source.key)
        self._limit_bytes = limit_of(dataset, encoding)
        self._binary = binary
        self._usual = UsualTimes(window, ZoneInfo(source.timezone or "UTC"), encoding)
        self._instant = self._usual.instant(
            self._time,
            source.encoding(source.time_column),
            f"{INSTANT}({small(self._time)})",
        )
        self._stored = [column for column in schema.columns if self._has(column.name)]
        self._texts = [c.name for c in self._stored if pa.types.is_string(c.type)]
        results = len(self._stored) + len(self._texts) + len(dataset.config.sql_rules)
        self._is_wide = results > MOST_COLUMNS
        self._rough, self.parameters = roughly(source, self._time, window, encoding, binary)
        self._borders_us = since_epoch_us(window.start), since_epoch_us(window.end) - 1

    def plain_counts(self, plain: PlainTimes) -> str:
        """What `counts` finds, if all times near the day are plain; has no parameters.

        Then the rows whose date exists, and whether the stored times sort by time.
        """
        key = f"{self._key} COLLATE BINARY"
        repeated = "0" if self._key_is_unique else f"count({key}) - count(DISTINCT {key})"
        largest = ", ".join(
            f"max(CAST({column} AS TEXT) COLLATE BINARY)" for column in (self._key, self._latest())
        )
        return (
            f"SELECT count(*), {repeated}, 0, 0, {largest}, "  # noqa: S608
            f"{plain.dated(self._time)}, {plain.are_sorted(self._time)} "
            f"FROM {self._relation} WHERE {plain.inside(self._time + self._binary)}"
        )

    def _latest(self) -> str:
        updated = self._dataset.config.source.updated_column
        return quoted("t", updated) if updated else "NULL"

    def counts(self) -> str:
        """Rows, repeated keys, unreadable and unusual times, largest key and latest update.

        Times are unreadable if they begin with the date of the day; see `DaySnapshot`. Unusual ones
        are of the day, but `rows` would not find them without `parameters`.
        """
        start_us, end_us = self._borders_us
        inside = f"i BETWEEN {start_us} AND {end_us}"
        key = f"CASE WHEN {inside} THEN k END COLLATE BINARY"
        repeated = "0" if self._key_is_unique else f"count({key}) - count(DISTINCT {key})"
        largest = ", ".join(
            f"max(CASE WHEN {inside} THEN CAST({column} AS TEXT) END COLLATE BINARY)"
            for column in ("k", "u")
        )
        usual = self._usual.dates("v" + self._binary)
        # With LIMIT, SQLite does not merge the subquery, which would read each time several times.
        return (
            f"SELECT count(CASE WHEN {inside} THEN 1 END), {repeated}, "  # noqa: S608
            f"count(CASE WHEN i IS NULL AND {self._begins_with_the_date('v')} THEN 1 END), "
            f"count(CASE WHEN {inside} AND NOT {usual} THEN 1 END), "
            f"{largest} FROM ("
            f"SELECT {self._key} AS k, {self._latest()} AS u, {self._time} AS v, "
            f"{self._instant} AS i FROM {self._relation} WHERE {self._rough} LIMIT -1)"
        )

    def _begins_with_the_date(self, time: str) -> str:
        dates = [self._window.day.replace("-", separator) for separator in DATE_SEPARATORS]
        begins = (f"CAST(substr({time}, 1, {len(date)}) AS TEXT) = '{date}'" for date in dates)
        return f"(typeof({time}) IN ('text', 'blob') AND ({' OR '.join(begins)}))"

    def rows(
        self,
        *,
        are_usual: bool = False,
        plain: PlainTimes | None = None,
        is_sorted: bool = False,
    ) -> str:
        """The rows of the day in a total order.

        Args:
            are_usual: Whether `counts` found no unusual times. A smaller part of the table is then
                read, and the statement has no parameters.
            plain: How all times near the day are stored, if alike. The statement has no parameters
                then.
            is_sorted: Whether the stored times sort by time. Their order is that of an index.

        The value of each column that the table has, then the packed states (see `values`) of the
        text columns, then for each of the dataset's `sql_rules` whether it is broken. A wide table
        has no columns left for states: there, each text begins with its own.
        """
        rules = [f"{_verdict(text)} IS FALSE" for _, text in self._dataset.config.sql_rules]
        values = [self._chosen(column) for column in self._stored]
        states = [
            _packed([self._state(column) for column in columns])
            for columns in self._packed_columns()
        ]
        time = self._time + self._binary
        if plain:
            condition = plain.inside(time)
        else:
            rough = self._usual.dates(time) if are_usual else self._rough
            # BETWEEN calls the function only once.
            condition = "{} AND {} BETWEEN {} AND {}".format(
                rough, self._instant, *self._borders_us
            )
        order = self._order(time if is_sorted else self._instant)
        return (
            f"SELECT {', '.join([*values, *states, *rules])} FROM {self._relation} "  # noqa: S608
            f"WHERE {condition} ORDER BY {', '.join(order)}"
        )

    def divided(
        self, found: Sequence[Sequence[Any]]
    ) -> tuple[dict[str, Sequence[Any]], dict[str, Sequence[int]], Sequence[Sequence[Any]]]:
        """The columns of some `rows`: values by name, states by name of a text column, and rules.

        An optional column that the table lacks is null.
        """
        absent = [None] * len(found[0])
        values: dict[str, Sequence[Any]] = dict.fromkeys(self._schema.names, absent)
        values |= zip((column.name for column in self._stored), found, strict=False)
        rest = found[len(self._stored) :]
        states: dict[str, Sequence[int]] = {}
        if not self._is_wide:
            packed = self._packed_columns()
            for names, numbers in zip(packed, rest, strict=False):
                states |= zip(names, _unpacked(numbers, len(names)), strict=True)
            return values, states, rest[len(packed) :]
        for name in self._texts:
            pairs = [_unmarked(value) for value in values[name]]
            values[name] = [value for value, _ in pairs]
            states[name] = [state for _, state in pairs]
        return values, states, rest

    def _packed_columns(self) -> list[list[str]]:
        return [] if self._is_wide else _grouped(self._texts, _PACKED)

    def _chosen(self, column: Column) -> str:
        value = self._reference(column.name)
        if self._is_wide and column.name in self._texts:
            return _marked(value, self._limit_bytes)
        return chosen(column, value, self._limit_bytes)

    def _state(self, column: str) -> str:
        return state(self._reference(column), self._limit_bytes)

    def _order(self, time: str) -> list[str]:
        """Time, then key. Without a unique key also every column, for a total order.

        This includes the type of each value, because 1 equals 1.0 in SQLite.
        """
        key = f"{self._key} COLLATE BINARY"
        if self._key_is_unique:  # and never null
            return [time, key]
        order = [time, f"{self._key} IS NULL", key]
        others = [self._reference(column.name) for column in self._stored]
        if 2 * len(others) + len(order) <= MOST_COLUMNS:
            return [*order, *(f"typeof({name}), {name} COLLATE BINARY" for name in others)]
        return order + [
            "||','||".join(f"quote({name})" for name in group) + " COLLATE BINARY"
            for group in _grouped(others, _GROUPED)
        ]

    def _has(self, column: str) -> bool:
        return self._dataset.source_name(column) in self._names

    def _reference(self, column: str) -> str:
        return quoted("t", self._dataset.source_name(column))


def rule_probe(dataset: Dataset, expression: str) -> str:
    """A query of an SQL rule over no rows. It returns a row only if the rule is an aggregate."""
    return f"SELECT {_verdict(expression)} FROM {relation(dataset)} WHERE 0"  # noqa: S608


def _verdict(expression: str) -> str:
    # The line break ends a comment at the end of the expression, before the parenthesis.
    return f"({expression}\n)"


def small(value: str) -> str:
    """The beginning of a value; text as bytes."""
    # In SQLite, substr of an empty blob is null.
    return (
        f"CASE WHEN typeof({value}) IN ('text', 'blob') "
        f"THEN ifnull(substr(CAST({value} AS BLOB), 1, {_SMALL_BYTES}), x'') ELSE {value} END"
    )
