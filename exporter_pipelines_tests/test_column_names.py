"""Names of columns that readers confuse are refused, and only those."""

from __future__ import annotations

import pytest

from exporter_pipelines.contracts.reserved_names import check_column_names
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.hostile_columns import COLUMNS

DATE_ROW = "exporter_pipelines_tests.support.refused_columns.DateRow"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["id", "date"], "'date', but readers add a column of that name"),
        (["id", "DATE"], "`columns: {other_name: 'DATE'}`"),
        (["__INDEX_level_12__"], "pandas takes a column of that name for an index"),
        (["__filename"], "pyarrow adds a column of that name"),
        (["Level", "level"], "'Level' and 'level'"),
        (["GRÖSSE", "gro\u0308sse".replace("ss", "SS")], "Unicode form"),
        (["a", ""], "a column needs a name"),
        (["a\x00b"], "a character that no file can hold"),
    ],
)
def test_a_name_that_readers_confuse_is_refused(names: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^x\.RowModel exports ") as raised:
        check_column_names(names, "x.RowModel")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_all_other_names_are_allowed() -> None:
    check_column_names(COLUMNS, "x.RowModel")
    check_column_names(["dates", "date_", "level_0", "index", "straße", "strasse"], "x.RowModel")


def test_a_column_that_is_not_exported_may_have_any_name() -> None:
    columns = ("id", "timestamp", "level", "message")
    assert dataset(schema=DATE_ROW, select=columns).schema["Date"].nullable
    with pytest.raises(ConfigurationError, match="'Date', but readers add"):
        dataset(schema=DATE_ROW, select=(*columns, "Date"))
