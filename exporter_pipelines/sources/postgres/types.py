"""Converts each PostgreSQL type to one of the five types of an exported column.

Belongs here: SQL expressions per type. Drivers change some values silently (timestamps beyond
int64, `inet` as wire bytes), so such types are cast in SQL. A value that SQL cannot deliver
unchanged is rejected by a condition.
Does not belong here: the rest of the query.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
from psycopg import sql

from exporter_pipelines.contracts.column_settings import SourceType
from exporter_pipelines.contracts.row_schema import UTC_MICROSECONDS, Column
from exporter_pipelines.sources.postgres.times import NAIVE_TIMES, stored_time
from exporter_pipelines.sources.postgres.times import WHOLE_NUMBERS as INTEGERS

FLOATS = {"float4", "float8"}
# Types whose values are always small. Values of all other types are measured.
_BOUNDED = INTEGERS | FLOATS | NAIVE_TIMES | {
    "timestamptz", "bool", "uuid", "inet", "cidr", "macaddr", "macaddr8", "oid", "time", "timetz",
    "interval", "money",
}  # fmt: skip

# The text of money has the currency and the separators of lc_monetary. Setting lc_monetary would
# change the amounts: money is stored as a number of cents, yen or fils.
_AMOUNTS = {"money": "{ref}::numeric::text", "_money": "{ref}::numeric[]::text"}

# Outside of these limits, numeric::float8 fails, and with it the whole query.
FLOAT_MAX = "1.7976931348623157e308"
FLOAT_MIN = "2.2250738585072014e-308"


@dataclass(frozen=True)
class Projection:
    """How one exported column is read.

    Attributes:
        column: The column with the type that this source delivers (integer or text for an
            identifier; JSON or text).
        inner: Expression on the table's column `{ref}`; evaluated once.
        value: Expression on the inner value `{v}`; has the column's Arrow type.
        rejected: (rule, condition on `{v}`, text of `{v}` for the quarantine).
        changed: (rule, condition on `{v}`).
    """

    column: Column
    inner: str
    value: str = "{v}"
    rejected: tuple[tuple[str, str, str], ...] = ()
    changed: tuple[tuple[str, str], ...] = ()

    def render(self, template: str, reference: sql.Composable) -> sql.Composable:
        """One of the expressions with its reference filled in."""
        return sql.SQL(template).format(ref=reference, v=reference)


def project(
    column: Column,
    pg_type: str,
    timezone: str | None,
    max_value_bytes: int,
    encoding: str = "iso8601",
) -> Projection | str:
    """How a column of type `pg_type` is read as `column`.

    Args:
        column: The exported column.
        pg_type: Type name as in `ColumnTypes`.
        timezone: Zone of times without an offset, if it is known.
        max_value_bytes: Rows with larger values are rejected.
        encoding: Unit of the numbers in a time column.

    Returns:
        A projection; or, when the type does not fit, the types that do, as text.
    """
    if column.is_json:
        return _json(column, pg_type, max_value_bytes)
    if column.is_timestamp:
        return _timestamp(column, pg_type, timezone, encoding)
    if pa.types.is_string(column.type):
        return _text(column, pg_type, max_value_bytes)
    if pa.types.is_boolean(column.type):
        return Projection(column, "{ref}") if pg_type == "bool" else "boolean"
    if pa.types.is_float64(column.type):
        return _float(column, pg_type)
    if pg_type in INTEGERS:
        return Projection(column, "{ref}::int8")
    if column.is_identifier:
        return _text(replace(column, type=pa.string()), pg_type, max_value_bytes)
    return "smallint, integer or bigint"


def type_of(pg_type: str, timezone: str | None) -> SourceType:
    """The type in which a column is exported that no schema names.

    A date, and a time in an unknown zone, is not an instant, so it stays text.

    Args:
        pg_type: As for `project`.
        timezone: As for `project`.
    """
    if pg_type in INTEGERS:
        return SourceType(pa.int64())
    if pg_type in FLOATS or pg_type == "numeric":
        return SourceType(pa.float64())
    if pg_type == "bool":
        return SourceType(pa.bool_())
    if pg_type == "timestamptz" or (pg_type == "timestamp" and timezone is not None):
        return SourceType(UTC_MICROSECONDS)
    return SourceType(pa.string(), is_json=pg_type in {"json", "jsonb"} or pg_type[0] == "_")


def _json(column: Column, pg_type: str, limit: int) -> Projection:
    # In valid JSON, line breaks are white space between tokens, never part of a string.
    on_one_line = r"btrim(translate({text}, E'\n\r\t', '   '))"
    if pg_type == "json":
        inner = on_one_line.format(text="{ref}::text")
    elif pg_type == "jsonb":
        inner = "{ref}::text"
    elif pg_type in {"_json", "_record"}:
        # to_jsonb fails for documents that jsonb cannot hold.
        inner = on_one_line.format(text="to_json({ref})::text")
    elif pg_type == "_money":
        inner = "to_jsonb({ref}::numeric[]::text[])::text"
    elif pg_type.startswith("_"):
        inner = "to_jsonb({ref})::text"
    else:
        return _text(replace(column, is_json=False), pg_type, limit)
    return _sized(Projection(column, inner), limit)


def _text(column: Column, pg_type: str, limit: int) -> Projection:
    if pg_type in {"inet", "cidr"}:
        # As PostgreSQL prints it: without /32 after a host, with the mask of a network.
        return Projection(column, "abbrev({ref}::inet)")
    # The cast removes the padding of char(n), which is not part of the value.
    projection = Projection(column, _AMOUNTS.get(pg_type, "{ref}::text"))
    return projection if pg_type in _BOUNDED else _sized(projection, limit)


def _sized(projection: Projection, limit: int) -> Projection:
    too_large = f"octet_length({{v}}) > {limit}"
    return replace(
        projection,
        value=f"CASE WHEN {too_large} THEN NULL ELSE {{v}} END",
        rejected=(("value_too_large", too_large, "left({v}, 1000)"),),
    )


def _timestamp(
    column: Column, pg_type: str, timezone: str | None, encoding: str
) -> Projection | str:
    time = stored_time(pg_type, encoding, timezone)
    if isinstance(time, str):
        return time
    value = time.value or time.instant
    return Projection(column, time.inner, value, time.rejected, time.changed)


def _float(column: Column, pg_type: str) -> Projection | str:
    if pg_type == "int8":
        rounded = "{v}::float8::text::numeric <> {v}::numeric"
        changed = (("numeric_rounded", rounded),)
        return Projection(column, "{ref}", value="{v}::float8", changed=changed)
    if pg_type in FLOATS | INTEGERS:
        return Projection(column, "{ref}::float8")
    if pg_type != "numeric":
        return "double precision, real, numeric or an integer type"
    return _float_of_numeric(column)


def _float_of_numeric(column: Column) -> Projection:
    special = "{v} IN ('NaN', 'Infinity', '-Infinity')"
    outside = (
        f"NOT {special} AND {{v}} <> 0 AND (abs({{v}}) > {FLOAT_MAX} OR abs({{v}}) < {FLOAT_MIN})"
    )
    # Compared as decimals: the double 0.1 prints as 0.1, so it counts as exact.
    rounded = f"CASE WHEN {outside} THEN false ELSE {{v}}::float8::text::numeric <> {{v}} END"
    return Projection(
        column,
        "{ref}",
        value=f"CASE WHEN {outside} THEN NULL ELSE {{v}}::float8 END",
        rejected=(("number_out_of_range", outside, "left({v}::text, 100)"),),
        changed=(("numeric_rounded", rounded),),
    )
