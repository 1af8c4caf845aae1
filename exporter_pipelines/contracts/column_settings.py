"""What a `defs.yaml` changes about columns without Python: `defaults`, `nullable`, `extra_columns`.

Belongs here: checking these settings against a schema, and the schema that results.
Does not belong here: filling values in (`engine.fill_defaults`), or the types of columns that only
the source knows (`sources`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pyarrow as pa

from exporter_pipelines.contracts.reserved_names import as_readers_compare, free_column_name
from exporter_pipelines.contracts.row_schema import (
    NOTES_COLUMN,
    REASONS_COLUMN,
    Column,
    RowSchema,
    rule_name,
)
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.contracts.typed_values import hint_for, typed_value
from exporter_pipelines.errors import ConfigurationError, UnknownNameError


class SourceType(NamedTuple):
    """The type in which a source delivers a column that no schema names."""

    type: pa.DataType
    is_json: bool = False


def check_nullable(name: str, source: SourceConfig, schema: RowSchema) -> None:
    """Check one entry of `nullable:`.

    Raises:
        UnknownNameError: there is no such column.
        ConfigurationError: it is the time column.
    """
    if name not in schema.names:
        raise UnknownNameError("nullable: column", name, schema.names)
    if name == source.time_column:
        raise ConfigurationError(
            f"nullable: {name!r} is the time column, and a row without a time belongs to no day.",
            "Remove it.",
        )


def check_default(name: str, value: object, source: SourceConfig, schema: RowSchema) -> None:
    """Check one entry of `defaults:`.

    Args:
        name: Exported column.
        value: As in the `defs.yaml`.
        source: Names key and time column.
        schema: The schema that rows are validated with.

    Raises:
        UnknownNameError: there is no such column.
        ConfigurationError: the column cannot have a default, or the value is not valid in it.
    """
    if name not in schema.names:
        raise UnknownNameError("defaults: column", name, schema.names)
    for role, taken in (("key", source.key), ("time column", source.time_column)):
        if name == taken:
            raise ConfigurationError(
                f"defaults: {name!r} is the {role}, which cannot have a default.",
                "Remove it, or give the rows a value in a view or with `query:`.",
            )
    if value is None:
        raise ConfigurationError(
            f"defaults: {name!r} has no value.",
            f"Write a value. To accept rows without one, write `nullable: [{name}]` instead.",
        )
    column = schema[name]
    if column.is_identifier and isinstance(value, str):
        column = replace(column, type=pa.string())
    broken = _broken_rules(schema, column, default_value(column, value))
    if broken:
        raise ConfigurationError(
            f"defaults: {value!r} breaks the rule {broken[0]!r} of {name!r}.",
            f"Write one of {', '.join(column.values)}." if column.values else "",
        )


def default_value(column: Column, value: object) -> Any:
    """A default as `column.type` holds it; for a JSON column its text.

    Raises:
        ConfigurationError: it is not a value of this type.
    """
    found = _document(value) if column.is_json else typed_value(column, value)
    if found is None and pa.types.is_string(column.type) and isinstance(value, (dict, list)):
        found = _document(value)  # a column of documents that the source stores as text
    if isinstance(found, float) and not math.isfinite(found):
        found = None
    if isinstance(found, str) and not _is_unicode(found):
        found = None
    if found is None:
        shown = "json" if column.is_json else str(column.type)
        raise ConfigurationError(
            f"defaults: {value!r} is not a value of {column.name!r} ({shown}).", hint_for(column)
        )
    return found


def adjusted(schema: RowSchema, defaults: Collection[str], nullable: Collection[str]) -> RowSchema:
    """The schema with `nullable:` columns nullable, and columns with a default optional.

    A source need not have a column with a default: all its rows get the default.
    """
    if not defaults and not nullable:
        return schema
    columns = tuple(
        replace(
            column,
            nullable=column.nullable or column.name in nullable,
            required=column.required and column.name not in defaults,
        )
        for column in schema.columns
    )
    relaxed = {name: {"nullable": True} for name in nullable}
    return replace(
        schema,
        columns=columns,
        pandera=schema.pandera.update_columns(relaxed) if relaxed else schema.pandera,
    )


def extra_columns(
    schema: RowSchema, used: Collection[str], types: Mapping[str, SourceType]
) -> tuple[Column, ...]:
    """The columns of a source that the schema does not name, as they are exported.

    An extra column keeps its name, unless the name is taken: then underscores are appended.

    Args:
        schema: Of the dataset.
        used: Source columns that the schema's columns are read from.
        types: Source column -> type, in the order of the table.
    """
    taken = {as_readers_compare(name) for name in schema.names} | {NOTES_COLUMN, REASONS_COLUMN}
    found = []
    for source_name, (type_, is_json) in types.items():
        if source_name in used:
            continue
        name = free_column_name(source_name, taken)
        taken.add(as_readers_compare(name))
        found.append(
            Column(name, type_, nullable=True, required=False, is_json=is_json, extra=source_name)
        )
    return tuple(found)


def _document(value: object) -> str | None:
    """JSON text on one line; None for a value that JSON or its readers do not have."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        json.loads(text, parse_int=_int64_or_uint64)
    except (TypeError, ValueError, RecursionError):
        return None
    return text


def _int64_or_uint64(digits: str) -> int:
    if not -(2**63) <= int(digits) < 2**64:
        raise ValueError
    return int(digits)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _broken_rules(schema: RowSchema, column: Column, value: Any) -> list[str]:
    """Rules of the column that the value breaks."""
    import pandas as pd  # here, like Pandera in `row_schema`

    array = pa.array([value], column.type)
    series = pd.Series(pd.arrays.ArrowExtensionArray(array), name=column.name)
    broken = []
    for check in schema.pandera.columns[column.name].checks:
        try:
            passed = bool(check(series).check_passed)
        except Exception:  # noqa: S112 - user code may raise anything; the export reports it
            continue
        if not passed:
            broken.append(rule_name(check))
    return broken
