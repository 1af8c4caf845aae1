"""Compares published days with a PostgreSQL table: rows by key, and the counts of several days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
from psycopg import sql

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import NotComparedError
from exporter_pipelines.sources.comparing import (
    DayBorders,
    TimeLimit,
    comparable,
    found,
    most_rows,
)
from exporter_pipelines.sources.postgres.connection import PostgresConnection
from exporter_pipelines.sources.postgres.errors import PostgresStatementError, PostgresStoppedError
from exporter_pipelines.sources.postgres.query import (
    instant_of,
    ordered_time,
    read_time,
    relation,
)
from exporter_pipelines.sources.postgres.questions import REWRITTEN, TYPE
from exporter_pipelines.sources.postgres.table import PostgresTable
from exporter_pipelines.sources.postgres.times import WHOLE_NUMBERS, StoredTime, instant_literal
from exporter_pipelines.sources.postgres.types import Projection

_MOST_COUNTED_ALONE = 100
"""Parts of time that are counted one by one; planning more of them takes longer than it saves."""

_GRACE_S = 1.0
"""The server ends a statement by itself; only if it does not, the connection is closed."""

# A value cannot be cast, or there is no cast or no comparison.
_CANNOT_COMPARE = ("22", "23514", "42704", "42804", "42846", "42883")


class PostgresComparison:
    """Answers one comparison.

    Args:
        connection: In a new transaction.
        dataset: Names the table, key and time column.
        time_limit: Of the whole comparison.
    """

    def __init__(
        self, connection: PostgresConnection, dataset: Dataset, time_limit: TimeLimit
    ) -> None:
        self._connection, self._time_limit = connection, time_limit
        connection.deadline = time_limit.ends + _GRACE_S
        self._limit_statements()
        self._table = PostgresTable(connection, dataset)
        self._dataset = self._table.dataset
        self._read = {p.column.name: p for p in self._table.projections() if p}
        self._relation = relation(dataset.config.source)

    def times_of(self, keys: pa.Array) -> pa.Table:
        """See `contracts.source.Session.times_of`."""
        source = self._dataset.config.source
        key, time = self._read[source.key], self._read[source.time_column]
        wanted = comparable(keys, key.column)
        with self._refusing_keys():
            statement = self._lookup(key, time, wanted)
            self._limit_statements()
            rows = self._connection.table(statement)
        self._refuse_rewritten()
        return found(keys, rows)

    def count(self, borders: DayBorders) -> dict[str, int]:
        """See `contracts.source.Session.count_days`."""
        if not borders.spans:
            return borders.counts({})
        name = self._dataset.source_name(self._dataset.config.source.time_column)
        stored = read_time(self._dataset, self._table.types)
        parts = borders.parts()
        few = stored.is_exact and len(parts) <= _MOST_COUNTED_ALONE and self._table.is_indexed(name)
        counting = self._each_part(name, stored, parts) if few else self._all(name, stored, borders)
        self._limit_statements()
        rows = self._connection.rows(counting.as_string(None), is_slow=True)
        self._refuse_rewritten()
        return borders.counts({row["part"]: row["rows"] for row in rows})

    def _each_part(
        self, time: str, stored: StoredTime, parts: Sequence[tuple[int, DayWindow]]
    ) -> sql.Composable:
        """Counts from an index alone, which takes half of the time of one scan for all parts."""
        return sql.SQL(" UNION ALL ").join(
            sql.SQL(
                "SELECT {number} AS part, count(*) AS rows FROM {table} AS t WHERE {part}"
            ).format(
                number=sql.Literal(number),
                table=self._relation,
                part=stored.roughly(sql.Identifier("t", time), window),
            )
            for number, window in parts
        )

    def _all(self, time: str, stored: StoredTime, borders: DayBorders) -> sql.Composable:
        ordered = ordered_time(time, sorts_by_digits=self._table.time_sorts_by_digits())
        return sql.SQL(
            "SELECT width_bucket({instant}, ARRAY[{instants}]) - 1 AS part, count(*) AS rows "
            "FROM {table} AS t WHERE {spans} GROUP BY 1"
        ).format(
            instant=instant_of(stored, sql.Identifier("t", time)),
            instants=sql.SQL(", ").join(map(instant_literal, borders.instants)),
            table=self._relation,
            spans=sql.SQL(" OR ").join(stored.roughly(ordered, span) for span in borders.spans),
        )

    def _lookup(self, key: Projection, time: Projection, keys: pa.Array) -> str:
        """The rows with these keys. The list is cast, not the column, so that an index is used."""
        key_column, time_column = (
            sql.Identifier("t", self._dataset.source_name(projection.column.name))
            for projection in (key, time)
        )
        key_inner = key.render(key.inner, key_column)
        stored: sql.Composable = key_column
        type_ = self._type_of(key_column)
        if self._table.key_has_no_order or type_ == "pg_catalog.money":
            stored, type_ = sql.SQL("({})").format(key_inner), "text"
        # No text in PostgreSQL has a NUL.
        listed = [str(value) for value in keys.to_pylist() if "\0" not in str(value)]
        k, v = sql.Identifier("k"), sql.Identifier("v")
        return (
            sql.SQL(
                "SELECT {key} AS key, {time} AS time FROM (SELECT {key_inner} AS k, "
                "{time_inner} AS v FROM {table} AS t WHERE {column} = "
                "ANY({keys}::text[]::{type}[]) LIMIT {most}) AS r"
            )
            .format(
                key=key.render(key.value, k),
                time=time.render(time.value, v),
                key_inner=key_inner,
                time_inner=time.render(time.inner, time_column),
                table=self._relation,
                column=stored,
                keys=sql.Literal(listed),
                type=sql.SQL(type_),
                most=sql.Literal(most_rows(keys) + 1),
            )
            .as_string(None)
        )

    def _type_of(self, key: sql.Composable) -> str:
        """The type to which the keys are cast."""
        if self._table.types[self._dataset.source_name(self._dataset.config.source.key)] in (
            WHOLE_NUMBERS
        ):
            # A key that was larger before is not an error. An index on a smaller type is used.
            return "int8"
        statement = TYPE.format(column=key.as_string(None), table=self._relation.as_string(None))
        return str(self._connection.rows(statement)[0]["name"])

    @contextmanager
    def _refusing_keys(self) -> Iterator[None]:
        try:
            yield
        except (PostgresStatementError, PostgresStoppedError) as error:
            if error.sqlstate.startswith(_CANNOT_COMPARE):
                raise NotComparedError(
                    "the keys of the published day do not fit the type of the key column"
                ) from None
            raise

    def _limit_statements(self) -> None:
        """Let the server end a statement, or a wait for a lock, at the time limit."""
        milliseconds = max(1, round(1000 * self._time_limit.left_s))
        self._connection.execute(
            f"SELECT set_config('statement_timeout', '{milliseconds}', true), "
            "set_config('lock_timeout', '0', true)"
        )

    def _refuse_rewritten(self) -> None:
        """A table that was rewritten when the transaction began looks empty."""
        if self._connection.rows(REWRITTEN):
            raise NotComparedError("the table was rewritten at the same time")
