"""How the files of each format are loaded with each of the usual readers.

Belongs here: the lines that the dataset card shows. A test runs every one of them on a real export
whose first day has nothing but nulls in a JSON column. Readers that a format is awkward in are
left out.
"""

from __future__ import annotations

from string import Template

from exporter_pipelines.contracts.row_schema import Column, RowSchema

_JSONL = {
    "pandas": """\
import glob
import pandas as pd

$name = pd.concat(
    pd.read_json(file, lines=True, dtype=False, dtype_backend="pyarrow")
    for file in sorted(glob.glob("$files"))
)""",
    "polars": """\
import polars as pl

$name = pl.scan_ndjson("$files", schema={$polars}).collect()""",
    "duckdb": """\
import duckdb

$name = duckdb.sql("FROM read_json('$files', columns={$duckdb})")""",
    "pyarrow": """\
import glob
import pyarrow as pa
import pyarrow.json

columns = [f for f in pa.ipc.read_schema(pa.OSFile("$name/schema.arrow")) if f.name not in $json]
options = pa.json.ParseOptions(pa.schema(columns), unexpected_field_behavior="ignore")
$name = pa.concat_tables(
    pa.json.read_json(file, parse_options=options) for file in sorted(glob.glob("$files"))
)""",
}
_JSON = {
    "pandas": """\
import glob
import gzip
import json
import pandas as pd

$name = pd.concat(
    pd.DataFrame(json.load($open(file))["data"]) for file in sorted(glob.glob("$files"))
)""",
}
_CSV = {
    "pandas": """\
import glob
import pandas as pd

$name = pd.concat(
    pd.read_csv(file, dtype_backend="pyarrow", keep_default_na=False, na_values={$pandas_na})
    for file in sorted(glob.glob("$files"))
)""",
    "polars": """\
import polars as pl

$name = pl.read_csv("$files", schema={$polars})""",
    "duckdb": """\
import duckdb

$name = duckdb.sql(
    "FROM read_csv('$files', header=true, delim=',', quote='\\"', escape='\\"', columns={$duckdb})"
)""",
    "pyarrow": """\
import glob
import pyarrow as pa
import pyarrow.csv

schema = pa.ipc.read_schema(pa.OSFile("$name/schema.arrow"))
parsing = pa.csv.ParseOptions(newlines_in_values=True)
types = pa.csv.ConvertOptions(column_types=schema, null_values=[""], strings_can_be_null=True,
                              quoted_strings_can_be_null=False)
$name = pa.concat_tables(
    pa.csv.read_csv(pa.input_stream(file), parse_options=parsing, convert_options=types)
    for file in sorted(glob.glob("$files"))
)""",
}
_PARQUET = {
    "pandas": """\
import pandas as pd

$name = pd.read_parquet("$name/data", dtype_backend="pyarrow")""",
    "polars": """\
import polars as pl

$name = pl.scan_parquet("$files").collect()""",
    "duckdb": """\
import duckdb

$name = duckdb.sql("FROM read_parquet('$files')")""",
    "pyarrow": """\
import pyarrow.dataset

$name = pyarrow.dataset.dataset("$name/data", format="parquet", partitioning="hive").to_table()""",
}
_DATASETS = """\
import datasets

$name = datasets.load_dataset("$name", split="train")"""
_TEMPLATES = {
    "jsonl": {**_JSONL, "datasets": _DATASETS},
    "json": _JSON,
    "csv": {**_CSV, "datasets": _DATASETS},
    "parquet": {**_PARQUET, "datasets": _DATASETS},
}
_DUCKDB = {"int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN", "string": "VARCHAR"}
_POLARS = {"int64": "pl.Int64", "double": "pl.Float64", "bool": "pl.Boolean"}


def readers(
    name: str, schema: RowSchema, format_: str, compression: str, suffix: str
) -> dict[str, str]:
    """Reader -> code that loads all days into a variable named like the dataset.

    Args:
        name: Of the dataset.
        schema: Of its rows.
        format_: A name of `formats.FORMATS`.
        compression: A name of `COMPRESSIONS`.
        suffix: The end of a data file's name.

    Returns:
        Code that runs in the output folder, which holds the dataset's.
    """
    texts = [c.name for c in schema.columns if str(c.type) == "string"]
    numbers = [c.name for c in schema.columns if c.name not in texts]
    values = {
        "name": name,
        "files": f"{name}/data/*/*{suffix}",
        "json": repr(list(schema.json_columns)),
        "open": {"gzip": "gzip.open", "none": "open"}.get(compression, "open"),
        "polars": ", ".join(f'"{c.name}": {_polars(c)}' for c in schema.columns),
        "duckdb": ", ".join(f"'{c.name}': '{_duckdb(c, format_)}'" for c in schema.columns),
        "pandas_na": ", ".join(f'"{name}": [""]' for name in numbers),
    }
    return {
        reader: Template(code).substitute(values) for reader, code in _TEMPLATES[format_].items()
    }


def _polars(column: Column) -> str:
    # A document of any shape is read as its text; a timestamp as text is converted afterwards.
    return _POLARS.get(str(column.type), "pl.String")


def _duckdb(column: Column, format_: str) -> str:
    if column.is_timestamp:
        return "TIMESTAMPTZ"
    return "JSON" if column.is_json and format_ == "jsonl" else _DUCKDB[str(column.type)]
