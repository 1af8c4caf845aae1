"""A table, its schema and its rows, with names and values that confuse readers."""

# ruff: noqa: UP045 - conventions of Pandera

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import pandera.pandas as pandera
import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.contracts.row_models import load_row_schema
from exporter_pipelines_tests.support.card_readers import shortened
from exporter_pipelines_tests.support.databases import SqliteDatabase, sqlite_database

DAYS = ("2026-11-01", "2026-11-02")


class HostileRow(pandera.DataFrameModel):
    """Columns with names and values that confuse readers."""

    id: pa.int64
    timestamp: Annotated[pa.timestamp, "us", "UTC"]
    quote: Optional[pa.string] = pandera.Field(nullable=True, alias="user's")
    double_quote: Optional[pa.string] = pandera.Field(nullable=True, alias='a "b"')
    both: Optional[pa.string] = pandera.Field(nullable=True, alias="'a' \"b\" \\c")
    backslash: Optional[pa.string] = pandera.Field(nullable=True, alias="back\\slash\\n")
    newline: Optional[pa.string] = pandera.Field(nullable=True, alias="two\nlines")
    braces: Optional[pa.string] = pandera.Field(nullable=True, alias="{id} {} %s $id ${id}")
    script: Optional[pa.string] = pandera.Field(nullable=True, alias="größe 漢字 🙂")
    composed: Optional[pa.string] = pandera.Field(nullable=True, alias="e\u0301")
    digit: Optional[pa.string] = pandera.Field(nullable=True, alias="1st")
    number: Optional[pa.string] = pandera.Field(nullable=True, alias="2026")
    dot: Optional[pa.string] = pandera.Field(nullable=True, alias="a.b.c")
    keyword: Optional[pa.string] = pandera.Field(nullable=True, alias="class")
    star: Optional[pa.string] = pandera.Field(nullable=True, alias="*")
    pattern: Optional[pa.string] = pandera.Field(nullable=True, alias="^.*$")
    markdown: Optional[pa.string] = pandera.Field(nullable=True, alias="`a|b` ```")
    filename: Optional[pa.string] = pandera.Field(nullable=True)
    file_row_number: Optional[pa.string] = pandera.Field(nullable=True)
    index: Optional[pa.string] = pandera.Field(nullable=True)
    modified_at: Optional[pa.string] = pandera.Field(nullable=True)
    float_: Optional[pa.float64] = pandera.Field(nullable=True, alias="float [0]")
    integer: Optional[pa.int64] = pandera.Field(nullable=True, alias="int?")
    boolean: Optional[pa.bool_] = pandera.Field(nullable=True, alias="bool!")
    later: Optional[Annotated[pa.timestamp, "us", "UTC"]] = pandera.Field(
        nullable=True, alias="later on"
    )
    document: Optional[pa.string] = pandera.Field(
        nullable=True, metadata={"json": True}, alias="it's json"
    )
    other_document: Optional[pa.string] = pandera.Field(
        nullable=True, metadata={"json": True}, alias='"json" {2}'
    )


COLUMNS = list(HostileRow.to_schema().columns)
TEXTS = COLUMNS[2:21]
JSON = COLUMNS[-2:]
# One text per column in every row, so that a reader which guesses types guesses wrong.
_TEXTS = [
    "007",
    "2026-11-01T00:00:00Z",
    "2026-11-01",
    "1793491200",
    "true",
    "null",
    "NA",
    "",
    "1e5",
]
VALUES: dict[str, Any] = {
    **{name: _TEXTS[number % len(_TEXTS)] for number, name in enumerate(TEXTS)},
    "1st": 'a "b"\r\nc,\\n \u2028',
    "float [0]": 0.1 + 0.2,
    "int?": 9007199254740993,
    "bool!": 1,
    "later on": "1969-12-31 23:59:59.999999",
    "it's json": '{"a": [1, {"b": "x"}], "date": "2026-11-01"}',
    '"json" {2}': '["2026-11-01"]',
}
_LARGE = {**VALUES, "index": "x" * 2_500_000}  # more than readers expect of a row
ROWS: tuple[dict[str, Any], ...] = ({}, {}, VALUES, _LARGE)


def hostile_database(folder: Path) -> SqliteDatabase:
    """Two days: the first has one row of nulls, the second also has values."""
    database = sqlite_database(folder / "source.db", wal=True)
    columns = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in COLUMNS)
    database.run(f"CREATE TABLE things ({columns})")
    marks = ", ".join("?" * len(COLUMNS))
    for number, values in enumerate(ROWS):
        row = [values.get(name) for name in COLUMNS]
        row[:2] = number, f"{DAYS[number > 0]} 0{number}:00:00.123456"
        database.run(f"INSERT INTO things VALUES ({marks})", row)
    return database


def hostile_dataset(name: str, format_: str, compression: str, **changes: Any) -> Dataset:
    """The dataset of the table; `changes` are attributes of its `defs.yaml`."""
    model = f"{__name__}.HostileRow"
    source = {"table": "things", "key": "id", "time_column": "timestamp", "timezone": "UTC"}
    config = DatasetConfig.model_validate(
        {"name": name, "schema": model, "source": source, "format": format_,
         "compression": compression, **changes}
    )  # fmt: skip
    return Dataset(config, load_row_schema(model))


def rows_as_text(number_of_rows: int) -> list[dict[str, Any]]:
    """What every reader must give of the first rows."""
    found = []
    for number, values in enumerate(ROWS[:number_of_rows]):
        row = {name: values.get(name) for name in COLUMNS}
        row |= {name: shortened(row[name]) for name in TEXTS if values}
        row["id"] = str(number)
        row["timestamp"] = f"{DAYS[number > 0]}T0{number}:00:00.123456Z"
        if values:
            row["float [0]"], row["int?"] = repr(values["float [0]"]), str(values["int?"])
            row["bool!"], row["later on"] = "True", "1969-12-31T23:59:59.999999Z"
        found.append(row)
    return found
