"""CSV: a header and one line per row, for spreadsheets and older loaders.

Text is always quoted and null is an empty field, so null and empty text differ. JSON columns are
text. Text that a spreadsheet would run as a formula gets a leading apostrophe. This is the only
change that cannot be reversed; it is counted as `csv_formula_defused`.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from exporter_pipelines.contracts.manifest import Transformation
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.staged_day import Data
from exporter_pipelines.formats.bucket_snippets import bucket_templates, place_values
from exporter_pipelines.formats.contract import Export, Format
from exporter_pipelines.formats.snippets import (
    ARROW_SCHEMA,
    DUCKDB,
    LARGEST_ROW,
    duckdb_columns,
    filled,
    literal,
    polars_schema,
    sql_code,
    sql_literal,
    sql_names,
    through_arrow,
)
from exporter_pipelines.formats.timestamps import iso8601_utc

# A row must fit into a block, even with the largest value that is exported by default.
_READ_BYTES = 64 * 1024 * 1024
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = r"^[=+\-@\t\r]"

_ARROW = f"""\
import glob
import pyarrow as pa
import pyarrow.csv

{ARROW_SCHEMA}
reading = pa.csv.ReadOptions(block_size={LARGEST_ROW})
parsing = pa.csv.ParseOptions(newlines_in_values=True)
types = pa.csv.ConvertOptions(
    column_types=schema, null_values=[""],
    strings_can_be_null=True, quoted_strings_can_be_null=False,
    include_columns=schema.names, include_missing_columns=True,
)
$result = pa.concat_tables(
    [schema.empty_table()]
    + [
        pa.csv.read_csv(pa.input_stream(file), reading, parsing, types).cast(schema)
        for file in sorted(glob.glob($files))
    ]
)"""
_LOADING_CODE = {
    **through_arrow(_ARROW, "pandas"),
    "polars": """\
import polars as pl

schema = $polars
$result = pl.read_csv(
    $files, schema=schema, missing_columns="insert", extra_columns="ignore"
)$rename""",
    "duckdb": DUCKDB,
    "pyarrow": _ARROW,
    **through_arrow(_ARROW, "datasets"),
}


class CsvFormat(Format):
    """See `formats.contract.Format`."""

    name: ClassVar[str] = "csv"
    suffix: ClassVar[str] = ".csv"
    media_type: ClassVar[str] = "text/csv; charset=utf-8"
    croissant: ClassVar[str] = "text/csv"
    joins: ClassVar[bool] = True

    @classmethod
    def loading_code(cls, export: Export) -> dict[str, str]:
        """See `formats.contract.Format`."""
        polars, rename = _polars(export.schema)
        code = dict(_LOADING_CODE)
        if any(name != name.strip() for name in export.schema.names):
            code |= through_arrow(_ARROW, "duckdb")  # DuckDB removes spaces around a name
        if export.bucket:
            code = bucket_templates(_ARROW)
        return filled(
            code,
            **place_values(export),
            polars=polars,
            rename=rename,
            duckdb=sql_code(_duckdb(export), export.schema),
        )

    def _begin(self) -> None:
        self._started = False

    def head(self) -> bytes:
        """See `formats.contract.Format`: the line with the names."""
        names = list(self._schema.names)
        none = pa.RecordBatch.from_arrays([pa.array([], pa.string()) for _ in names], names)
        return CsvFormat(self._schema)._text(none)

    def continued(self) -> Self:
        """See `formats.contract.Format`."""
        self._started = True
        return self

    @property
    def transformations(self) -> tuple[Transformation, ...]:
        """See `formats.contract.Format`."""
        columns = self._schema.columns
        times = {"columns": [c.name for c in columns if c.is_timestamp]}
        texts = {"columns": [c.name for c in columns if pa.types.is_string(c.type)]}
        return (
            Transformation(name="timestamps_iso8601_utc", version=1, params=times),
            Transformation(name="csv_formula_defused", version=1, params=texts),
        )

    def encode(self, batch: pa.RecordBatch, changed: Counter[str]) -> Iterator[Data]:
        """See `formats.contract.Format`."""
        arrays = [self._printable(batch[name], changed) for name in self._schema.names]
        table = pa.RecordBatch.from_arrays(arrays, list(self._schema.names))
        yield self._text(table)

    def decode(self, file: BinaryIO) -> Iterator[pa.RecordBatch]:
        """See `formats.contract.Format`. The apostrophe before a formula stays."""
        reader = pyarrow.csv.open_csv(
            file,
            read_options=pyarrow.csv.ReadOptions(block_size=_READ_BYTES),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=self._schema.arrow,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["true"],
                false_values=["false"],
                timestamp_parsers=[pyarrow.csv.ISO8601],
            ),
        )
        for batch in reader:
            yield pa.RecordBatch.from_arrays(batch.columns, schema=self._schema.arrow)

    def _printable(self, array: pa.Array, changed: Counter[str]) -> pa.Array:
        if pa.types.is_timestamp(array.type):
            return iso8601_utc(array)
        if not pa.types.is_string(array.type):
            return array
        risky = pc.fill_null(pc.match_substring_regex(array, _FORMULA), False)
        changed["csv_formula_defused"] += pc.sum(risky).as_py() or 0
        return pc.if_else(risky, pc.binary_join_element_wise("'", array, ""), array)

    def _text(self, batch: pa.RecordBatch) -> bytes:
        sink = io.BytesIO()
        options = pyarrow.csv.WriteOptions(include_header=not self._started)
        with pyarrow.csv.CSVWriter(sink, batch.schema, write_options=options) as writer:
            writer.write_batch(batch)
        self._started = True
        return sink.getvalue()


def _polars(schema: RowSchema) -> tuple[str, str]:
    """The schema and the renaming that polars needs: it does not unescape names in the header."""
    found = {column.name.replace('"', '""'): column for column in schema.columns}
    escaped = replace(schema, columns=tuple(replace(c, name=n) for n, c in found.items()))
    names = ((literal(n), literal(c.name)) for n, c in found.items() if n != c.name)
    renamed = ", ".join(f"{before}: {after}" for before, after in names)
    return polars_schema(escaped), f".rename({{{renamed}}})" if renamed else ""


def _duckdb(export: Export) -> str:
    return f"""
FROM read_csv(
    {sql_literal(export.files)}, header=true, delim=',', quote='"', escape='"',
    new_line='\\n', allow_quoted_nulls=false, max_line_size={LARGEST_ROW},
    hive_partitioning=false, union_by_name=true,
    types={duckdb_columns(export.schema, json="VARCHAR")}
)
SELECT {sql_names(export.schema)}
"""
