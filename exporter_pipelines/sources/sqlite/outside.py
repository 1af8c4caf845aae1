"""Counts the rows of a SQLite table that belong to no day that can be exported."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from exporter_pipelines.contracts.outside_days import (
    KINDS,
    MOST_COUNTED,
    SAMPLE_ROWS,
    UNUSABLE,
    ExportableDays,
    OutsideRows,
)
from exporter_pipelines.sources.sqlite.connection import SqliteConnection, SqliteTimeoutError
from exporter_pipelines.sources.sqlite.query import quoted, small
from exporter_pipelines.sources.sqlite.usual_times import minute_of, usual_between
from exporter_pipelines.sources.sqlite.values import SqliteValues
from exporter_pipelines.sources.time_encodings import (
    EARLIEST_US,
    MINUTE_US,
    NotAnInstantError,
    minute_us,
    since_epoch_us,
)

_KIND = "exporter_kind"
_IS_INSIDE = "exporter_is_inside"
_EARLIEST = dt.datetime.min.replace(tzinfo=dt.UTC)


class SqliteOutside:
    """Counts the rows of one table. SQLite has no type of times, so each value is read.

    Args:
        connection: With the snapshot of a day.
        relation: Table or subquery with the alias `t`, for FROM.
        time: The time column, quoted.
        values: Reads the stored values.
        time_encoding: Unit of numbers in the time column.
    """

    def __init__(
        self,
        connection: SqliteConnection,
        relation: str,
        time: str,
        values: SqliteValues,
        time_encoding: str,
    ) -> None:
        self._connection, self._relation, self._time = connection, relation, time
        self._values, self._time_encoding = values, time_encoding

    def count(self, days: ExportableDays, timeout_s: float) -> OutsideRows:
        """See `contracts.source.DaySnapshot.rows_outside`."""
        self._connection.define(_KIND, self._kinds(days), 1)
        self._connection.define(_IS_INSIDE, lru_cache(1024)(self._is_inside(days)), 1)
        try:
            return self._counted(days, "", timeout_s)
        except SqliteTimeoutError:
            pass
        try:
            return self._counted(days, f" LIMIT {SAMPLE_ROWS}", timeout_s)
        except SqliteTimeoutError:
            return OutsideRows({}, is_sample=True, has_usable=True)

    def _counted(self, days: ExportableDays, limit: str, timeout_s: float) -> OutsideRows:
        times = f"(SELECT {self._time} AS v FROM {self._relation}{limit}) AS t"  # noqa: S608
        encoding, time = self._values.encoding, quoted("t", "v") + self._connection.binary
        usual = usual_between(time, days.start or _EARLIEST, days.end, encoding)
        with self._connection.time_limit(timeout_s):
            rows = self._connection.rows(
                f"SELECT CASE WHEN {_IS_INSIDE}({minute_of(time, encoding)}) THEN '' "  # noqa: S608
                f"ELSE {_KIND}({small(time)}) END, count(*) FROM {times} "
                f"WHERE {usual} IS NOT TRUE GROUP BY 1"
            )
            is_inside = self._connection.rows(f"SELECT 1 FROM {times} WHERE {usual} LIMIT 1")  # noqa: S608
        found = {str(kind): int(number) for kind, number in rows}
        counts = {kind: min(found.get(kind, 0), MOST_COUNTED) for kind in KINDS}
        has_usable = bool(is_inside or found.keys() - set(UNUSABLE))
        return OutsideRows(counts, bool(limit), has_usable)

    def _kinds(self, days: ExportableDays) -> Callable[[Any], str | None]:
        """A function from a stored time to its kind; None for a row of a day."""
        start_us = since_epoch_us(days.start) if days.start else None
        end_us = since_epoch_us(days.end)

        def kind(value: Any) -> str | None:
            if value is None:
                return "null"
            try:
                us = self._values.instant(value, self._time_encoding).us
            except NotAnInstantError as error:
                return "unreadable" if error.rule == "unreadable_time" else "infinite"
            if us >= end_us:
                return "after"
            return "before" if start_us is not None and us < start_us else None

        return kind

    def _is_inside(self, days: ExportableDays) -> Callable[[str | None], bool]:
        """A function from a minute to whether all of it certainly is in a day."""
        start_us = since_epoch_us(days.start) if days.start else EARLIEST_US
        end_us = since_epoch_us(days.end)

        def is_inside(minute: str | None) -> bool:
            us = minute_us(minute, self._values.zone) if minute else None
            return us is not None and start_us <= us <= end_us - MINUTE_US

        return is_inside
