"""Rules and transforms as a user might write them; `defs.yaml` files of tests name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

NOT_A_FUNCTION = 7


def short_enough(message: pd.Series, limit: int = 200) -> pd.Series:
    """A rule over one column with a parameter."""
    return message.str.len() <= limit


def device_named_in_source(device: pd.Series, source: pd.Series) -> pd.Series:
    """A rule over two columns; a row without a device has nothing to compare."""
    return device == source


def not_repeated(rows: pd.DataFrame) -> pd.Series:
    """A rule over the rows of a batch."""
    return ~rows.duplicated(["device", "message"])


def raising(rows: pd.DataFrame) -> pd.Series:
    """Raises with the content of a row."""
    raise KeyError(rows["message"].iloc[0])


def one_verdict(rows: pd.DataFrame) -> bool:
    """Judges all rows at once."""
    return True


def texts(message: pd.Series) -> pd.Series:
    """Gives text where verdicts belong."""
    return message


def fewer(message: pd.Series) -> pd.Series:
    """Gives a verdict for the first row only."""
    return message.head(1) != ""


def shout(batch: pa.RecordBatch, params: Mapping[str, Any]) -> pa.RecordBatch:
    """Upper case for one column."""
    position = batch.schema.get_field_index(params.get("column", "message"))
    return batch.set_column(position, batch.schema.field(position), pc.utf8_upper(batch[position]))


shout.version = 3  # type: ignore[attr-defined]


def unchanged(batch: pa.RecordBatch, params: Mapping[str, Any]) -> pa.RecordBatch:
    """The same values in new arrays."""
    return pa.RecordBatch.from_pylist(batch.to_pylist(), schema=batch.schema)


def dropping_a_row(batch: pa.RecordBatch, params: Mapping[str, Any]) -> pa.RecordBatch:
    """Leaves the first row out."""
    return batch.slice(1)


def dropping_a_column(batch: pa.RecordBatch, params: Mapping[str, Any]) -> pa.RecordBatch:
    """Leaves a column out."""
    return batch.drop_columns(["device"])


def retyping(batch: pa.RecordBatch, params: Mapping[str, Any]) -> pa.RecordBatch:
    """Gives another type to a column."""
    position = batch.schema.get_field_index("message")
    return batch.set_column(position, "message", pa.nulls(len(batch)))


def giving_a_table(batch: pa.RecordBatch, params: Mapping[str, Any]) -> pa.Table:
    """Gives back something else."""
    return pa.Table.from_batches([batch])


def failing(batch: pa.RecordBatch, params: Mapping[str, Any]) -> pa.RecordBatch:
    """Raises with the content of a row."""
    raise ValueError(batch["message"][0].as_py())
