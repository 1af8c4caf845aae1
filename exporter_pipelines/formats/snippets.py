"""Parts of the code for `Format.loading_code`, which loads an export with common readers."""

from __future__ import annotations

from string import Template

from exporter_pipelines.contracts.row_schema import RowSchema

HUGGING_FACE = """\
import datasets

$name = datasets.load_dataset("$name", split="train")"""
"""For a format that `datasets` recognizes by the suffix of its files."""

_DUCKDB = {"int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN", "string": "VARCHAR"}
_POLARS = {"int64": "pl.Int64", "double": "pl.Float64", "bool": "pl.Boolean"}


def filled(templates: dict[str, str], **values: str) -> dict[str, str]:
    """Reader -> code, with variables such as `$name` replaced by their values."""
    return {reader: Template(code).substitute(values) for reader, code in templates.items()}


def polars_schema(schema: RowSchema) -> str:
    """Columns and types in polars' syntax, for a format that stores no types.

    Timestamps and JSON documents are read as text.
    """
    types = [(c.name, _POLARS.get(str(c.type), "pl.String")) for c in schema.columns]
    return ", ".join(f'"{name}": {type_}' for name, type_ in types)


def duckdb_columns(schema: RowSchema, *, json: str) -> str:
    """Columns and types in DuckDB's syntax, for a format that stores no types.

    Args:
        schema: Of the rows.
        json: DuckDB's type for JSON columns: `JSON`, or `VARCHAR` if they are stored as text.
    """
    types = []
    for column in schema.columns:
        plain = json if column.is_json else _DUCKDB.get(str(column.type), "TIMESTAMPTZ")
        types.append(f"'{column.name}': '{plain}'")
    return ", ".join(types)
