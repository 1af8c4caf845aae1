"""Names and values in SQL for DuckDB. Everything that a user writes goes through here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from exporter_pipelines.contracts.training_set import Condition

_BATCH_ROWS = 8_192
_OPERATORS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def name(text: str) -> str:
    """A quoted identifier."""
    return '"' + text.replace('"', '""') + '"'


def kept(column: str) -> str:
    """The name of a column of the source in tables of the build: their own begin with `_`."""
    return name(f"c_{column}")


def text(value: str) -> str:
    """A quoted string."""
    return "'" + value.replace("'", "''") + "'"


def literal(value: Any) -> str:
    """A value of a `defs.yaml` as SQL."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case dt.datetime() | dt.date():
            return f"{text(value.isoformat())}::TIMESTAMPTZ"
        case _:
            return text(str(value))


def files(paths: Iterable[Path]) -> str:
    """`read_parquet` over files, each of which exists."""
    listed = ", ".join(text(str(path)) for path in paths)
    return f"read_parquet([{listed}])"


def microseconds(length: dt.timedelta) -> int:
    """A duration, in the unit of the columns `_time`."""
    return int(length.total_seconds()) * 1_000_000


def condition(each: Condition) -> str:
    """A condition on a label row; false where the column is null, except for `is_null`."""
    column = name(each.column)
    if each.op in _OPERATORS:
        return f"{column} {_OPERATORS[each.op]} {literal(each.value)}"
    if each.op == "is_null":
        return f"{column} IS NULL"
    if each.op == "not_null":
        return f"{column} IS NOT NULL"
    values = ", ".join(literal(value) for value in each.value)
    return f"{column} {'IN' if each.op == 'in' else 'NOT IN'} ({values})"


def whole_parts(number: str, part: int) -> str:
    """How many whole parts a number has, rounded down; `//` of DuckDB rounds toward zero."""
    return f"(({number}) - ((({number}) % {part}) + {part}) % {part}) // {part}"


def batches(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[pa.RecordBatch]:
    """The result of a query in small batches, read to its end."""
    yield from connection.sql(query).to_arrow_reader(_BATCH_ROWS)


def schema(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Schema:
    """The schema of `batches`."""
    return connection.sql(f"{query} LIMIT 0").to_arrow_reader(_BATCH_ROWS).schema


def row(
    connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[Any] = ()
) -> tuple[Any, ...]:
    """The single row of a query, read to its end: DuckDB refuses other work before that."""
    (only,) = connection.execute(query, list(values)).fetchall()
    return tuple(only)


def count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Rows of a table or view of ours."""
    return int(row(connection, f"SELECT count(*) FROM {table}")[0])


def share_of(column: str, seed: int) -> str:
    """A number from 0 to 1 that depends only on a value and the seed."""
    return f"(md5_number_lower(concat({seed}, ':', {column})) / 18446744073709551616.0)"
