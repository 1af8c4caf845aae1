"""Finds out whether the times of a SQLite table are stored alike near a day."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.sources.sqlite.connection import SqliteConnection
from exporter_pipelines.sources.sqlite.near import near
from exporter_pipelines.sources.sqlite.plain_times import (
    PlainNumbers,
    PlainText,
    PlainTimes,
)
from exporter_pipelines.sources.sqlite.query import quoted, relation
from exporter_pipelines.sources.sqlite.usual_times import UsualTimes
from exporter_pipelines.sources.time_encodings import NUMBERS


class PlainTable:
    """One table, with what `PlainTimes` need to know of it.

    Args:
        connection: With the snapshot of a day.
        dataset: Names the table and the time column.
    """

    def __init__(self, connection: SqliteConnection, dataset: Dataset) -> None:
        self._connection, self._source = connection, dataset.config.source
        self._zone = ZoneInfo(self._source.timezone or "UTC")
        self._relation = relation(dataset)
        self._time = quoted("t", dataset.source_name(self._source.time_column))

    def times(self, window: DayWindow) -> PlainTimes | None:
        """How all times near a window are stored.

        None if they are not plain, or if SQLite would read the whole table to find out.
        """
        condition, parameters = near(self._source, self._time, window, self._connection.binary)
        example = self._example(parameters[:2])
        plain = None if example is None else self.like(example, window)
        if plain is None:
            return None
        other = self._connection.rows(
            f"SELECT 1 FROM {self._relation} WHERE {condition} "  # noqa: S608
            f"AND NOT {plain.hold(self._time, self._connection.encoding)} LIMIT 1",
            parameters,
        )
        return None if other else plain

    def like(self, example: str, window: DayWindow) -> PlainTimes | None:
        """Times near a window that are stored like an example; numbers, if it is empty."""
        if example:
            usual = UsualTimes(window, self._zone, self._connection.encoding)
            return PlainText.like(example, window, usual)
        unit = NUMBERS.get(self._source.encoding(self._source.time_column))
        return PlainNumbers.of(unit, window) if unit else None

    def _example(self, borders: list[str]) -> str | None:
        """One text between two dates, or empty; None if SQLite would read the whole table."""
        time = self._time + self._connection.binary
        statement = f"SELECT {time} FROM {self._relation} WHERE {time} >= ? AND {time} < ? LIMIT 1"  # noqa: S608
        if not self._connection.uses_index(statement, borders):
            return None
        found = self._connection.rows(statement, borders)
        return str(found[0][0]) if found else ""
