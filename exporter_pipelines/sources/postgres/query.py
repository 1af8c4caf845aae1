"""The SQL for one day of one table.

Belongs here: combining projections, window and order. psycopg quotes every identifier and value.
Does not belong here: running the statements.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence

from psycopg import sql

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import NOTES_COLUMN
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.sources.postgres.times import (
    TEXTS,
    StoredTime,
    instant_literal,
    stored_time,
)
from exporter_pipelines.sources.postgres.types import Projection
from exporter_pipelines.sources.time_spellings import DATE_SEPARATORS

LONGEST_NAME = 63
"""PostgreSQL keeps the first 63 bytes of an identifier, and says so only in a notice."""

_BY_BYTES = sql.Identifier("C")
_MOST_SORTED = 700
"""More columns are sorted as one array: a query has 1,664 columns at most, sorted ones included."""
_ORDERED = {"int2", "int4", "int8", "timestamp", "timestamptz"}


def relation(source: SourceConfig) -> sql.Composable:
    """The table or subquery for FROM, without an alias."""
    if source.query is not None:
        # The line break ends a comment at the end of the query, before the parenthesis.
        return sql.SQL("({}\n)").format(sql.SQL(source.query.strip().rstrip(";")))
    parts = (source.table or "").split(".")
    if len(parts) > 2 or not all(parts):
        raise ConfigurationError(
            f"table {source.table!r} is not `name` or `schema.name`.",
            "A table whose name contains a dot cannot be configured; create a view over it.",
        )
    return sql.Identifier(*parts)


def read_time(dataset: Dataset, types: Mapping[str, str]) -> StoredTime:
    """How the time column of a dataset is read, after `PostgresTable.projections` accepted it.

    Args:
        dataset: Names the column.
        types: Source column -> PostgreSQL type.
    """
    source = dataset.config.source
    found = stored_time(
        types[dataset.source_name(source.time_column)],
        source.encoding(source.time_column),
        source.timezone or "UTC",
    )
    if isinstance(found, str):
        raise ValueError(f"the projections were to refuse a time column that needs {found}")
    return found


def ordered_time(name: str, *, sorts_by_digits: bool) -> sql.Composable:
    """The time column to compare with `StoredTime.ranges`; see `SORTS_BY_DIGITS`."""
    column = sql.Identifier("t", name)
    return column if sorts_by_digits else sql.SQL('{}::text COLLATE "C"').format(column)


def instant_of(time: StoredTime, column: sql.Identifier) -> sql.Composable:
    """The instant of a row, as an expression on its time column."""
    stored = sql.SQL(time.inner).format(ref=column)
    return sql.SQL("({})").format(sql.SQL(time.instant).format(v=stored))


def _day_after(day: str) -> str:
    try:
        return str(dt.date.fromisoformat(day) + dt.timedelta(days=1))
    except OverflowError:
        return "9999-99"


def fingerprint_of(rows: int, largest_key: int | None) -> str:
    """The same value as `PostgresDayQuery.fingerprint`, for keys that are integers."""
    text = str(rows) if largest_key is None else f"{rows}|{largest_key}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class PostgresDayQuery:
    """Builds the statements of a day.

    Args:
        dataset: Names the table, key and time column.
        window: The day.
        types: Source column -> PostgreSQL type, of every column of the table.
        projections: How each exported column is read; None for an optional column that the table
            lacks, which is delivered as null.
        key_is_unique: Whether (time, key) is a total order.
        key_has_no_order: Whether values of the key can only be compared as text.
    """

    def __init__(
        self,
        dataset: Dataset,
        window: DayWindow,
        types: Mapping[str, str],
        projections: Sequence[Projection | None],
        key_is_unique: bool,
        *,
        key_has_no_order: bool = False,
        time_sorts_by_digits: bool = True,
    ) -> None:
        self._dataset, self._types, self._window = dataset, types, window
        self._projections = projections
        self._key_is_unique, self._key_has_no_order = key_is_unique, key_has_no_order
        source = dataset.config.source
        self._table = relation(source)
        self._time = dataset.source_name(source.time_column)
        self._key = dataset.source_name(source.key)
        self._ordered_time = ordered_time(self._time, sorts_by_digits=time_sorts_by_digits)
        self._stored_time = read_time(dataset, types)
        self._where = self._in_window(window)

    def counts(self, *, with_fingerprint: bool) -> str:
        """One row: number of `rows`, number of `repeated` keys (0 if unique), and a `fingerprint`.

        Without the fingerprint, which needs the largest key, PostgreSQL reads only an index on the
        time column; this takes a quarter of the time.
        """
        repeated: sql.Composable = sql.SQL("0::int8")
        if not self._key_is_unique:
            repeated = sql.SQL("count({k}) - count(DISTINCT {k})").format(
                k=self._sort_key(self._key)
            )
        columns: list[sql.Composable] = [
            sql.SQL("count(*) AS rows, {} AS repeated").format(repeated)
        ]
        if with_fingerprint:
            columns.append(self._fingerprint())
        return self._of_the_day(sql.SQL(", ").join(columns))

    def nearly_of_the_day(self) -> str | None:
        """One row: `rows` whose time begins with the date of the day but cannot be read.

        None if every value of the time column can be read.
        """
        if self._stored_time.limits:
            return None
        time = sql.Identifier("t", self._time)
        following = _day_after(self._window.day)
        text = sql.SQL(self._stored_time.inner).format(ref=time)
        begins = sql.SQL(" OR ").join(
            sql.SQL(
                "({time} >= {day} AND {time} < {end} AND left({text}, {length}) = {day})"
            ).format(
                time=self._ordered_time,
                text=text,
                day=sql.Literal(day),
                length=sql.Literal(len(day)),
                end=sql.Literal(following.replace("-", separator)),
            )
            for separator in DATE_SEPARATORS
            for day in [self._window.day.replace("-", separator)]
        )
        return self._text(
            sql.SQL("SELECT count(*) AS rows FROM {} AS t WHERE ({}) AND {} IS NULL").format(
                self._table, begins, self._instant()
            )
        )

    def fingerprint(self) -> str:
        """One row: the `fingerprint`."""
        return self._of_the_day(self._fingerprint())

    def _of_the_day(self, columns: sql.Composable) -> str:
        return self._text(
            sql.SQL("SELECT {} FROM {} AS t WHERE {}").format(columns, self._table, self._where)
        )

    def _fingerprint(self) -> sql.Composable:
        """Computed by the server, because the largest key is row content and may not be UTF-8."""
        names = (self._key, self._dataset.config.source.updated_column)
        largest = [self._largest(name) for name in names if name]
        return sql.SQL(
            "left(encode(sha256(textsend(concat_ws('|', count(*), {}))), 'hex'), 32) AS fingerprint"
        ).format(sql.SQL(", ").join(largest))

    def _largest(self, column: str) -> sql.Composable:
        """The largest value as text. For numbers and timestamps the maximum is cheaper."""
        ordered = "max({})::text" if self._types[column] in _ORDERED else "max({}::text COLLATE {})"
        return sql.SQL(ordered).format(sql.Identifier(column), _BY_BYTES)

    def rows(self) -> str:
        """The rows of the day in a total order, with notes on values that could not be delivered.

        The columns are those of the schema and the notes, by position: PostgreSQL would cut an
        exported name off after 63 bytes.

        The inner query sorts, and casts each value once. `OFFSET 0` keeps PostgreSQL from merging
        it into the outer query, which would repeat the cast in every condition on the value.
        """
        inner, outer = [], []
        for number, projection in enumerate(self._projections):
            column = self._dataset.schema.columns[number]
            value = sql.Identifier(f"c{number}")
            if projection is None:
                outer.append(sql.SQL("NULL::text AS {}").format(value))
                continue
            reference = sql.Identifier("t", self._dataset.source_name(column.name))
            inner.append(
                sql.SQL("{} AS {}").format(projection.render(projection.inner, reference), value)
            )
            outer.append(
                sql.SQL("{} AS {}").format(projection.render(projection.value, value), value)
            )
        inner.extend(self._sql_rules())
        outer.append(sql.SQL("{} AS {}").format(self._notes(), sql.Identifier(NOTES_COLUMN)))
        return self._text(
            sql.SQL(
                "SELECT {outer} FROM (SELECT {inner} FROM {table} AS t WHERE {where} "
                "ORDER BY {order} OFFSET 0) AS r"
            ).format(
                outer=sql.SQL(", ").join(outer),
                inner=sql.SQL(", ").join(inner),
                table=self._table,
                where=self._where,
                order=sql.SQL(", ").join(self._order()),
            )
        )

    def _sql_rules(self) -> list[sql.Composed]:
        """The dataset's `sql_rules` as columns of the inner query, true for a broken rule.

        In the inner query, expressions have access to the table's own columns and, through window
        functions, to the whole day. The line break ends a comment at the end of an expression.
        """
        return [
            sql.SQL("({}\n) IS FALSE AS {}").format(sql.SQL(text), sql.Identifier(f"rule{number}"))
            for number, (_, text) in enumerate(self._dataset.config.sql_rules)
        ]

    def _order(self) -> list[sql.Composable]:
        """Time, then key. Without a unique key also the text of every column, for a total order.

        This includes the text of the key: 1.0 equals 1.00, and in some types a equals A.
        """
        time = self._sort_key(self._time)
        if not self._stored_time.is_ordered:
            time = self._instant()
        order = [time, self._sort_key(self._key)]
        if not self._key_is_unique:
            mapped = [self._dataset.source_name(c.name) for c in self._dataset.schema.columns]
            others = [n for n in mapped if n in self._types and n not in (self._time, self._key)]
            # As text, because some types (json) have no order.
            texts = [self._as_text(name) for name in (self._key, *others)]
            if len(texts) > _MOST_SORTED:
                texts = [sql.SQL("ARRAY[{}]").format(sql.SQL(", ").join(texts))]
            order += texts
        return order

    def _sort_key(self, name: str) -> sql.Composable:
        if name == self._key and self._key_has_no_order:
            return self._as_text(name)
        # The default collation of a database may change with an update of its operating system, and
        # some collations take different texts for equal.
        template = '{} COLLATE "C"' if self._types[name] in TEXTS else "{}"
        return sql.SQL(template).format(sql.Identifier("t", name))

    @staticmethod
    def _as_text(name: str) -> sql.Composable:
        return sql.SQL('{}::text COLLATE "C"').format(sql.Identifier("t", name))

    def _in_window(self, window: DayWindow) -> sql.Composable:
        """`[start, end)` on the stored column, so that PostgreSQL can use an index on it.

        Stored values may not decide exactly: a change of the clock repeats an hour, and text has
        several spellings of one instant. Then the exported instant is compared as well.
        """
        rough = self._stored_time.roughly(self._ordered_time, window)
        if self._stored_time.is_exact:
            return rough
        exact = sql.SQL("{time} >= {start} AND {time} < {end}").format(
            time=self._instant(),
            start=instant_literal(window.start),
            end=instant_literal(window.end),
        )
        return sql.SQL("{} AND {}").format(rough, exact)

    def _instant(self) -> sql.Composable:
        return instant_of(self._stored_time, sql.Identifier("t", self._time))

    def _notes(self) -> sql.Composable:
        """Null for a row without notes, else a JSON array as described in `contracts.source`."""
        conditions, notes = [], []
        for number, projection in enumerate(self._projections):
            if projection is None:
                continue
            value = sql.Identifier(f"c{number}")
            for rule, condition, shown in projection.rejected:
                hit = projection.render(condition, value)
                entry = self._note("reject", rule, projection, projection.render(shown, value))
                conditions.append(hit)
                notes.append(sql.SQL("CASE WHEN {} THEN {} END").format(hit, entry))
            for rule, condition in projection.changed:
                hit = projection.render(condition, value)
                conditions.append(hit)
                notes.append(
                    sql.SQL("CASE WHEN {} THEN {} END").format(
                        hit, self._note("change", rule, projection, sql.SQL("''"))
                    )
                )
        for number, (rule, _) in enumerate(self._dataset.config.sql_rules):
            broken = sql.Identifier(f"rule{number}")
            conditions.append(broken)
            entry = sql.SQL("jsonb_build_array('reject', {}::text, NULL, NULL)")
            notes.append(
                sql.SQL("CASE WHEN {} THEN {} END").format(broken, entry.format(sql.Literal(rule)))
            )
        if not conditions:
            return sql.SQL("NULL::text")
        # An array, because a function takes 100 arguments at most.
        return sql.SQL("CASE WHEN {} THEN to_jsonb(ARRAY[{}])::text END").format(
            sql.SQL(" OR ").join(sql.SQL("({})").format(c) for c in conditions),
            sql.SQL(", ").join(notes),
        )

    @staticmethod
    def _note(
        kind: str, rule: str, projection: Projection, shown: sql.Composable
    ) -> sql.Composable:
        return sql.SQL("jsonb_build_array({}::text, {}::text, {}::text, {})").format(
            sql.Literal(kind), sql.Literal(rule), sql.Literal(projection.column.name), shown
        )

    def rule_probe(self, expression: str) -> str:
        """A query whose column `verdict` is the value of an SQL rule's expression."""
        return self._text(
            sql.SQL("SELECT {} AS key, ({}\n) AS verdict FROM {} AS t").format(
                sql.Identifier("t", self._key), sql.SQL(expression), self._table
            )
        )

    @staticmethod
    def _text(statement: sql.Composable) -> str:
        return statement.as_string(None)
