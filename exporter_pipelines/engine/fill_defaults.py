"""Writes the `defaults:` of a dataset where a row has no value, and counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.column_settings import default_value
from exporter_pipelines.contracts.manifest import Transformation
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.engine.rejection import Rejection


class Defaults:
    """The defaults of a dataset, in the types of its source.

    Args:
        defaults: Column -> value, as in the `defs.yaml`.
        schema: As bound to the source.

    Raises:
        ConfigurationError: a value does not fit the type of the source, which only an identifier
            can have: it is an integer or text.
    """

    def __init__(self, defaults: Mapping[str, Any], schema: RowSchema) -> None:
        self._stated = dict(defaults)
        self._values = {
            name: pa.scalar(default_value(schema[name], value), schema[name].type)
            for name, value in defaults.items()
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that have a default."""
        return tuple(self._values)

    @property
    def applied(self) -> tuple[Transformation, ...]:
        """For the manifest; nothing when there are no defaults."""
        if not self._stated:
            return ()
        return (Transformation(name="defaults", version=1, params=self._stated),)

    def fill(
        self, batch: pa.RecordBatch, undelivered: Sequence[Rejection], filled: Counter[str]
    ) -> pa.RecordBatch:
        """The batch without the missing values that have a default.

        A value that the source could not deliver is null as well, but stays so: its row is
        rejected.

        Args:
            batch: Rows after the transforms.
            undelivered: Values that the source could not deliver.
            filled: Column -> values; the number of filled values is added.
        """
        for name, value in self._values.items():
            position = batch.schema.get_field_index(name)
            before = batch.column(position)
            if not before.null_count:
                continue
            missing = before.is_null()
            if unknown := [r.row for r in undelivered if r.column == name]:
                rows = pa.array(range(len(batch)), pa.int64())
                known = pc.invert(pc.is_in(rows, value_set=pa.array(unknown, pa.int64())))
                missing = pc.and_(missing, known)
            filled[name] += pc.sum(missing).as_py() or 0
            after = pc.if_else(missing, value, before)
            batch = batch.set_column(position, batch.schema.field(position), after)
        return batch
