"""The SQL for one day of one SQLite table.

Belongs here: combining columns, window and order. Every name is quoted, every value is a parameter.
Does not belong here: running the statements.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.sources.sqlite.values import FITS, IS_BLOB, TOO_LARGE
from exporter_pipelines.sources.time_encodings import UNITS_US, ZONE_SLACK, since_epoch_us

INSTANT = "exporter_instant"
"""SQL function: stored time -> microseconds since 1970, or null."""

# Longer than any time; and for a rejected number or boolean, no more is kept as a reason.
_SMALL_BYTES = 200
_CUT_CHARS = 1_000


def quoted(*names: str) -> str:
    """Names as SQLite identifiers."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def relation(dataset: Dataset) -> str:
    """The table or subquery for FROM, with its alias."""
    source = dataset.config.source
    if source.query is not None:
        # The line break ends a comment at the end of the query, before the parenthesis.
        return f"({source.query.strip().rstrip(';')}\n) AS t"
    return f"{quoted(*(source.table or '').split('.'))} AS t"


def limit_of(dataset: Dataset, encoding: str) -> int:
    """Bytes above which SQL cuts a text off, in a database with this encoding.

    In UTF-16, text may have up to twice as many bytes as in UTF-8. The exact limit is checked on
    arrival.
    """
    limit = dataset.config.max_value_bytes
    return limit if encoding == "utf-8" else 2 * limit


def chosen(column: Column, value: str, limit_bytes: int) -> str:
    """Value and state (see `values`) of a column; the state is 0 for columns that are not text."""
    if not pa.types.is_string(column.type):
        return f"{small(value)}, {FITS}"
    too_large = f"length(CAST({value} AS BLOB)) > {limit_bytes}"
    return (
        f"CASE WHEN {too_large} THEN substr({value}, 1, {_CUT_CHARS}) ELSE {value} END, "
        f"CASE WHEN {too_large} THEN {TOO_LARGE} "
        f"WHEN typeof({value}) = 'blob' THEN {IS_BLOB} ELSE {FITS} END"
    )


def roughly(source: SourceConfig, time: str, window: DayWindow) -> tuple[str, list[Any]]:
    """A condition on the stored time, and its parameters, that holds for all rows of a window.

    It may hold for other rows, but it can use an index. Numbers and text have separate conditions,
    because a column may contain both.
    """
    zone = ZoneInfo(source.timezone or "UTC")
    rough = f"({time} >= ? AND {time} < ?)"
    parameters: list[Any] = [
        _date(window.start, -ZONE_SLACK, zone),
        _date(window.end, ZONE_SLACK, zone),
    ]
    if unit_us := UNITS_US.get(source.encoding(source.time_column)):
        start_us, end_us = (since_epoch_us(t) for t in (window.start, window.end))
        rough = f"({rough} OR ({time} >= ? AND {time} <= ?))"
        parameters += [start_us // unit_us - 1, end_us // unit_us + 1]
    return rough, parameters


class SqliteDayQuery:
    """Builds the statements of a day.

    Args:
        dataset: Names the table, key and time column.
        window: The day.
        names: Columns of the table.
        schema: As bound to this table.
        key_is_unique: Whether (time, key) is a total order.
        encoding: Of the database.

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
    ) -> None:
        source = dataset.config.source
        self._dataset, self._schema, self._names = dataset, schema, names
        self._key_is_unique = key_is_unique
        self._relation = relation(dataset)
        self._time = self._reference(source.time_column)
        self._key = self._reference(source.key)
        self._limit_bytes = limit_of(dataset, encoding)
        self._where, self.parameters = self._in_window(window)

    def counts(self) -> str:
        """One row: number of rows, number of repeated keys, largest key and latest update."""
        key = f"{self._key} COLLATE BINARY"
        repeated = "0" if self._key_is_unique else f"count({key}) - count(DISTINCT {key})"
        updated = self._dataset.config.source.updated_column
        largest = ", ".join(
            f"max(CAST({column} AS TEXT) COLLATE BINARY)" if column else "NULL"
            for column in (self._key, quoted("t", updated) if updated else None)
        )
        return f"SELECT count(*), {repeated}, {largest} FROM {self._relation} WHERE {self._where}"  # noqa: S608

    def rows(self) -> str:
        """The rows of the day in a total order.

        A value and a state (see `values`) for each column, then for each of the dataset's
        `sql_rules` whether it is broken. The state is 0 for columns that are not text. An optional
        column that the table lacks is null.
        """
        chosen = ", ".join(
            [
                *(self._chosen(column) for column in self._schema.columns),
                *(f"{_verdict(text)} IS FALSE" for _, text in self._dataset.config.sql_rules),
            ]
        )
        order = ", ".join(self._order())
        return (
            f"SELECT {chosen} FROM {self._relation} "  # noqa: S608
            f"WHERE {self._where} ORDER BY {order}"
        )

    def _chosen(self, column: Column) -> str:
        if not self._has(column.name):
            return "NULL, 0"
        return chosen(column, self._reference(column.name), self._limit_bytes)

    def _order(self) -> list[str]:
        """Instant, then key. Without a unique key also every column, for a total order.

        This includes the type of each value, because 1 equals 1.0 in SQLite.
        """
        order = [_instant(self._time), f"{self._key} IS NULL", f"{self._key} COLLATE BINARY"]
        if not self._key_is_unique:
            others = [self._reference(c.name) for c in self._schema.columns if self._has(c.name)]
            order += [f"typeof({name}), {name} COLLATE BINARY" for name in others]
        return order

    def _in_window(self, window: DayWindow) -> tuple[str, list[Any]]:
        """`[start, end)`: roughly on the stored column, which can use an index; then exactly."""
        source = self._dataset.config.source
        start_us, end_us = (since_epoch_us(t) for t in (window.start, window.end))
        rough, parameters = roughly(source, self._time, window)
        # BETWEEN calls the function only once.
        exact = f"{_instant(self._time)} BETWEEN ? AND ?"
        return f"{rough} AND {exact}", [*parameters, start_us, end_us - 1]

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


def _instant(value: str) -> str:
    return f"{INSTANT}({small(value)})"


def _date(instant: dt.datetime, slack: dt.timedelta, zone: ZoneInfo) -> str:
    """A local date before or after all text of a day in the sort order.

    Text starts with the digits of its date, so a date that is far enough away is a safe border.
    """
    try:
        return (instant + slack).astimezone(zone).date().isoformat()
    except OverflowError:
        return "0000" if slack < dt.timedelta() else "9999-99"
