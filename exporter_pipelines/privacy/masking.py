"""Applies a policy to the rows of one dataset and day, batch by batch.

The names of a day must be complete before its texts are scanned (`collect`), since a name may stand
in a text before the row whose column has it.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.privacy import (
    REDACTED,
    ColumnPolicy,
    PrivacyConfig,
    exported_under,
    needs_a_name,
)
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.privacy.keys import KeyRing
from exporter_pipelines.privacy.names import DayNames
from exporter_pipelines.privacy.pseudonyms import Counts, Pseudonyms
from exporter_pipelines.privacy.scanner import Scanner

_UNITS_US = {"minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000}
_KEEP = ColumnPolicy(action="keep")


class Masking:
    """One policy for the rows of one dataset and day.

    Args:
        policy: The policy.
        keys: Of the dataset and day.
        start: First instant of the day; coarse times count from it.

    Attributes:
        keys: Of the dataset and day.
        pseudonyms: Of the dataset and day.
        names: The day's own names, which are looked for in text.
    """

    def __init__(self, policy: PrivacyConfig, keys: KeyRing, start: dt.datetime) -> None:
        self._policy, self.keys = policy, keys
        self._start_us = int(start.timestamp()) * 1_000_000
        self.pseudonyms = Pseudonyms(policy, keys)
        self.names = DayNames(policy)
        self._scanner: Scanner | None = None

    def scans(self, schema: RowSchema) -> bool:
        """Whether names must be collected before rows can be masked."""
        return any(self._of(column).action == "scan" for column in schema.columns)

    def collect(self, batch: pa.RecordBatch) -> None:
        """Remember the names in a batch."""
        self.names.add(batch)

    def mask(self, batch: pa.RecordBatch, schema: RowSchema, counts: Counts) -> pa.RecordBatch:
        """The rows under the policy.

        Args:
            batch: Has the columns of `schema`, and perhaps others.
            schema: The columns to return, before the policy.
            counts: What was replaced is added.
        """
        exported = exported_under(self._policy, schema)
        columns = [
            self._column(batch[column.name], schema[column.name], counts)
            for column in exported.columns
        ]
        return pa.RecordBatch.from_arrays(columns, schema=exported.arrow)

    def _of(self, column: Column) -> ColumnPolicy:
        return self._policy.of(column.name) or _KEEP

    def _column(self, values: pa.Array, column: Column, counts: Counts) -> pa.Array:
        policy = self._of(column)
        match policy.action:
            case "keep":
                return values
            case "redact":
                counts.replaced["redact"] += len(values) - values.null_count
                return pc.if_else(values.is_valid(), REDACTED, pa.scalar(None, pa.string()))
            case "scan":
                return self._scanned(values, column, policy, counts)
            case "generalise" if isinstance(policy.to, str):
                return self._coarse_times(values, policy.to)
        return self._pseudonyms(values.cast(pa.string()), policy, counts)

    def _scanned(
        self, values: pa.Array, column: Column, policy: ColumnPolicy, counts: Counts
    ) -> pa.Array:
        if self._scanner is None:
            self._scanner = Scanner(self.pseudonyms, self.names.in_text(self.pseudonyms))
        return self._scanner.scan(values, counts, keys=policy.keys, in_json=column.is_json)

    def _coarse_times(self, times: pa.Array, unit: str) -> pa.Array:
        instants = times.cast(pa.int64())
        numbers = instants.fill_null(0).to_numpy(zero_copy_only=False)
        coarse = numbers - (numbers - self._start_us) % _UNITS_US[unit]
        nulls = np.asarray(instants.is_null()) if instants.null_count else None
        return pa.array(coarse, pa.int64(), mask=nulls).cast(times.type)

    def _pseudonyms(self, values: pa.Array, policy: ColumnPolicy, counts: Counts) -> pa.Array:
        distinct = values.dictionary_encode()
        raw: list[str] = distinct.dictionary.to_pylist()
        kind = policy.kind or ("ip" if policy.action == "generalise" else "hash")
        if policy.action == "generalise":
            masked = [self.pseudonyms.coarse(policy, value) for value in raw]
        else:
            masked = self.pseudonyms.of_many(kind, raw)
        indices = distinct.indices.drop_null().to_numpy()
        numbers = np.bincount(indices, minlength=len(raw))
        counts.replaced[kind] += len(indices)
        written = pa.array(masked, pa.string())
        counts.wrote(written, numbers)
        return written.take(distinct.indices)


def shown_in_quarantine(policy: PrivacyConfig, schema: RowSchema, exported: RowSchema) -> RowSchema:
    """The columns of rejected rows that may be written, before the policy.

    A column that is not exported need not be named in the policy; then it is left out.

    Args:
        policy: The policy.
        schema: All columns that were read.
        exported: The columns that are exported.
    """
    names = [
        column.name
        for column in schema.columns
        if policy.of(column.name) or not needs_a_name(column) or column.name in exported.names
    ]
    return schema.selected(names)
