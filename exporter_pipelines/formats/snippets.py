"""Parts of the code for `Format.loading_code`, which loads an export with common readers.

Every reader must give the exported columns and no others, whatever their names are. So all names
are written as literals (`literal`, `sql_literal`), columns that readers add from folder names
(`date=2026-11-01`) are switched off, and types come from the schema and not from the values. An
older day may have other columns, or the same in another order: columns are found by their names,
and are null where a day lacks them.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from exporter_pipelines.contracts.row_schema import RowSchema

LARGEST_ROW = 64 * 1024 * 1024
"""Bytes. Readers refuse a row that does not fit into their buffer: 1 to 16 MiB by default."""

ARROW_SCHEMA = """\
schema = pa.ipc.read_schema(pa.OSFile("$folder/schema.arrow"))"""

ROWS_TO_ARROW = f"""\
import glob
import json
import pyarrow as pa

{ARROW_SCHEMA}
as_text = pa.schema(
    [(f.name, pa.string() if pa.types.is_timestamp(f.type) else f.type) for f in schema]
)


def rows(file):
    for row in $rows:
        for name in $json:
            row[name] = None if row.get(name) is None else json.dumps(row[name])
        yield row


$result = pa.concat_tables(
    [schema.empty_table()]
    + [
        pa.Table.from_pylist(list(rows(file)), as_text).cast(schema)
        for file in sorted(glob.glob($files))
    ]
)"""
"""For rows of JSON with JSON columns: Arrow has no type for values that differ in type."""

DUCKDB = """\
import duckdb

$result = duckdb.sql($duckdb)"""

_FROM_ARROW = {
    "pandas": ("import pandas as pd", "table.to_pandas(types_mapper=pd.ArrowDtype)"),
    "polars": ("import polars as pl", "pl.from_arrow(table)"),
    "duckdb": ("import duckdb", "duckdb.from_arrow(table)"),
    "datasets": ("import datasets", "datasets.Dataset(table)"),
}
"""Reader -> how it is imported, and how it takes an Arrow table."""

_DUCKDB = {"int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN", "string": "VARCHAR"}
_POLARS = {
    "int64": "pl.Int64", "double": "pl.Float64", "bool": "pl.Boolean", "string": "pl.String",
}  # fmt: skip


def filled(templates: dict[str, str], **values: str) -> dict[str, str]:
    """Reader -> code, with variables such as `$folder` replaced by their values."""
    return {reader: Template(code).substitute(values) for reader, code in templates.items()}


def through_arrow(arrow: str, *readers: str) -> dict[str, str]:
    """Reader -> template of the code that loads with it what `arrow`, a template, loads.

    For readers that would change values. pandas infers types: text such as `007` becomes a number,
    an integer beyond 2^53 next to a null is rounded, and null and empty text are the same in CSV.
    `datasets` takes `2026-11-01` for a time, rounds numbers next to JSON columns, and finds no file
    when the path of the output folder has a `[`.
    """
    code = {}
    for reader in readers:
        module, table = _FROM_ARROW[reader]
        lines = arrow.replace("import pyarrow as pa\n", f"{module}\nimport pyarrow as pa\n", 1)
        code[reader] = f"{lines.replace('$result = ', 'table = ')}\n$result = {table}"
    return code


def literal(text: str) -> str:
    """A text as Python code, in double quotes where possible."""
    code = repr(text)
    return code if '"' in code or "\\" in code else f'"{text}"'


def literals(texts: Iterable[str]) -> str:
    """A list of texts as Python code."""
    return f"[{', '.join(map(literal, texts))}]"


def sql_literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def sql_names(schema: RowSchema) -> str:
    """The columns as a list for SELECT."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in schema.names)


def sql_code(sql: str, schema: RowSchema) -> str:
    """SQL as Python code: in lines, unless the name of a column needs escapes."""
    are_plain = all(name.isprintable() and "\\" not in name for name in schema.names)
    escaped = sql.replace("\\", "\\\\")
    return f'"""{escaped}"""' if are_plain and '"""' not in sql else repr(sql)


def polars_schema(schema: RowSchema) -> str:
    """Columns and types in polars' syntax; JSON documents are text."""
    times = 'pl.Datetime("us", "UTC")'
    types = ((c.name, _POLARS.get(str(c.type), times)) for c in schema.columns)
    lines = (f"    {literal(name)}: {type_},\n" for name, type_ in types)
    return "{\n" + "".join(lines) + "}"


def duckdb_columns(schema: RowSchema, *, json: str) -> str:
    """Columns and types as a struct in SQL of DuckDB, for a format that stores no types.

    Args:
        schema: Of the rows.
        json: DuckDB's type for JSON columns: `JSON`, or `VARCHAR` if they are stored as text.
    """
    types = []
    for column in schema.columns:
        plain = json if column.is_json else _DUCKDB.get(str(column.type), "TIMESTAMPTZ")
        types.append(f"{sql_literal(column.name)}: '{plain}'")
    return "{\n        " + ",\n        ".join(types) + "\n    }"
