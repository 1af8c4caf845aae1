"""Compares published days with a SQLite table: rows by key, and the counts of several days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.sources.comparing import DayBorders, comparable, found, most_rows
from exporter_pipelines.sources.sqlite.cells import INT64, number_text
from exporter_pipelines.sources.sqlite.connection import Row, SqliteConnection
from exporter_pipelines.sources.sqlite.near import roughly
from exporter_pipelines.sources.sqlite.notes import Notes
from exporter_pipelines.sources.sqlite.plain_table import PlainTable
from exporter_pipelines.sources.sqlite.query import (
    chosen,
    limit_of,
    quoted,
    relation,
    small,
    state,
)
from exporter_pipelines.sources.sqlite.table import SqliteTable
from exporter_pipelines.sources.sqlite.usual_times import minute_of
from exporter_pipelines.sources.sqlite.values import SqliteValues
from exporter_pipelines.sources.time_encodings import MINUTE_US, minute_us

_KEYS = "temp.exporter_keys"
_PART = "exporter_part"
_PART_OF_MINUTE = "exporter_part_of_minute"


class SqliteComparison:
    """Answers one comparison.

    Args:
        connection: With a time limit; the caller closes it.
        dataset: Names the table, key and time column.
    """

    def __init__(self, connection: SqliteConnection, dataset: Dataset) -> None:
        self._connection, self._dataset = connection, dataset
        self._values = SqliteValues.of(dataset, connection.encoding)
        table = SqliteTable(connection, dataset)
        table.check()
        self._schema = dataset.schema.bound(table.bound())
        self._relation = relation(dataset)
        source = dataset.config.source
        self._key, self._time = (
            quoted("t", dataset.source_name(name)) for name in (source.key, source.time_column)
        )

    def times_of(self, keys: pa.Array) -> pa.Table:
        """See `contracts.source.Session.times_of`."""
        source = self._dataset.config.source
        key, time = self._schema[source.key], self._schema[source.time_column]
        wanted = comparable(keys, key)
        self._connection.list_values(
            _KEYS, (form for value in wanted.to_pylist() for form in _stored_forms(value))
        )
        limit_bytes = limit_of(self._dataset, self._values.encoding)
        rows = list(
            self._connection.stream(
                f"SELECT {chosen(key, self._key, limit_bytes)}, "  # noqa: S608
                f"{state(self._key, limit_bytes)}, {chosen(time, self._time, limit_bytes)} "
                f"FROM {self._relation} WHERE {self._key}{self._connection.binary} "
                f"IN (SELECT value FROM {_KEYS}) LIMIT {most_rows(keys) + 1}"
            )
        )
        return found(
            keys,
            pa.table({
                "key": self._delivered(key, rows, 0), "time": self._delivered(time, rows, 2)
            }),
        )  # fmt: skip

    def count(self, borders: DayBorders) -> dict[str, int]:
        """See `contracts.source.Session.count_days`."""
        if not borders.spans:
            return borders.counts({})
        plain = self._plain_counts(borders)
        return borders.counts(self._counted(borders) if plain is None else plain)

    def _plain_counts(self, borders: DayBorders) -> dict[int, int] | None:
        """Part -> rows, if all times near the days are plain; else None."""
        table = PlainTable(self._connection, self._dataset)
        found, time = {}, self._time + self._connection.binary
        for span in borders.spans:
            plain = table.times(span)
            if plain is None:
                return None
            for number, part in borders.parts():
                if not span.start <= part.start < span.end:
                    continue
                of_part = table.like(plain.example, part)
                if of_part is None:
                    return None
                statement = (
                    f"SELECT count(*), {of_part.dated(self._time)} "  # noqa: S608
                    f"FROM {self._relation} WHERE {of_part.inside(time)}"
                )
                ((rows, dated),) = self._connection.rows(statement)
                if rows != dated:
                    return None
                found[number] = rows
        return found

    def _counted(self, borders: DayBorders) -> dict[int, int]:
        """Part -> rows."""
        source = self._dataset.config.source
        encoding = source.encoding(source.time_column)

        def part_of(value: Any) -> int | None:
            us = self._values.instant_us(value, encoding)
            return None if us is None else borders.part_of_us(us)

        def part_of_minute(text: str | None) -> int | None:
            start_us = minute_us(text, self._values.zone) if text else None
            if start_us is None:
                return None
            part = borders.part_of_us(start_us)
            return part if part == borders.part_of_us(start_us + MINUTE_US - 1) else None

        self._connection.define(_PART, lru_cache(1024)(part_of), 1)
        self._connection.define(_PART_OF_MINUTE, lru_cache(1024)(part_of_minute), 1)
        minute = minute_of(self._time, self._values.encoding)
        conditions, parameters = [], []
        for span in borders.spans:
            condition, values = roughly(
                source, self._time, span, self._values.encoding, self._connection.binary
            )
            conditions.append(condition)
            parameters += values
        rows = self._connection.rows(
            f"SELECT ifnull({_PART_OF_MINUTE}({minute}), {_PART}({small(self._time)})), "  # noqa: S608
            f"count(*) FROM {self._relation} WHERE {' OR '.join(conditions)} GROUP BY 1",
            parameters,
        )
        return dict(rows)

    def _delivered(self, column: Column, rows: list[Row], position: int) -> pa.Array:
        """A column as an export delivers it; values that cannot be delivered are null."""
        is_text = pa.types.is_string(column.type)
        states = [row[position + 1] for row in rows] if is_text else ()
        return self._values.convert(
            column,
            self._dataset.config.source.encoding(column.name),
            [row[position] for row in rows],
            states,
            Notes(),
        )


def _stored_forms(key: int | str) -> Iterator[object]:
    """The values that are delivered as this key: `12` may be stored as text or as a number."""
    yield key
    if isinstance(key, str):
        for number in (int, float):
            with suppress(ValueError):
                value = number(key)
                if number_text(value) == key and (number is float or value in INT64):
                    yield value
        if key.startswith("\\x"):
            with suppress(ValueError):
                yield bytes.fromhex(key[2:])
