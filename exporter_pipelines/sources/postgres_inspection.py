"""What a PostgreSQL database has, and what this role may do there.

Belongs here: questions to the catalog, and cheap ones to a table, each under a timeout.
Does not belong here: what an answer means for a dataset (`doctor`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from exporter_pipelines.contracts.dataset import SourceConfig
from exporter_pipelines.contracts.inspection import Concern, DaySpan, Relation
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.sources.postgres_connection import PostgresConnection
from exporter_pipelines.sources.postgres_types import NAIVE_TIMES, TEXTS, project, zone_literal

TIMEOUT_MS = 2000
"""Of one question. A table whose answer takes longer is large, and production has other work."""

# Types by the name that a result column has: a domain is shown as the type beneath it.
_RELATIONS = """
SELECT n.nspname AS schema, c.relname AS name, c.oid::text AS oid, c.relkind::text AS kind,
    pg_table_is_visible(c.oid) AS visible,
    has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
    (SELECT json_object_agg(a.attname, coalesce(b.typname, t.typname) ORDER BY a.attnum)::text
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS types,
    (SELECT a.attname FROM pg_index i
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
     WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
         AND i.indnkeyatts = 1 AND a.attnotnull
         AND (c.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid))
     ORDER BY i.indisprimary DESC, a.attnum LIMIT 1) AS key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {condition}
ORDER BY 1, 2 LIMIT 300
"""
_USER_TABLES = """
NOT c.relispartition AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
_SERVER = """
SELECT current_setting('server_version') AS version, current_database()::text AS database,
    current_user::text AS role
"""
_INDEX = """
SELECT count(*) AS found
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = {oid} AND i.indisvalid AND i.indpred IS NULL AND a.attname = {column}
  AND m.amname IN ('btree', 'brin')
"""
_UNIQUE = """
SELECT count(*) AS found
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = {oid} AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
  AND i.indnkeyatts = 1 AND a.attname = {column} AND a.attnotnull
  AND (c.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid))
"""
_REPEATED = """
SELECT EXISTS (SELECT FROM {table} GROUP BY {column} HAVING count(*) > 1) AS found
"""
_DAYLESS = """
SELECT count(*) AS found FROM (SELECT FROM {table} WHERE {column} IS NULL
    OR {column} < '0001-01-01' OR {column} > '9999-12-31' LIMIT 1000) AS rows
"""
_SPAN = """
SELECT ({first} AT TIME ZONE {zone})::date::text AS first,
    ({last} AT TIME ZONE {zone})::date::text AS last, {last} > now() AS future
FROM (SELECT min({column}) AS first, max({column}) AS last FROM {table}
      WHERE {column} BETWEEN '0001-01-01' AND '9999-12-31') AS span
"""
_POWERS = """
SELECT r.rolsuper AS superuser,
    has_table_privilege({oid}, 'INSERT, UPDATE, DELETE, TRUNCATE') AS writes,
    row_security_active({oid}) AS hides
FROM pg_roles r WHERE r.rolname = current_user
"""
_GRANTS = 'Give it a role that may only read: docs/operations.md, "A read-only database role".'


class PostgresInspection:
    """A `contracts.inspection.Inspection` over one read-only transaction.

    Raises:
        SourceUnavailableError: the server cannot be reached, or refuses the connection.
        ConfigurationError: the URL is malformed; its text is not shown.
    """

    def __init__(self, url: str, variable: str) -> None:
        self._connection = PostgresConnection(url, variable)
        self._given = conninfo_to_dict(url)
        self._handles: dict[str, tuple[str, sql.Identifier]] = {}
        self._connection.execute(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")

    def __enter__(self) -> PostgresInspection:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.close()

    def described(self) -> str:
        """See `contracts.inspection.Inspection.described`."""
        (server,) = self._ask(_SERVER)
        host = self._given.get("host") or self._given.get("hostaddr") or "the local socket"
        port = self._given.get("port") or 5432
        return (
            f"PostgreSQL {server['version']} at {host}:{port}, database {server['database']}, "
            f"role {server['role']}"
        )

    def find(self, table: str) -> Relation | None:
        """See `contracts.inspection.Inspection.find`."""
        schema, _, name = table.rpartition(".")
        where = "c.relname = {name} AND "
        where += "n.nspname = {schema}" if schema else "pg_table_is_visible(c.oid)"
        return next(self._relations(where, name=name, schema=schema), None)

    def relations(self) -> list[Relation]:
        """See `contracts.inspection.Inspection.relations`."""
        return list(self._relations(_USER_TABLES))

    def misfit(self, column: Column, type_name: str, source: SourceConfig) -> str | None:
        """See `contracts.inspection.Inspection.misfit`."""
        found = project(column, type_name, source.timezone, 1)
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

    def missing_index(self, relation: Relation, column: str) -> str | None:
        """See `contracts.inspection.Inspection.missing_index`."""
        if self._found(_INDEX, relation, column):
            return None
        # An index of a partitioned table cannot be made concurrently.
        kind, name = self._handles[relation.native]
        verb = "CREATE INDEX" if kind == "p" else "CREATE INDEX CONCURRENTLY"
        return sql.SQL(verb + " ON {} ({});").format(name, sql.Identifier(column)).as_string()

    def key_repeats(self, relation: Relation, column: str) -> bool | None:
        """See `contracts.inspection.Inspection.key_repeats`."""
        if self._found(_UNIQUE, relation, column):
            return None
        return bool(self._found(_REPEATED, relation, sql.Identifier(column)))

    def dayless_rows(self, relation: Relation, column: str, source: SourceConfig) -> int:  # noqa: ARG002
        """See `contracts.inspection.Inspection.dayless_rows`."""
        return int(self._found(_DAYLESS, relation, sql.Identifier(column)))

    def span(
        self, relation: Relation, column: str, source: SourceConfig, timezone: str
    ) -> DaySpan | None:
        """See `contracts.inspection.Inspection.span`."""
        first, last = sql.SQL("first"), sql.SQL("last")
        if self.is_naive(relation.types[column]):
            move = sql.SQL("({}::timestamp AT TIME ZONE {})")
            zone = zone_literal(source.timezone or "UTC")
            first, last = move.format(first, zone), move.format(last, zone)  # type: ignore[assignment]
        (row,) = self._ask(
            _SPAN, first=first, last=last, zone=zone_literal(timezone),
            table=self._handles[relation.native][1], column=sql.Identifier(column),
        )  # fmt: skip
        return DaySpan(row["first"], row["last"], row["future"]) if row["first"] else None

    def concerns(self, relation: Relation) -> Iterator[Concern]:
        """See `contracts.inspection.Inspection.concerns`."""
        (powers,) = self._ask(_POWERS, oid=sql.Literal(int(relation.native)))
        if powers["superuser"]:
            yield Concern(
                "privileges", "The role is a superuser and may do far more than read", _GRANTS
            )
        elif powers["writes"]:
            yield Concern("privileges", f"The role may write to {relation.name}", _GRANTS)
        if powers["hides"]:
            yield Concern(
                "row-level security",
                f"Policies of {relation.name} may hide rows from this role, and rows that it does "
                "not see are exported by nobody",
                "Give the role a policy USING (true), or BYPASSRLS.",
            )

    def _relations(self, condition: str, **values: str) -> Iterator[Relation]:
        literals = {key: sql.Literal(value) for key, value in values.items()}
        for row in self._ask(_RELATIONS.replace("{condition}", condition), **literals):
            if "." in row["schema"] + row["name"]:
                continue  # `table:` cannot name it
            self._handles[row["oid"]] = row["kind"], sql.Identifier(row["schema"], row["name"])
            yield Relation(
                name=row["name"] if row["visible"] else f"{row['schema']}.{row['name']}",
                is_view=row["kind"] in {"v", "f"},
                readable=row["readable"],
                types=json.loads(row["types"] or "{}"),
                key=row["key"],
                native=row["oid"],
            )

    def _found(self, question: str, relation: Relation, column: str | sql.Identifier) -> Any:
        (row,) = self._ask(
            question, oid=sql.Literal(int(relation.native)),
            table=self._handles[relation.native][1],
            column=sql.Literal(column) if isinstance(column, str) else column,
        )  # fmt: skip
        return row["found"]

    def _ask(self, question: str, **parts: sql.Composable) -> list[dict[str, Any]]:
        """The rows of a query; the transaction goes on when it fails."""
        statement = sql.SQL(question).format(**parts).as_string()
        self._connection.execute("SAVEPOINT asked")
        began = time.monotonic()
        try:
            return self._connection.rows(statement)
        except ExporterError:
            self._connection.execute("ROLLBACK TO asked")
            # By the clock: what the server says of it depends on its language.
            if time.monotonic() - began > 0.9 * TIMEOUT_MS / 1000:
                raise NotAnsweredError(
                    f"no answer within {TIMEOUT_MS // 1000} s",
                    "The table is large; an index on the time column answers at once.",
                ) from None
            raise


class NotAnsweredError(ExporterError):
    """The database was not given the time that a question would have taken."""
