"""A structured filter: one column, an operator from a fixed list, a value of the column's type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.refinements import FilterConfig
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.contracts.typed_values import hint_for, typed_value
from exporter_pipelines.errors import ConfigurationError, UnknownNameError

_COMPARISONS: dict[str, Callable[..., Any]] = {
    "eq": pc.equal,
    "ne": pc.not_equal,
    "lt": pc.less,
    "le": pc.less_equal,
    "gt": pc.greater,
    "ge": pc.greater_equal,
}
_TEXTS: dict[str, Callable[..., Any]] = {
    "contains": pc.match_substring,
    "starts_with": pc.starts_with,
}
_LISTS = {"in", "not_in"}
_NULLS = {"is_null", "not_null"}


class RowFilter:
    """A condition on one column; the rows for which it is true are kept.

    For a missing value every comparison is false, including `ne` and `not_in`; only `is_null`
    keeps such a row.

    Args:
        config: As in `defs.yaml`.
        schema: Of the rows.
        bound: Whether `schema` is bound to the types of a source. An unbound identifier may be a
            number or text, and accepts the values and operators of both.

    Raises:
        UnknownNameError: the column does not exist.
        ConfigurationError: operator and value do not fit the column.
    """

    def __init__(self, config: FilterConfig, schema: RowSchema, *, bound: bool = False) -> None:
        self.name, self.column = config.name, config.column
        if config.column not in schema.names:
            raise UnknownNameError(f"filter {config.name!r}: column", config.column, schema.names)
        self._config = config
        column = schema[config.column]
        if column.is_identifier and not bound and config.op not in _NULLS:
            text = any(isinstance(value, str) for value in _listed(config))
            column = replace(column, type=pa.string() if text else column.type)
        _check_operator(config, column)
        self._values = [_converted(config, column, value) for value in _listed(config)]
        self._type = column.type

    def matches(self, batch: pa.RecordBatch) -> pa.Array:
        """A boolean per row, never null: whether the condition is true."""
        op, values = self._config.op, batch[self.column]
        if op in _NULLS:
            return values.is_null() if op == "is_null" else values.is_valid()
        if op in _TEXTS:
            found = _TEXTS[op](values, self._values[0])
        elif op in _LISTS:
            found = pc.is_in(values, value_set=pa.array(self._values, self._type))
            found = pc.and_(found if op == "in" else pc.invert(found), values.is_valid())
        else:
            found = _COMPARISONS[op](values, pa.scalar(self._values[0], self._type))
        return found.fill_null(False)


def _listed(config: FilterConfig) -> list[Any]:
    """The values of a filter; empty for `is_null` and `not_null`."""
    what = f"filter {config.name!r}: {config.op}"
    if config.op in _NULLS:
        if config.value is not None:
            raise ConfigurationError(f"{what} takes no value.")
        return []
    if config.op in _LISTS:
        if not isinstance(config.value, (list, tuple)) or not config.value:
            raise ConfigurationError(f"{what} takes a list of values.", "Write value: [a, b].")
        return list(config.value)
    return [config.value]


def _check_operator(config: FilterConfig, column: Column) -> None:
    what = f"filter {config.name!r}: {config.op}"
    if config.op in _TEXTS and not pa.types.is_string(column.type):
        raise ConfigurationError(
            f"{what} is for text, but {column.name!r} is {column.type}.",
            "Use a comparison such as eq or in.",
        )
    if config.op in {"lt", "le", "gt", "ge"} and pa.types.is_boolean(column.type):
        raise ConfigurationError(f"{what} is not for bool columns.", "Write eq or ne.")


def _converted(config: FilterConfig, column: Column, value: Any) -> Any:
    """A value in the column's type; identifiers may be numbers or text, whichever is given."""
    found = typed_value(column, value)
    if found is None:
        raise ConfigurationError(
            f"filter {config.name!r}: {value!r} is not a value of {column.name!r} ({column.type}).",
            hint_for(column),
        )
    return found
