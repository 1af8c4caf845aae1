"""A value that a user wrote in a `defs.yaml`, in the type of a column.

Belongs here: which YAML values a column accepts (filters, defaults).
Does not belong here: values from a database (`sources`).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa

from exporter_pipelines.contracts.row_schema import Column


def typed_value(column: Column, value: Any) -> Any:
    """The value as `column.type` holds it; None if it is not a value of this type.

    An identifier may be written as a number or as text, whichever its type.
    """
    kind = column.type
    if isinstance(value, bool):
        return value if pa.types.is_boolean(kind) else None
    if column.is_identifier and isinstance(value, (int, str)):
        return _identifier(value, kind)
    if isinstance(value, str) and pa.types.is_string(kind):
        return value
    if isinstance(value, int) and pa.types.is_integer(kind):
        return _int64(value)
    if isinstance(value, (int, float)) and pa.types.is_floating(kind):
        return float(value)
    return _instant(value) if column.is_timestamp else None


def hint_for(column: Column) -> str:
    """How to write a value of this column; empty where that is clear."""
    return "Write a time as 2026-11-01T09:30:00Z." if column.is_timestamp else ""


def _identifier(value: int | str, kind: pa.DataType) -> int | str | None:
    if pa.types.is_string(kind):
        return str(value)
    try:
        return _int64(int(value))
    except ValueError:
        return None


def _int64(value: int) -> int | None:
    return value if -(2**63) <= value < 2**63 else None


def _instant(value: Any) -> dt.datetime | None:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    aware = isinstance(value, dt.datetime) and value.tzinfo is not None
    return value if aware else None
