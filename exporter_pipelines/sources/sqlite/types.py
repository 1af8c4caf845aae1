"""The type of a SQLite column, from its declaration and from its values.

SQLite stores any type in any column, so the declared type is only a hint.
"""

from __future__ import annotations

import re

import pyarrow as pa

from exporter_pipelines.contracts.column_settings import SourceType
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.sources.time_encodings import NUMBERS

_NUMBERS = {"integer", "real"}
# Not every name that makes SQLite prefer integers: FLOATING POINT does as well, because of POINT.
_INTEGER = re.compile(
    r"(UNSIGNED )?(TINY|SMALL|MEDIUM|BIG ?)?INT(EGER)?[248]?(\(\d+\))?( UNSIGNED)?"
)
_FLOAT = re.compile(r"REAL|FLOAT[48]?|DOUBLE( PRECISION)?")


def shown_type(declared: str, held: str | None) -> str:
    """The declared type and, if it differs, the stored type: `datetime (text)`."""
    if held is None:
        return declared or "text"
    return held if declared in ("", held) else f"{declared} ({held})"


def declared(type_name: str) -> str:
    """The declared type in a `shown_type`; without one, the stored type."""
    return type_name.rpartition(" (")[0] or type_name


def stored(type_name: str) -> str:
    """The stored type in a `shown_type`; for a table without rows, the declared affinity.

    https://www.sqlite.org/datatype3.html#determination_of_column_affinity
    """
    declared, _, held = type_name.rpartition(" (")
    if declared:
        return held.rstrip(")")
    if type_name in {"text", "integer", "real", "blob"}:
        return type_name
    if "int" in type_name:
        return "integer"
    return (
        "real"
        if any(word in type_name for word in ("real", "floa", "doub", "num", "dec"))
        else "text"
    )


def type_of(declared: str) -> SourceType:
    """The type in which a column is exported that no schema names: by its declaration.

    Only integers, floats, booleans and JSON that are declared as such get their type. All else is
    text, which holds any value.
    """
    declared = declared.strip().upper()
    if _INTEGER.fullmatch(declared):
        return SourceType(pa.int64())
    if _FLOAT.fullmatch(declared):
        return SourceType(pa.float64())
    if declared in {"BOOL", "BOOLEAN"}:
        return SourceType(pa.bool_())
    return SourceType(pa.string(), is_json=declared == "JSON")


def needed_for(column: Column, type_name: str, source: SourceConfig) -> str | None:
    """What is needed to read `column` from a column of this type; None if nothing is."""
    held = stored(type_name)
    if column.is_timestamp:
        if source.timezone is None:
            return "`timezone:` in the source, because SQLite stores no time zones"
        if held in _NUMBERS and source.encoding(column.name) not in NUMBERS:
            return f"`encodings: {{{column.name}: ...}}` with {', '.join(NUMBERS)}"
        return None if held in {"text", "blob", *_NUMBERS} else "text or numbers"
    if pa.types.is_float64(column.type):
        return None if held in _NUMBERS else "numbers"
    if pa.types.is_int64(column.type) and not column.is_identifier:
        return None if held in _NUMBERS else "integers"
    return None


def is_usual(column: Column, type_name: str) -> bool:
    """Whether a column of this type usually holds what `column` exports."""
    held = stored(type_name)
    is_time = "date" in type_name or "time" in type_name
    if column.is_timestamp:
        return is_time
    if column.is_identifier:
        return held in {"integer", "text"}
    if pa.types.is_string(column.type):
        return held == "text" and not is_time
    return held in _NUMBERS
