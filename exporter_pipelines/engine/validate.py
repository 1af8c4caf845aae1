"""Pandera's verdict on a batch, row by row.

Every rule runs as Pandera's own `Check`, called with the whole batch. The rest of Pandera's
validation (a copy of the frame per column, failures as text) took 60 % of the time and is skipped
for nearly every batch. An unusual batch is validated by the whole schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc
from pandera.errors import SchemaErrorReason

from exporter_pipelines.contracts.row_schema import RowSchema, rule_name
from exporter_pipelines.engine.rejection import Rejection
from exporter_pipelines.errors import ColumnMismatchError, RuleCrashedError

_SHOWN_CHARACTERS = 200
_PER_ROW = {SchemaErrorReason.SERIES_CONTAINS_NULLS, SchemaErrorReason.DATAFRAME_CHECK}
"""Reasons that concern rows; all others mean that the columns do not fit."""


def validate(batch: pa.RecordBatch, schema: RowSchema) -> list[Rejection]:
    """Every broken rule of every row; empty for a clean batch.

    Args:
        batch: In the columns and types of `schema.arrow`.
        schema: Whose `pandera` judges.

    Raises:
        RuleCrashedError: a rule raised, or returned one result for all rows.
        ColumnMismatchError: the frame does not fit the schema at all.
    """
    if _is_plain(batch, schema):
        # Whatever is raised is raised again below, where Pandera reports it.
        with suppress(Exception):
            return list(dict.fromkeys(_by_check(batch, schema.pandera)))
    return by_whole_schema(batch, schema)


def by_whole_schema(batch: pa.RecordBatch, schema: RowSchema) -> list[Rejection]:
    """Like `validate`, but always with Pandera's `DataFrameSchema.validate`."""
    frame, found = _frame(batch), list[Rejection]()
    try:
        schema.pandera.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        found = [rejection for error in errors.schema_errors for rejection in _rejections(error)]
    _require_a_verdict_per_row(frame, schema.pandera)
    # A rule over whole rows reports a row once per column.
    return list(dict.fromkeys(found))


def _require_a_verdict_per_row(frame: pd.DataFrame, judging: Any) -> None:
    """Refuse a rule that has passed with one result: it could reject no single row.

    Raises:
        RuleCrashedError: a rule did so. Pandera accepts it.
    """
    for name, column in judging.columns.items():
        for check in column.checks:
            if name in frame and not _judges_each_row(check(frame, name)):
                raise _one_verdict(check, name)
    for check in judging.checks:
        if not _judges_each_row(check(frame)):
            raise _one_verdict(check, None)


def _judges_each_row(result: Any) -> bool:
    output, judged = result.check_output, result.checked_object
    kinds = (pd.Series, pd.DataFrame)
    return isinstance(output, kinds) and isinstance(judged, kinds) and len(output) == len(judged)


class _UnusualVerdictError(Exception):
    """A check returned something other than one verdict per row."""


def _is_plain(batch: pa.RecordBatch, schema: RowSchema) -> bool:
    """Whether only nulls and checks need validation: types fit, and no other option is used."""
    judging = schema.pandera
    fits = batch.schema.names == list(judging.columns) and all(
        field.type == column.type
        for field, column in zip(batch.schema, schema.columns, strict=True)
    )
    unusual = judging.index is not None or judging.dtype is not None
    return fits and not unusual and not any(c.regex for c in judging.columns.values())


def _by_check(batch: pa.RecordBatch, judging: Any) -> Iterator[Rejection]:
    """Rejections in the order in which Pandera reports them: column by column, then whole rows."""
    frame = _frame(batch)
    for name, column in judging.columns.items():
        if not column.nullable and batch[name].null_count:
            missing = pc.indices_nonzero(batch[name].is_null()).to_pylist()
            yield from (Rejection(row, "required", name, None) for row in missing)
        for check in column.checks:
            cases = _cases(check(frame, name), pd.Series)
            shown = zip(cases.index.tolist(), cases, strict=True)
            rule = rule_name(check)
            yield from (Rejection(row, rule, name, _shown(value)) for row, value in shown)
    for check in judging.checks:
        cases = _cases(check(frame), pd.DataFrame)
        # As in Pandera: a row without any value breaks no rule that ignores nulls.
        if check.ignore_na and len(cases):
            cases = cases[cases.astype(object).notna().any(axis=1)]
        rule = rule_name(check)
        yield from (Rejection(row, rule, None, None) for row in cases.index.tolist())


def _cases(result: Any, kind: type[Any]) -> Any:
    """The values or rows that a check found; raises for a verdict that is not one per row."""
    if not _judges_each_row(result):
        raise _UnusualVerdictError
    if result.check_passed:
        return kind(dtype=object)
    cases = result.failure_cases
    if not isinstance(cases, kind) or not len(cases) or cases.index.name is not None:
        raise _UnusualVerdictError
    return cases


def _frame(batch: pa.RecordBatch) -> pd.DataFrame:
    frame: pd.DataFrame = batch.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _rejections(error: Any) -> list[Rejection]:
    column = getattr(error.schema, "name", None) if _is_column(error.schema) else None
    if error.reason_code is SchemaErrorReason.CHECK_ERROR:
        raise RuleCrashedError(
            f"The rule {rule_name(error.check)!r} on {column or 'whole rows'} raised an exception.",
            "Make it safe for nulls (end a comparison with .fillna(True)) and try it on one day.",
        )
    if error.reason_code is SchemaErrorReason.DATAFRAME_CHECK and _is_one_verdict(error):
        raise _one_verdict(error.check, column)
    cases = error.failure_cases
    if error.reason_code not in _PER_ROW or not isinstance(cases, pd.DataFrame):
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


def _one_verdict(check: Any, column: str | None) -> RuleCrashedError:
    return RuleCrashedError(
        f"The rule {rule_name(check)!r} on {column or 'whole rows'} returned one result for all "
        "rows.",
        "Return a boolean Series with one value per row. The rule sees a part of the day at a "
        "time, and rows are rejected one by one.",
    )


def _is_one_verdict(error: Any) -> bool:
    cases = error.failure_cases
    return not isinstance(cases, pd.DataFrame) or bool(cases["index"].isna().all())


def _is_column(schema: Any) -> bool:
    return isinstance(schema, pandera.Column)


def _shown(value: object) -> str:
    text = value.isoformat() if isinstance(value, pd.Timestamp) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
