"""How each PostgreSQL type becomes one of the five types of an exported column.

Belongs here: SQL expressions per type. Drivers change some values silently (timestamps beyond
int64, `inet` as wire bytes), so every such type is cast in SQL, and what SQL cannot deliver is
rejected by a guard instead of changed.
Does not belong here: the rest of the query.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
from psycopg import sql

from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.sources.postgres.times import NAIVE_TIMES, stored_time
from exporter_pipelines.sources.postgres.times import WHOLE_NUMBERS as INTEGERS

FLOATS = {"float4", "float8"}
# Types whose values are small whatever they hold; everything else is measured.
_BOUNDED = INTEGERS | FLOATS | NAIVE_TIMES | {
    "timestamptz", "bool", "uuid", "inet", "cidr", "macaddr", "macaddr8", "oid", "time", "timetz",
    "interval", "money",
}  # fmt: skip

# Beyond these, numeric::float8 fails the whole query.
_FLOAT_MAX = "1.7976931348623157e308"
_FLOAT_MIN = "2.2250738585072014e-308"


@dataclass(frozen=True)
class Projection:
    """How one exported column is read.

    Attributes:
        column: As this source delivers it (an identifier's type, JSON or text).
        inner: Expression over the table's column `{ref}`; evaluated once.
        value: Expression over the inner value `{v}`; of the column's Arrow type.
        rejected: (rule, condition over `{v}`, text over `{v}` to show for it).
        changed: (rule, condition over `{v}`).
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
    """How a column of `pg_type` is read as `column`, or what would be needed to read it.

    Args:
        column: The exported column.
        pg_type: Type name as in `pg_type`; arrays begin with an underscore.
        timezone: Zone of times without one, if it is known.
        max_value_bytes: Larger values are cut off and their rows rejected.
        encoding: How the numbers of a time column count.

    Returns:
        A projection; or, when the type does not fit, the types that would.
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


def _json(column: Column, pg_type: str, limit: int) -> Projection:
    if pg_type == "json":
        # Raw line breaks in a json value can only be white space between tokens.
        inner = r"btrim(translate({ref}::text, E'\n\r\t', '   '))"
    elif pg_type == "jsonb":
        inner = "{ref}::text"
    elif pg_type.startswith("_"):
        inner = "to_jsonb({ref})::text"
    else:
        return _text(replace(column, is_json=False), pg_type, limit)
    return _sized(Projection(column, inner), limit)


def _text(column: Column, pg_type: str, limit: int) -> Projection:
    if pg_type in {"inet", "cidr"}:
        # The output form: no /32 behind a host, the mask kept where there is one.
        return Projection(column, "abbrev({ref}::inet)")
    # The padding of char(n) is no part of its value, and the cast leaves it out.
    projection = Projection(column, "{ref}::text")
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
        f"NOT {special} AND {{v}} <> 0 AND (abs({{v}}) > {_FLOAT_MAX} OR abs({{v}}) < {_FLOAT_MIN})"
    )
    # Compared in decimal: 0.1 is written as 0.1, so it counts as exact.
    rounded = f"CASE WHEN {outside} THEN false ELSE {{v}}::float8::text::numeric <> {{v}} END"
    return Projection(
        column,
        "{ref}",
        value=f"CASE WHEN {outside} THEN NULL ELSE {{v}}::float8 END",
        rejected=(("number_out_of_range", outside, "left({v}::text, 100)"),),
        changed=(("numeric_rounded", rounded),),
    )
