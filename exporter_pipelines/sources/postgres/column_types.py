"""The types of the columns of a table or query, under names that are never ambiguous.

The driver gives the bare name of a type, which an application may use for its own: an enum `money`
or `citext`. A built-in type keeps its bare name here; any other type has the name of its schema.

Belongs here: which columns the role may read, and what PostgreSQL's catalog says about their types.
Does not belong here: how a type is read (`types`, `times`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from exporter_pipelines.sources.postgres.connection import PostgresConnection
from exporter_pipelines.sources.postgres.errors import PostgresStatementError, PostgresStoppedError
from exporter_pipelines.sources.postgres.questions import COLUMNS, RESOLVED_TYPES

# Built-in types whose values can be compared and sorted, and whose arrays become JSON without an
# error. Every other type is looked up in the catalog.
_PLAIN = {
    "bit", "bool", "bpchar", "bytea", "char", "cidr", "date", "float4", "float8", "inet", "int2",
    "int4", "int8", "interval", "jsonb", "macaddr", "macaddr8", "money", "name", "numeric", "oid",
    "text", "time", "timestamp", "timestamptz", "timetz", "uuid", "varbit", "varchar",
}  # fmt: skip
_PLAIN_ARRAYS = {f"_{name}" for name in _PLAIN}
_RECOGNIZED = sorted({*_PLAIN, *_PLAIN_ARRAYS, "json", "_json", "citext"})

_UNNAMED = "unnamed<oid:"
"""How the driver calls a type that it does not know, such as an array of an unusual type."""
_ODD_COLUMNS = ("42501", "42883")
"""The role may not read all columns, or a type has no function that sends it to the driver."""


@dataclass(frozen=True)
class ColumnTypes:
    """The columns that the role may read.

    Attributes:
        names: Column -> type, in order. A domain is its base type; an array begins with an
            underscore, and `_record` is an array of any composite type.
        unordered: Columns whose type has no order; of other columns than keys not all are known.
        unreadable: Columns that exist, but that the role may not read.
    """

    names: dict[str, str]
    unordered: frozenset[str] = frozenset()
    unreadable: frozenset[str] = frozenset()


def column_types(
    connection: PostgresConnection,
    relation: sql.Composable,
    *,
    keys: Sequence[str] = (),
    table: sql.Composable | None = None,
) -> ColumnTypes:
    """The columns of a table or query.

    Args:
        connection: In a transaction. It is in a new one if `SELECT *` is refused.
        relation: For FROM, without an alias.
        keys: Columns whose values are compared.
        table: The same, if it is a table.

    Raises:
        PostgresStatementError, PostgresStoppedError: PostgreSQL refuses to read it. The transaction
            is aborted.
    """
    columns = _Columns(sql.SQL("*"), sql.SQL("*"))
    try:
        names = connection.types(_probe(columns.probed, relation))
    except (PostgresStatementError, PostgresStoppedError) as error:
        if error.sqlstate not in _ODD_COLUMNS or table is None:
            raise
        columns = _listed(connection, table, error)
        names = connection.types(_probe(columns.probed, relation))
    doubtful = [
        name
        for name, found in names.items()
        if name in columns.unsendable or _is_doubtful(connection, name, found, keys)
    ]
    unordered = set()
    for row in _resolved(connection, columns.read, relation, doubtful):
        names[row["column"]] = row["type"]
        if not row["ordered"]:
            unordered.add(row["column"])
    return ColumnTypes(names, frozenset(unordered), columns.unreadable)


@dataclass(frozen=True)
class _Columns:
    """The columns of a table for SELECT.

    Attributes:
        read: Those that the role may read.
        probed: The same, where a type that PostgreSQL cannot send to the driver is text.
        unsendable: Columns of such a type. They are exported as text.
        unreadable: Columns that the role may not read.
    """

    read: sql.Composable
    probed: sql.Composable
    unsendable: frozenset[str] = frozenset()
    unreadable: frozenset[str] = frozenset()


def _probe(columns: sql.Composable, relation: sql.Composable) -> str:
    return sql.SQL("SELECT {} FROM {} AS t").format(columns, relation).as_string(None)


def _listed(
    connection: PostgresConnection,
    table: sql.Composable,
    refusal: PostgresStatementError | PostgresStoppedError,
) -> _Columns:
    """The columns of a table that cannot be read with `SELECT *`.

    Raises:
        PostgresStatementError, PostgresStoppedError: `refusal`, if the role may read no column.
    """
    connection.execute("ROLLBACK")
    connection.begin()
    statement = sql.SQL(COLUMNS).format(table=sql.Literal(table.as_string(None)))
    try:
        found = connection.rows(statement.as_string(None))
    except PostgresStatementError:  # the schema may not be used
        raise refusal from None
    readable = [row for row in found if row["readable"]]
    if not readable:
        raise refusal
    references = [sql.Identifier("t", row["name"]) for row in readable]
    probed = [
        reference
        if row["sendable"]
        else sql.SQL("{}::text AS {}").format(reference, sql.Identifier(row["name"]))
        for row, reference in zip(readable, references, strict=True)
    ]
    return _Columns(
        sql.SQL(", ").join(references),
        sql.SQL(", ").join(probed),
        frozenset(row["name"] for row in readable if not row["sendable"]),
        frozenset(row["name"] for row in found if not row["readable"]),
    )


def _is_doubtful(
    connection: PostgresConnection, name: str, found: str, keys: Sequence[str]
) -> bool:
    """Whether the bare name of a type is not enough."""
    if found.startswith(_UNNAMED) or (found.startswith("_") and found not in _PLAIN_ARRAYS):
        return True
    return (name in keys and found not in _PLAIN) or found in connection.homonyms(_RECOGNIZED)


def _resolved(
    connection: PostgresConnection,
    columns: sql.Composable,
    relation: sql.Composable,
    names: Sequence[str],
) -> list[dict[str, Any]]:
    """What the catalog says about the types of some columns."""
    if not names:
        return []
    typed, pairs = [], []
    for number, name in enumerate(names):
        oid = sql.Identifier(f"c{number}")
        typed.append(sql.SQL("pg_typeof({})::oid AS {}").format(sql.Identifier("t", name), oid))
        pairs.append(sql.SQL("({}::text, {})").format(sql.Literal(name), oid))
    statement = sql.SQL(RESOLVED_TYPES).format(
        typed=sql.SQL(", ").join(typed),
        pairs=sql.SQL(", ").join(pairs),
        columns=columns,
        relation=relation,
    )
    return connection.rows(statement.as_string(None))
