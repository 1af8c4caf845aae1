"""Pandera's verdict on a batch, row by row."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandera.errors import SchemaErrorReason

from exporter_pipelines.contracts.row_schema import RowSchema, rule_name
from exporter_pipelines.errors import ColumnMismatchError, RuleCrashedError

_SHOWN_CHARACTERS = 200


class Rejection(NamedTuple):
    """Why a row is not exported.

    Attributes:
        row: Position in the batch.
        rule: Name of the rule.
        column: Column that it judges; None for a rule over whole rows.
        value: The offending value as text, shortened; None for a missing one or a whole row.
    """

    row: int
    rule: str
    column: str | None
    value: str | None


def validate(batch: pa.RecordBatch, schema: RowSchema) -> list[Rejection]:
    """Every broken rule of every row; empty for a clean batch.

    Args:
        batch: In the columns and types of `schema.arrow`.
        schema: Whose `pandera` judges.

    Raises:
        RuleCrashedError: a rule raised, or gave one verdict for all rows.
        ColumnMismatchError: the frame does not fit the schema at all.
    """
    frame = batch.to_pandas(types_mapper=pd.ArrowDtype)
    try:
        schema.pandera.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        found = [rejection for error in errors.schema_errors for rejection in _rejections(error)]
        # A rule over whole rows reports a row once per column.
        return list(dict.fromkeys(found))
    return []


def _rejections(error: Any) -> list[Rejection]:
    column = getattr(error.schema, "name", None) if _is_column(error.schema) else None
    if error.reason_code is SchemaErrorReason.CHECK_ERROR:
        raise RuleCrashedError(
            f"The rule {rule_name(error.check)!r} on {column or 'whole rows'} raised an exception "
            "instead of judging.",
            "Make it safe for nulls (end a comparison with .fillna(True)) and try it on one day.",
        )
    if error.reason_code is SchemaErrorReason.DATAFRAME_CHECK and _is_one_verdict(error):
        raise RuleCrashedError(
            f"The rule {rule_name(error.check)!r} on {column or 'whole rows'} gives one verdict "
            "for all rows.",
            "Return a Series with a verdict per row: a batch is a part of the day, and rows are "
            "rejected one by one.",
        )
    cases = error.failure_cases
    if not isinstance(cases, pd.DataFrame) or cases["index"].isna().any():
        raise ColumnMismatchError(
            f"The rows do not fit the schema {error.schema.name!r}: {error.reason_code}.",
            "Compare the columns of the table with those of the schema.",
        )
    if error.reason_code is SchemaErrorReason.SERIES_CONTAINS_NULLS:
        return [Rejection(int(row), "required", column, None) for row in cases["index"]]
    rule = rule_name(error.check)
    if column is None:
        return [Rejection(int(row), rule, None, None) for row in cases["index"]]
    return [
        Rejection(int(row), rule, column, _shown(value))
        for row, value in zip(cases["index"], cases["failure_case"], strict=True)
    ]


def _is_one_verdict(error: Any) -> bool:
    cases = error.failure_cases
    return not isinstance(cases, pd.DataFrame) or bool(cases["index"].isna().all())


def _is_column(schema: Any) -> bool:
    return isinstance(schema, pandera.Column)


def _shown(value: object) -> str:
    text = value.isoformat() if isinstance(value, pd.Timestamp) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
