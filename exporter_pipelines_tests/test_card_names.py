"""The loading code of a card finds columns of any name that is not refused, in all formats."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.reserved_names import check_column_names
from exporter_pipelines.contracts.row_schema import UTC_MICROSECONDS, Column, RowSchema
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.formats import FORMATS, suffix_of
from exporter_pipelines.formats.contract import Export
from exporter_pipelines_tests.support.card_readers import as_arrow

VALUES: dict[pa.DataType, list[Any]] = {
    pa.string(): ["x", None, ""],
    pa.int64(): [2**60, None, 1],
    pa.float64(): [0.1, None, 2.0],
    pa.bool_(): [True, None, False],
    UTC_MICROSECONDS: [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None, None],
}
_CHARACTERS = st.one_of(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"),
    st.sampled_from("\"'`\\{}$%*?[]().,;:|\n\r\t #-_=+@!<>&^~/\xa0"),
)
_WORDS = ["filename", "file_index", "rowid", "null", "nan", "types", "schema", "--", "/*", "\ufeff"]
NAMES = st.lists(
    st.one_of(st.text(_CHARACTERS, min_size=1, max_size=8), st.sampled_from(_WORDS)),
    min_size=5, max_size=5, unique=True,
)  # fmt: skip


def exported(home: Path, format_: str, batch: pa.RecordBatch, schema: RowSchema) -> Export:
    """A file of one day, as an export writes it."""
    file = FORMATS[format_](schema)
    day = home / "data" / "date=2026-11-01"
    day.mkdir(parents=True)
    (home / "schema.arrow").write_bytes(schema.arrow.serialize())
    pieces = [*file.encode(batch, Counter()), *file.finish()]
    suffix = suffix_of(format_, "none")
    (day / f"x{suffix}").write_bytes(b"".join(pieces))
    return Export(home.name, schema, "none", f"{home.name}/data/*/x{suffix}")


@pytest.mark.parametrize("has_json", [True, False])
@given(names=NAMES)
@example(names=["a\rb", "\xa0c ", 'd"', "'e", "\\n"])
@settings(max_examples=15)
def test_columns_of_any_name_are_loaded(names: list[str], has_json: bool) -> None:
    try:
        check_column_names(names, "x.Row")
    except ConfigurationError:
        return
    columns = [Column(n, t, True, True) for n, t in zip(names, VALUES, strict=True)]
    arrays = [pa.array(values, type_) for type_, values in VALUES.items()]
    if has_json:
        columns.append(Column("a document", pa.string(), True, True, is_json=True))
        arrays.append(pa.array(["[1]", None, "[2]"]))
    schema = RowSchema("", tuple(columns), None)
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema.arrow)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for format_ in FORMATS:
            export = exported(Path(folder, format_), format_, batch, schema)
            for reader, code in FORMATS[format_].loading_code(export).items():
                if reader != "datasets":  # slow to import, and takes the table of pyarrow
                    found: dict[str, Any] = {}
                    exec(code, found)
                    table = as_arrow(found[export.variable])
                    assert table.column_names == list(schema.names), (format_, reader)
                    assert table.to_pydict() == batch.to_pydict(), (format_, reader)
