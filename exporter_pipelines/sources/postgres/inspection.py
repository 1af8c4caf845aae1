"""The tables, columns and privileges that a role has in a PostgreSQL database.

Belongs here: queries on the catalog and cheap queries on tables, each with a timeout.
Does not belong here: what a result means for a dataset (`doctor`).
"""

from __future__ import annotations

import datetime as dt
import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import sql

from exporter_pipelines.contracts.column_settings import SourceType
from exporter_pipelines.contracts.inspection import Concern, DaySpan, Relation, TimeForms
from exporter_pipelines.contracts.row_schema import UTC_MICROSECONDS, Column
from exporter_pipelines.contracts.source_config import SourceConfig, TimeEncoding
from exporter_pipelines.contracts.table_profile import (
    RowCount,
    TableProfile,
    TimeCandidate,
    ValueSet,
)
from exporter_pipelines.errors import ConfigurationError, ExporterError, NotAnsweredError
from exporter_pipelines.sources.likely_encoding import likely_encoding
from exporter_pipelines.sources.postgres import questions as questions
from exporter_pipelines.sources.postgres.column_types import column_types
from exporter_pipelines.sources.postgres.connection import Limits, PostgresConnection
from exporter_pipelines.sources.postgres.errors import PostgresStatementError
from exporter_pipelines.sources.postgres.profile import PostgresProfiles
from exporter_pipelines.sources.postgres.query import LONGEST_NAME
from exporter_pipelines.sources.postgres.query import relation as relation_of
from exporter_pipelines.sources.postgres.times import (
    NAIVE_TIMES,
    NUMERIC_TYPES,
    TEXTS,
    instant_literal,
    zone_literal,
)
from exporter_pipelines.sources.postgres.types import Projection, project, type_of
from exporter_pipelines.sources.time_encodings import EARLIEST_US, LATEST_US, NUMBERS
from exporter_pipelines.sources.time_spellings import FORM_ROWS, form_of

TIMEOUT_MS = 1000
"""Timeout of one query. Slower ones would put load on a production database."""

TEXT_TIMEOUT_MS = 5000
"""Timeout of a query that converts each text of a column to a time."""

CONNECT_TIMEOUT_S = 5

# Limits of the connection; the server cancels a query after TIMEOUT_MS.
_LIMITS = Limits(stall_timeout_s=15, answer_timeout_s=15)

_QUERY = "query"
_NO_COMPARISON, _LOCK_NOT_AVAILABLE = "42883", "55P03"
_GRANTS = 'Give it a role that may only read: docs/deployment.md, "A read-only database role".'


class PostgresInspection:
    """A `contracts.inspection.Inspection` over one read-only transaction.

    Raises:
        SourceUnavailableError: the server cannot be reached, or refuses the connection.
        ConfigurationError: the URL is malformed; its text is not shown.
    """

    def __init__(self, url: str, variable: str, driver: str | None = None) -> None:
        if "connect_timeout" not in url:
            url += f"{'&' if '?' in url else '?'}connect_timeout={CONNECT_TIMEOUT_S}"
        # With policies applied, so that a table whose rows they hide can still be examined.
        self._connection = PostgresConnection(
            url, variable, _LIMITS, row_security="on", driver=driver
        )
        self._handles: dict[str, tuple[str, sql.Composable]] = {}
        self._set_limits(TIMEOUT_MS)

    def __enter__(self) -> PostgresInspection:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.close()

    def described(self) -> str:
        """See `contracts.inspection.Inspection.described`."""
        (server,) = self._ask(questions.SERVER)
        return (
            f"PostgreSQL {server['version']} at {self._connection.place}, "
            f"database {server['database']}, role {server['role']}"
        )

    def find(self, source: SourceConfig) -> Relation | None:
        """See `contracts.inspection.Inspection.find`."""
        if source.query is not None:
            return self._of_query(source)
        schema, _, name = (source.table or "").rpartition(".")
        where = "c.relname = {name} AND "
        where += "n.nspname = {schema}" if schema else "pg_table_is_visible(c.oid)"
        return next(self._relations(where, name=name, schema=schema), None)

    def relations(self, schema: str | None = None) -> list[Relation]:
        """See `contracts.inspection.Inspection.relations`."""
        if schema is None:
            return list(self._relations(questions.USER_TABLES))
        return list(self._relations("NOT c.relispartition AND n.nspname = {schema}", schema=schema))

    def misfit(self, column: Column, type_name: str, source: SourceConfig) -> str | None:
        """See `contracts.inspection.Inspection.misfit`."""
        found = self._projection(column, type_name, source)
        return found if isinstance(found, str) else None

    def resembles(self, column: Column, type_name: str) -> bool:
        """See `contracts.inspection.Inspection.resembles`."""
        if column.is_json:
            return type_name in {"json", "jsonb", "text"} or type_name.startswith("_")
        if column.is_identifier:
            return type_name in {"int2", "int4", "int8", "uuid", *TEXTS}
        if column.is_timestamp:
            return type_name == "timestamptz" or type_name in NAIVE_TIMES
        if str(column.type) == "string":
            return type_name in {"inet", "cidr", *TEXTS}
        found = project(column, type_name, None, 1)
        return not isinstance(found, str)

    def is_naive(self, type_name: str) -> bool:
        """See `contracts.inspection.Inspection.is_naive`."""
        return type_name in NAIVE_TIMES

    def utc_offsets(self, timezone: str, instants: Sequence[dt.datetime]) -> list[int]:
        """See `contracts.inspection.Inspection.utc_offsets`."""
        listed = sql.SQL(", ").join(instant_literal(instant) for instant in instants)
        rows = self._ask(questions.OFFSETS, zone=zone_literal(timezone), instants=listed)
        return [row["seconds"] for row in rows]

    def guessed_encoding(self, relation: Relation, column: str) -> TimeEncoding | None:
        """See `contracts.inspection.Inspection.guessed_encoding`."""
        if relation.types[column] not in NUMERIC_TYPES:
            return None
        found = self._ask(
            questions.ANY, table=self._handles[relation.native][1], column=sql.Identifier(column)
        )
        return likely_encoding(found[0]["found"]) if found else None

    def missing_index(self, relation: Relation, column: str) -> str | None:
        """See `contracts.inspection.Inspection.missing_index`."""
        if self._found(questions.INDEX, relation, column):
            return None
        # PostgreSQL cannot create an index of a partitioned table concurrently.
        kind, name = self._handles[relation.native]
        verb = "CREATE INDEX" if kind == "p" else "CREATE INDEX CONCURRENTLY"
        return sql.SQL(verb + " ON {} ({});").format(name, sql.Identifier(column)).as_string()

    def key_repeats(self, relation: Relation, column: str) -> bool | None:
        """See `contracts.inspection.Inspection.key_repeats`."""
        if self._found(questions.UNIQUE, relation, column):
            return None
        name = sql.Identifier(column)
        try:
            return bool(self._found(questions.REPEATED, relation, name))
        except PostgresStatementError as error:
            if error.sqlstate != _NO_COMPARISON:
                raise
        as_text = sql.SQL("{}::text").format(name)
        return bool(self._found(questions.REPEATED, relation, as_text))

    def dayless_rows(self, relation: Relation, column: str, source: SourceConfig) -> int:
        """See `contracts.inspection.Inspection.dayless_rows`."""
        question = questions.DAYLESS_TEXT if relation.types[column] in TEXTS else questions.DAYLESS
        parts = self._time_parts(relation, column, source)
        row = self._asked_of_times(question, relation, column, parts)
        return int(row["found"])

    def time_forms(self, relation: Relation, column: str, source: SourceConfig) -> TimeForms:
        """See `contracts.inspection.Inspection.time_forms`."""
        parts = self._time_parts(relation, column, source)
        rows = self._ask(questions.FORMS, limit=sql.Literal(FORM_ROWS), **parts)
        unusable = Counter(form_of(row["found"]) for row in rows if row["unusable"])
        return TimeForms(len(rows), dict(unusable))

    def span(
        self, relation: Relation, column: str, source: SourceConfig, timezone: str
    ) -> DaySpan | None:
        """See `contracts.inspection.Inspection.span`."""
        question = questions.SPAN_TEXT if relation.types[column] in TEXTS else questions.SPAN
        parts = self._time_parts(relation, column, source)
        row = self._asked_of_times(
            question, relation, column, {"zone": zone_literal(timezone), **parts}
        )
        return DaySpan(row["first"], row["last"], row["future"]) if row["first"] else None

    def _asked_of_times(
        self, question: str, relation: Relation, column: str, parts: dict[str, sql.Composable]
    ) -> dict[str, Any]:
        """The only row of a query on the time column; if it takes too long, with the cause."""
        is_text = relation.types[column] in TEXTS
        try:
            (row,) = self._ask(question, TEXT_TIMEOUT_MS if is_text else TIMEOUT_MS, **parts)
        except NotAnsweredError as error:
            if error.hint == NotAnsweredError.LOCKED:
                raise
            hint = NotAnsweredError.CONVERTS_TIMES if is_text else error.hint
            if not is_text and self.missing_index(relation, column) is None:
                hint = NotAnsweredError.UNKNOWN
            raise NotAnsweredError(error.limit_s, hint) from None
        return row

    def _time_parts(
        self, relation: Relation, column: str, source: SourceConfig
    ) -> dict[str, sql.Composable]:
        """SQL parts that read the time column, and the range of stored values that are dates."""
        time_column = Column(source.time_column, UTC_MICROSECONDS, nullable=False, required=True)
        read = self._projection(time_column, relation.types[column], source)
        if isinstance(read, str):
            raise ConfigurationError(f"{column} cannot be read; it needs {read}")
        name, stored = sql.Identifier(column), sql.Identifier("stored")
        unit = NUMBERS.get(source.encoding(source.time_column))
        low = f"{math.ceil(unit.of_us(EARLIEST_US))}" if unit else "'0001-01-01'"
        high = f"{math.floor(unit.of_us(LATEST_US))}" if unit else "'9999-12-31'"
        return {
            "table": self._handles[relation.native][1],
            "column": name,
            "inner": read.render(read.inner, name),
            "instant": read.render(read.value, stored),
            "first": read.render(read.value, sql.SQL("first")),
            "last": read.render(read.value, sql.SQL("last")),
            "low": sql.SQL(low),
            "high": sql.SQL(high),
        }

    @staticmethod
    def _projection(column: Column, type_name: str, source: SourceConfig) -> Projection | str:
        return project(column, type_name, source.timezone, 1, source.encoding(column.name))

    def concerns(self, relation: Relation) -> Iterator[Concern]:
        """See `contracts.inspection.Inspection.concerns`."""
        (powers,) = self._ask(questions.POWERS, oid=_oid(relation))
        if powers["superuser"]:
            yield Concern(
                "privileges", "The role is a superuser and may do far more than read", _GRANTS
            )
        elif powers["writes"]:
            yield Concern("privileges", f"The role may write to {relation.name}", _GRANTS)
        if powers["unfilled"]:
            yield Concern(
                "table filled",
                f"The materialized view {relation.name} was never filled and cannot be read",
                f"REFRESH MATERIALIZED VIEW {self._handles[relation.native][1].as_string()};",
                "FAIL",
            )
        if powers["hides"]:
            yield Concern(
                "row-level security",
                f"Policies of {relation.name} may hide rows from this role",
                "Hidden rows are not exported."
                if self._connection.is_filtered_on_purpose
                else "Give the role BYPASSRLS. If the policies are meant to choose the rows that "
                "are exported, add options=-c%20row_security%3Don to the URL.",
                "warn" if self._connection.is_filtered_on_purpose else "FAIL",
            )

    def row_count(self, relation: Relation) -> RowCount | None:
        """See `contracts.inspection.Inspection.row_count`."""
        return self._profiles(relation).row_count()

    def unique_keys(self, relation: Relation) -> list[tuple[str, ...]]:
        """See `contracts.inspection.Inspection.unique_keys`."""
        return self._profiles(relation).unique_keys()

    def keys_without_null(self, relation: Relation) -> list[str]:
        """See `contracts.inspection.Inspection.keys_without_null`."""
        return self._profiles(relation).keys_without_null()

    def time_candidates(self, relation: Relation) -> list[TimeCandidate]:
        """See `contracts.inspection.Inspection.time_candidates`."""
        return self._profiles(relation).time_candidates()

    def profile(self, relation: Relation) -> TableProfile:
        """See `contracts.inspection.Inspection.profile`."""
        return self._profiles(relation).profile()

    def small_values(self, relation: Relation, column: str) -> ValueSet | None:
        """See `contracts.inspection.Inspection.small_values`."""
        return self._profiles(relation).small_values(column)

    def sampled_texts(
        self, relation: Relation, columns: Sequence[str]
    ) -> dict[str, list[str | None]]:
        """See `contracts.inspection.Inspection.sampled_texts`."""
        return self._profiles(relation).sampled_texts(columns)

    def extra_types(self, relation: Relation, timezone: str | None) -> dict[str, SourceType]:
        """See `contracts.inspection.Inspection.extra_types`."""
        return {name: type_of(found, timezone) for name, found in relation.types.items()}

    def query_of(self, relation: Relation, key: tuple[str, ...], name: str) -> str:
        """See `contracts.inspection.Inspection.query_of`."""
        return self._profiles(relation).query_of(key, name)

    def _profiles(self, relation: Relation) -> PostgresProfiles:
        kind, table = self._handles[relation.native]
        return PostgresProfiles(self._ask, _oid(relation), kind, table, relation.types)

    def _of_query(self, source: SourceConfig) -> Relation:
        query = relation_of(source)
        self._handles[_QUERY] = "v", sql.SQL("{} AS asked").format(query)
        with self._attempt():
            types = column_types(self._connection, query).names
        return Relation(source.origin, True, True, types, None, _QUERY, longest_name=LONGEST_NAME)

    def _relations(self, condition: str, **values: str) -> Iterator[Relation]:
        literals = {key: sql.Literal(value) for key, value in values.items()}
        for row in self._ask(questions.RELATIONS.replace("{condition}", condition), **literals):
            self._handles[row["oid"]] = row["kind"], sql.Identifier(row["schema"], row["name"])
            yield Relation(
                name=row["name"] if row["visible"] else f"{row['schema']}.{row['name']}",
                is_view=row["kind"] in {"v", "f"},
                readable=row["readable"],
                types=json.loads(row["types"] or "{}"),
                key=row["key"],
                native=row["oid"],
                nameable="." not in row["schema"] + row["name"],
                longest_name=LONGEST_NAME,
            )

    def _found(self, question: str, relation: Relation, column: str | sql.Composable) -> Any:
        (row,) = self._ask(
            question, oid=_oid(relation),
            table=self._handles[relation.native][1],
            column=sql.Literal(column) if isinstance(column, str) else column,
        )  # fmt: skip
        return row["found"]

    def _ask(
        self, question: str, timeout_ms: int = TIMEOUT_MS, /, **parts: sql.Composable
    ) -> list[dict[str, Any]]:
        """The rows of a query. The transaction stays usable when it fails."""
        statement = sql.SQL(question).format(**parts).as_string()
        with self._attempt(timeout_ms):
            return self._connection.rows(statement)

    @contextmanager
    def _attempt(self, timeout_ms: int = TIMEOUT_MS) -> Iterator[None]:
        """Run a statement in a savepoint, so that the transaction stays usable when it fails."""
        self._connection.execute("SAVEPOINT asked")
        if timeout_ms != TIMEOUT_MS:
            self._set_limits(timeout_ms)
        began = time.monotonic()
        try:
            yield
        except ExporterError as error:
            self._connection.execute("ROLLBACK TO asked")
            if getattr(error, "sqlstate", "") == _LOCK_NOT_AVAILABLE:
                limit_s = _lock_timeout_ms(timeout_ms) / 1000
                raise NotAnsweredError(limit_s, NotAnsweredError.LOCKED) from None
            # By the clock, because the server's message depends on its language.
            if time.monotonic() - began > 0.9 * timeout_ms / 1000:
                raise NotAnsweredError(timeout_ms / 1000) from None
            raise
        if timeout_ms != TIMEOUT_MS:  # a rollback to the savepoint would restore it as well
            self._set_limits(TIMEOUT_MS)

    def _set_limits(self, timeout_ms: int) -> None:
        self._connection.execute(f"SET LOCAL statement_timeout = {timeout_ms}")
        self._connection.execute(f"SET LOCAL lock_timeout = {_lock_timeout_ms(timeout_ms)}")


def _lock_timeout_ms(timeout_ms: int) -> int:
    """Shorter than the limit of the statement, so that the server names a lock as the cause."""
    return max(1, timeout_ms * 4 // 5)


def _oid(relation: Relation) -> sql.Composable:
    """The OID of a table; null for a query, which is not in the catalog."""
    return sql.SQL("NULL::oid") if relation.native == _QUERY else sql.SQL(f"{relation.native}::oid")
