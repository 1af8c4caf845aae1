"""Counts the rows of a SQLite table that belong to no day that can be exported."""

from __future__ import annotations

from collections.abc import Callable
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
from exporter_pipelines.sources.sqlite.query import small
from exporter_pipelines.sources.time_encodings import NotAnInstantError, since_epoch_us

_KIND = "exporter_kind"


class SqliteOutside:
    """Counts the rows of one table. SQLite has no type of times, so each value is read.

    Args:
        connection: With the snapshot of a day.
        relation: Table or subquery with the alias `t`, for FROM.
        time: The time column, quoted.
        instant_us: Stored value -> microseconds since 1970; raises NotAnInstantError.
    """

    def __init__(
        self,
        connection: SqliteConnection,
        relation: str,
        time: str,
        instant_us: Callable[[Any], int],
    ) -> None:
        self._connection, self._relation = connection, relation
        self._time, self._instant_us = time, instant_us

    def count(self, days: ExportableDays, timeout_s: float) -> OutsideRows:
        """See `contracts.source.DaySnapshot.rows_outside`."""
        self._connection.define(_KIND, self._kinds(days), 1)
        try:
            return self._counted("", timeout_s)
        except SqliteTimeoutError:
            pass
        try:
            return self._counted(f" LIMIT {SAMPLE_ROWS}", timeout_s)
        except SqliteTimeoutError:
            return OutsideRows({}, is_sample=True, has_usable=True)

    def _counted(self, limit: str, timeout_s: float) -> OutsideRows:
        with self._connection.time_limit(timeout_s):
            rows = self._connection.rows(
                f"SELECT {_KIND}(v), count(*) "  # noqa: S608
                f"FROM (SELECT {small(self._time)} AS v FROM {self._relation}{limit}) GROUP BY 1"
            )
        found = {str(kind): int(number) for kind, number in rows}
        counts = {kind: min(found.get(kind, 0), MOST_COUNTED) for kind in KINDS}
        has_usable = bool(found.keys() - set(UNUSABLE))
        return OutsideRows(counts, bool(limit), has_usable)

    def _kinds(self, days: ExportableDays) -> Callable[[Any], str | None]:
        """A function from a stored time to its kind; None for a row of a day."""
        start_us = since_epoch_us(days.start) if days.start else None
        end_us = since_epoch_us(days.end)

        def kind(value: Any) -> str | None:
            if value is None:
                return "null"
            try:
                us = self._instant_us(value)
            except NotAnInstantError as error:
                return "unreadable" if error.rule == "unreadable_time" else "infinite"
            if us >= end_us:
                return "after"
            return "before" if start_us is not None and us < start_us else None

        return kind
