"""Counts the rows of a PostgreSQL table that belong to no day that can be exported."""

from __future__ import annotations

import datetime as dt

from psycopg import sql

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.outside_days import (
    MOST_COUNTED,
    SAMPLE_ROWS,
    ExportableDays,
    Kind,
    OutsideRows,
)
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.sources.postgres.connection import PostgresConnection
from exporter_pipelines.sources.postgres.times import (
    EARLIEST,
    LATEST,
    StoredTime,
    instant_literal,
)

_CANCELLED = "57014"

# All kinds in one pass; every row of `rows` is read. Without `OFFSET 0` PostgreSQL would merge the
# subqueries and convert each time once per condition.
_CLASSIFY = """
SELECT count(*) FILTER (WHERE v IS NULL) AS none,
    count(*) FILTER (WHERE v IS NOT NULL AND (i BETWEEN {first} AND {last}) IS NOT TRUE) AS odd,
    count(*) FILTER (WHERE i >= {first} AND i < {start}) AS before,
    count(*) FILTER (WHERE i >= {end} AND i <= {last}) AS after,
    count(*) FILTER (WHERE i BETWEEN {first} AND {last}) AS usable
FROM (SELECT v, {instant} AS i FROM (SELECT {inner} AS v FROM {rows} AS t OFFSET 0) AS a OFFSET 0)
    AS b
"""
# One kind, by a condition for which PostgreSQL can use an index.
_ONE_KIND = "(SELECT count(*) FROM (SELECT FROM {table} AS t WHERE {where} LIMIT {most}) AS x)"


class PostgresOutside:
    """Counts the rows of one table, in the transaction of a day.

    Args:
        connection: With the transaction.
        table: Table or subquery, for FROM.
        column: The time column, with the alias `t`.
        stored: How it is read.
    """

    def __init__(
        self,
        connection: PostgresConnection,
        table: sql.Composable,
        column: sql.Identifier,
        stored: StoredTime,
    ) -> None:
        self._connection, self._table = connection, table
        self._column, self._stored = column, stored

    def count(self, days: ExportableDays, timeout_s: float) -> OutsideRows:
        """See `contracts.source.DaySnapshot.rows_outside`."""
        try:
            by_range = self._stored.limits is not None
            row = self._ask(self._by_range(days) if by_range else self._scan(days), timeout_s)
            return self._counted(row, is_sample=False)
        except _TooLongError:
            pass
        try:
            row = self._ask(self._scan(days, SAMPLE_ROWS), timeout_s)
            return self._counted(row, is_sample=True)
        except _TooLongError:
            return OutsideRows({}, is_sample=True, has_usable=True)

    def _counted(self, row: dict[str, int], *, is_sample: bool) -> OutsideRows:
        odd: Kind = "infinite" if self._stored.limits else "unreadable"
        counts: dict[Kind, int] = {
            "null": row["none"], odd: row["odd"], "before": row["before"], "after": row["after"]
        }  # fmt: skip
        return OutsideRows(
            {kind: min(n, MOST_COUNTED) for kind, n in counts.items()},
            is_sample,
            bool(row["usable"]),
        )

    def _scan(self, days: ExportableDays, limit: int | None = None) -> sql.Composable:
        rows = self._table
        if limit:
            rows = sql.SQL("(SELECT {column} FROM {table} AS t LIMIT {limit})").format(
                column=self._column, table=self._table, limit=sql.Literal(limit)
            )
        return sql.SQL(_CLASSIFY).format(
            inner=sql.SQL(self._stored.inner).format(ref=self._column),
            instant=sql.SQL(self._stored.instant).format(v=sql.Identifier("v")),
            first=sql.SQL(EARLIEST),
            last=sql.SQL(LATEST),
            rows=rows,
            start=instant_literal(days.start) if days.start else sql.SQL("'-infinity'"),
            end=instant_literal(days.end),
        )

    def _by_range(self, days: ExportableDays) -> sql.Composable:
        conditions = {
            "none": sql.SQL("{c} IS NULL").format(c=self._column),
            "odd": self._beyond_the_limits(),
            "before": self._before(days.start) if days.start else sql.SQL("false"),
            "after": self._from(days.end),
            "usable": self._within_the_limits(),
        }
        return sql.SQL("SELECT {counts}").format(
            counts=sql.SQL(", ").join(
                sql.SQL(_ONE_KIND + " AS {name}").format(
                    table=self._table,
                    where=where,
                    most=sql.Literal(1 if name == "usable" else MOST_COUNTED),
                    name=sql.Identifier(name),
                )
                for name, where in conditions.items()
            )
        )

    def _beyond_the_limits(self) -> sql.Composable:
        low, high = (sql.SQL(limit) for limit in self._stored.limits or ("NULL", "NULL"))
        return sql.SQL("({c} < {low} OR {c} > {high}) AND {value} IS NULL").format(
            c=self._column, low=low, high=high, value=self._value(self._column)
        )

    def _within_the_limits(self) -> sql.Composable:
        low, high = (sql.SQL(limit) for limit in self._stored.limits or ("NULL", "NULL"))
        return sql.SQL("{c} >= {low} AND {c} <= {high}").format(c=self._column, low=low, high=high)

    def _before(self, start: dt.datetime) -> sql.Composable:
        (_, end) = self._stored.ranges(DayWindow("", start - dt.timedelta(days=1), start, "UTC"))[0]
        return sql.SQL("{c} < {end} AND {value} < {start}").format(
            c=self._column, end=end, value=self._value(self._column), start=instant_literal(start)
        )

    def _from(self, end: dt.datetime) -> sql.Composable:
        (start, _) = self._stored.ranges(DayWindow("", end, end + dt.timedelta(days=1), "UTC"))[0]
        return sql.SQL("{c} >= {start} AND {value} >= {end}").format(
            c=self._column, start=start, value=self._value(self._column), end=instant_literal(end)
        )

    def _value(self, v: sql.Composable) -> sql.Composable:
        value = self._stored.value or self._stored.instant
        return sql.SQL("({})").format(sql.SQL(value).format(v=v))

    def _ask(self, statement: sql.Composable, timeout_s: float) -> dict[str, int]:
        """The only row of a query that the server ends after `timeout_s`."""
        milliseconds = max(1, round(1000 * timeout_s))
        self._connection.execute("SAVEPOINT outside")
        try:
            self._connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
            row: dict[str, int] = self._connection.rows(statement.as_string(None), is_slow=True)[0]
        except ExporterError as error:
            self._roll_back()
            if getattr(error, "sqlstate", "") == _CANCELLED:
                raise _TooLongError from None
            raise
        # Also when it succeeded, because this restores the setting.
        self._roll_back()
        return row

    def _roll_back(self) -> None:
        self._connection.execute("ROLLBACK TO outside")
        # Within a savepoint, a snapshot cannot be shared.
        self._connection.execute("RELEASE outside")


class _TooLongError(Exception):
    """The server ended a statement at its time limit."""
