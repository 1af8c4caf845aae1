"""Reads the Pandera model of a row.

Belongs here: which models can be exported, and the facts that a model states.
Does not belong here: these facts themselves (`row_schema`).
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from exporter_pipelines.contracts.reserved_names import as_readers_compare
from exporter_pipelines.contracts.row_schema import (
    NOTES_COLUMN,
    REASONS_COLUMN,
    UTC_MICROSECONDS,
    Column,
    RowSchema,
)
from exporter_pipelines.errors import ConfigurationError

# Dtypes of a model written with plain Python annotations, by the name that Pandera gives them.
_PLAIN_TYPES = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "str": pa.string(),
    "string": pa.string(),
    "object": pa.string(),
}


def load_row_schema(path: str) -> RowSchema:
    """Import a Pandera model and return its row schema.

    Args:
        path: Dotted path such as `exporter_pipelines.defs.logs.schema.LogRow`.

    Raises:
        ConfigurationError: the path cannot be imported, is not a Pandera model, or the model has a
            type or an option that exports do not support.
    """
    model: Any = _import_model(path)
    return _row_schema(path, model)


# Presets share the model of their dataset, and sensors read all definitions at each tick.
@cache
def _row_schema(path: str, model: type[pandera.DataFrameModel]) -> RowSchema:
    schema = model.to_schema()
    if options := _evading_options(schema):
        raise ConfigurationError(
            f"{path} uses {', '.join(options)}, which makes Pandera change rows or accept invalid "
            "ones.",
            "Remove it; rows that break a rule are kept in the quarantine.",
        )
    if schema.unique or any(column.unique for column in schema.columns.values()):
        raise ConfigurationError(
            f"{path} declares a column unique, which cannot be checked batch by batch.",
            "Remove it; repeated keys of the whole day are counted by the check repeated_keys.",
        )
    needed = {NOTES_COLUMN, REASONS_COLUMN}
    if taken := [name for name in schema.columns if as_readers_compare(name) in needed]:
        raise ConfigurationError(
            f"{path} has a column {taken[0]!r}, a name that the quarantine needs.",
            "Give it another name; `columns:` maps it to the name in the database.",
        )
    columns = tuple(_column(path, name, column) for name, column in schema.columns.items())
    arrow_backed = {c.name: {"dtype": pd.ArrowDtype(c.type), "coerce": False} for c in columns}
    schema = schema.update_columns(arrow_backed)
    schema.coerce = False
    return RowSchema(path, columns, schema)


def _evading_options(schema: Any) -> list[str]:
    """Options that let an invalid row pass, or change rows before they are judged."""
    parts = [schema, *schema.columns.values()]
    checks = [check for part in parts for check in part.checks]
    found = {
        "drop_invalid_rows": any(part.drop_invalid_rows for part in parts),
        "a parser": any(part.parsers for part in parts),
        "default": any(column.default is not None for column in schema.columns.values()),
        "n_failure_cases": any(check.n_failure_cases is not None for check in checks),
        "raise_warning": any(check.raise_warning for check in checks),
    }
    return [option for option, used in found.items() if used]


def _import_model(path: str) -> type[pandera.DataFrameModel]:
    module_name, _, class_name = path.rpartition(".")
    try:
        model = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"schema {path!r} cannot be imported: {error}.",
            "Give the dotted path of a Pandera DataFrameModel, as in package.module.Class.",
        ) from error
    if not (isinstance(model, type) and issubclass(model, pandera.DataFrameModel)):
        raise ConfigurationError(
            f"schema {path!r} is not a Pandera DataFrameModel.",
            "Derive the class from pandera.pandas.DataFrameModel.",
        )
    return model


def _column(path: str, name: str, column: Any) -> Column:
    metadata = column.metadata or {}
    return Column(
        name=name,
        type=_arrow_type(path, name, column.dtype),
        nullable=column.nullable,
        required=column.required,
        is_json=bool(metadata.get("json")),
        is_identifier=bool(metadata.get("identifier")),
        description=column.description or "",
        values=_allowed_values(column),
    )


def _allowed_values(column: Any) -> tuple[str, ...]:
    """The set of values that a text column is restricted to; empty when there is none."""
    declared = (column.metadata or {}).get("values", ())
    for check in column.checks:
        declared = declared or (check.statistics or {}).get("allowed_values", ())
    return tuple(declared) if all(isinstance(value, str) for value in declared) else ()


def _arrow_type(path: str, name: str, dtype: Any) -> pa.DataType:
    native = getattr(dtype, "type", None)
    if isinstance(native, pd.ArrowDtype):
        found = native.pyarrow_dtype
    elif str(dtype).startswith("datetime64"):
        found = UTC_MICROSECONDS
    else:
        found = _PLAIN_TYPES.get(str(dtype).partition("[")[0])  # also string[pyarrow]
    if found not in {*_PLAIN_TYPES.values(), UTC_MICROSECONDS}:
        raise ConfigurationError(
            f"Column {name!r} of {path} has the type {dtype}, which cannot be exported.",
            "Use pa.int64, pa.float64, pa.bool_, pa.string, or "
            'Annotated[pa.timestamp, "us", "UTC"].',
        )
    return found
