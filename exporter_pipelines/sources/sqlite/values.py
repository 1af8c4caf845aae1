"""Converts columns of stored values to the types of the schema, and rejects values that do not fit.

Arrow converts a column at once if all its values have the expected type. Other columns are
converted value by value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.sources.sqlite.cells import (
    RejectedError,
    boolean,
    document,
    integer,
    is_document,
    text,
)
from exporter_pipelines.sources.sqlite.notes import Notes
from exporter_pipelines.sources.sqlite.time_columns import instants_of_integers, instants_of_texts
from exporter_pipelines.sources.time_encodings import (
    NUMBERS,
    Instant,
    NotAnInstantError,
    of_number,
    of_text,
)

_TO_CLEAN = r"^ | $|[\n\r\t]"
"""White space that does not stay in a JSON document."""

FITS, TOO_LARGE, IS_BLOB = 0, 1, 2
"""State of a text value in the query: complete, cut off, or a blob."""

_NULL = type(None)


@dataclass(frozen=True)
class SqliteValues:
    """Converts columns of stored values.

    `of` is the constructor for a dataset.

    Attributes:
        zone: Of times without an offset.
        encoding: Of the database, `utf-8`, `utf-16le` or `utf-16be`.
        max_value_bytes: Larger values are rejected.
        json_as_text: Whether a value that is no JSON document is delivered as a JSON string.
    """

    zone: ZoneInfo
    encoding: str
    max_value_bytes: int
    json_as_text: bool = False

    @classmethod
    def of(cls, dataset: Dataset, encoding: str) -> SqliteValues:
        """For the values of a dataset.

        Raises:
            ConfigurationError: the dataset has no time zone.
        """
        timezone = dataset.config.source.timezone
        if timezone is None:
            raise ConfigurationError(
                f"The source of {dataset.name} has no `timezone:`.",
                "SQLite stores no time zones. Set it to the zone of times without an offset.",
            )
        return cls(
            ZoneInfo(timezone),
            encoding,
            dataset.config.max_value_bytes,
            dataset.config.unreadable_json == "text",
        )

    def convert(
        self,
        column: Column,
        time_encoding: str,
        values: Sequence[Any],
        states: Sequence[int],
        notes: Notes,
    ) -> pa.Array:
        """A column of a batch, in `column.type`. Rejected values are null and have a note.

        Args:
            column: The exported column.
            time_encoding: Unit of the numbers in a time column.
            values: As stored; text as bytes.
            states: FITS, TOO_LARGE or IS_BLOB of each value, for text and JSON; else empty.
            notes: Receives the reasons.
        """
        kinds = set(map(type, values))
        if column.is_timestamp:
            return self._timestamps(column, time_encoding, kinds, values, notes)
        if column.is_json:
            return self._documents(column, kinds, values, states, notes)
        if pa.types.is_string(column.type):
            return self._texts(column, kinds, values, states, notes)
        if pa.types.is_boolean(column.type):
            return self._each(column, values, notes, boolean)
        if pa.types.is_float64(column.type):
            if kinds <= {float, _NULL}:
                return pa.array(values, column.type)
            return self._floats(column, values, notes)
        if kinds <= {int, _NULL}:
            return pa.array(values, column.type)
        return self._each(column, values, notes, integer)

    def instant(self, value: Any, time_encoding: str) -> Instant:
        """The instant of a stored value of a time column.

        Raises:
            NotAnInstantError: the value is not an instant.
        """
        if isinstance(value, int | float):
            if time_encoding not in NUMBERS:
                raise NotAnInstantError("unreadable_time")
            return of_number(value, NUMBERS[time_encoding])
        try:
            return of_text(value.decode(self.encoding), self.zone)
        except UnicodeDecodeError:
            raise NotAnInstantError("unreadable_time") from None

    def instant_us(self, value: Any, time_encoding: str) -> int | None:
        """Microseconds since 1970 of a stored value; None if it is not an instant."""
        if value is None:
            return None
        try:
            return self.instant(value, time_encoding).us
        except NotAnInstantError:
            return None

    def _timestamps(
        self,
        column: Column,
        time_encoding: str,
        kinds: set[type],
        values: Sequence[Any],
        notes: Notes,
    ) -> pa.Array:
        us, known = np.zeros(len(values), np.int64), np.zeros(len(values), bool)
        if kinds <= {bytes, _NULL} and self.encoding == "utf-8":
            us, known = instants_of_texts(values, self.zone)
        elif kinds <= {int, _NULL} and time_encoding in NUMBERS:
            us, known = instants_of_integers(values, NUMBERS[time_encoding])
        is_null = np.zeros(len(values), bool)
        for row in np.flatnonzero(~known).tolist():
            value = values[row]
            is_null[row] = True
            if value is None:
                continue
            try:
                us[row], is_truncated = self.instant(value, time_encoding)
                is_null[row] = False
                if is_truncated:
                    notes.change(row, "timestamp_truncated", column.name)
            except NotAnInstantError as error:
                notes.reject(row, error.rule, column.name, self._readable(value))
        return pa.array(us, mask=is_null).cast(column.type)

    def _documents(
        self,
        column: Column,
        kinds: set[type],
        values: Sequence[Any],
        states: Sequence[int],
        notes: Notes,
    ) -> pa.Array:
        """JSON documents. Most are on one line already; the others are converted one by one."""
        if kinds <= {bytes, _NULL} and not any(states):
            texts = pa.array(values, pa.binary())
            unclean = pc.match_substring_regex(texts, _TO_CLEAN).to_pylist()
            rows = [
                row
                for row, value in enumerate(values)
                if value is not None and (unclean[row] or not self._is_document(value))
            ]
            if not rows:
                return texts.cast(pa.string())
            return self._each(column, values, notes, document, states, rows)
        return self._each(column, values, notes, document, states)

    def _is_document(self, value: bytes) -> bool:
        return len(value) <= self.max_value_bytes and is_document(value)

    def _texts(
        self,
        column: Column,
        kinds: set[type],
        values: Sequence[Any],
        states: Sequence[int],
        notes: Notes,
    ) -> pa.Array:
        if kinds <= {bytes, _NULL} and not any(states):
            try:
                texts = pa.array(values, pa.binary()).cast(pa.string())
            except pa.ArrowInvalid:  # one of them is not UTF-8
                pass
            else:
                if self.encoding == "utf-8":  # then SQL has checked the size
                    return texts
        return self._each(column, values, notes, text, states)

    def _floats(self, column: Column, values: Sequence[Any], notes: Notes) -> pa.Array:
        converted: list[float | None] = []
        for row, value in enumerate(values):
            number = float(value) if isinstance(value, int | float) else None
            if number is None and value is not None:
                notes.reject(row, "not_a_number", column.name, self._readable(value))
            elif isinstance(value, int) and int(number or 0) != value:
                notes.change(row, "numeric_rounded", column.name)
            converted.append(number)
        return pa.array(converted, column.type)

    def _each(
        self,
        column: Column,
        values: Sequence[Any],
        notes: Notes,
        one: Callable[[Any, bool], Any],
        states: Sequence[int] = (),
        rows: Iterable[int] | None = None,
    ) -> pa.Array:
        """Convert value by value, with a function of the value and whether it is a blob.

        Args:
            rows: Only these; the other values are delivered as they are. None for all.
        """
        converted = list(values)
        for row in range(len(values)) if rows is None else rows:
            value = values[row]
            delivered, state = None, states[row] if states else FITS
            try:
                if value is not None:
                    self._check_size(value, state)
                    delivered = one(value if states else self._readable(value), state == IS_BLOB)
            except RejectedError as error:
                seen = value if states else self._readable(value)
                if error.rule == "invalid_json" and self.json_as_text:
                    delivered = json.dumps(text(seen, state == IS_BLOB), ensure_ascii=False)
                    notes.change(row, "json_as_text", column.name)
                else:
                    notes.reject(row, error.rule, column.name, seen)
            converted[row] = delivered
        return pa.array(converted, column.type)

    def _check_size(self, value: Any, state: int) -> None:
        """Reject large values. SQL measures text in the database's encoding; here it is UTF-8."""
        is_too_long = isinstance(value, bytes) and len(value) > self.max_value_bytes
        if state == TOO_LARGE or is_too_long:
            raise RejectedError("value_too_large")

    def _readable(self, value: Any) -> Any:
        """Bytes in the database's encoding, as UTF-8."""
        if isinstance(value, bytes) and self.encoding != "utf-8":
            return value.decode(self.encoding, "replace").encode()
        return value
