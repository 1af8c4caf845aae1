"""Reads one day of a SQLite table from one snapshot."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.outside_days import ExportableDays, OutsideRows
from exporter_pipelines.contracts.source import (
    NOTES_COLUMN,
    SharedSnapshot,
    SourceIdentity,
    SourceInfo,
)
from exporter_pipelines.sources.sqlite.connection import Row, SqliteConnection
from exporter_pipelines.sources.sqlite.kept_copy import KeptCopy
from exporter_pipelines.sources.sqlite.notes import Notes
from exporter_pipelines.sources.sqlite.outside import SqliteOutside
from exporter_pipelines.sources.sqlite.plain_table import PlainTable
from exporter_pipelines.sources.sqlite.query import INSTANT, SqliteDayQuery, quoted, relation
from exporter_pipelines.sources.sqlite.table import SqliteTable
from exporter_pipelines.sources.sqlite.values import SqliteValues


def _fingerprint(rows: int, largest: Sequence[object]) -> str:
    return hashlib.sha256(repr((rows, *largest)).encode()).hexdigest()[:32]


BATCH_BYTES = 4 * 1024 * 1024
"""A batch ends when its text exceeds this size. Python objects need more memory than that."""


class SqliteDaySnapshot:
    """A `contracts.source.DaySnapshot` over one SQLite file.

    The caller closes it. See `contracts.source.Session.day` for what it raises.

    Args:
        url, variable, ends, copies: See `SqliteConnection`.
        dataset, window: What to read.
    """

    _statement: tuple[str, list[Any]]
    """Of the rows, with its parameters."""

    def __init__(
        self,
        url: str,
        variable: str,
        dataset: Dataset,
        window: DayWindow,
        ends: float = math.inf,
        copies: KeptCopy | None = None,
    ) -> None:
        self._dataset, self._is_streaming = dataset, False
        self._connection = SqliteConnection(url, variable, ends, copies)
        try:
            self._values = SqliteValues.of(dataset, self._connection.encoding)
            self._open(window)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, window: DayWindow) -> None:
        connection = self._connection
        source = self._dataset.config.source
        encoding = source.encoding(source.time_column)
        # Cached, because the window and the order both need the instant of a row. A value that is
        # not an instant is in no window.
        instant_us = lru_cache(1024)(lambda value: self._values.instant_us(value, encoding))
        connection.define(INSTANT, instant_us, 1)
        table = SqliteTable(connection, self._dataset)
        table.check()
        self._dataset = table.dataset
        self.schema = self._dataset.schema.bound(table.bound())
        self._query = SqliteDayQuery(
            self._dataset,
            window,
            table.names,
            self.schema,
            table.key_is_unique(),
            self._values.encoding,
            connection.binary,
        )
        counts = self._plain_counts(window)
        if counts is None:
            counts = connection.rows(self._query.counts(), self._query.parameters)[0]
            if not counts[3]:
                self._statement = self._query.rows(are_usual=True), []
            else:
                self._statement = self._query.rows(), self._query.parameters
        self.row_count, self.repeated_keys, self.unreadable_times, _, *largest = counts
        self.identity = SourceIdentity("sqlite", None, str(connection.file), table.resolved)
        self.info = SourceInfo(
            "sqlite",
            self._dataset.config.source.origin,
            f"{connection.how}, {connection.pages} pages",
            connection.version,
            _fingerprint(self.row_count, largest),
            tuple(table.names),
        )

    def _plain_counts(self, window: DayWindow) -> Row | None:
        """The counts, if all times near the day are plain; else None."""
        plain = PlainTable(self._connection, self._dataset).times(window)
        if plain is None:
            return None
        statement = self._query.plain_counts(plain)
        *counts, dated, is_sorted = self._connection.rows(statement)[0]
        if dated != counts[0]:
            return None
        self._statement = self._query.rows(plain=plain, is_sorted=bool(is_sorted)), []
        return tuple(counts)

    def __enter__(self) -> SqliteDaySnapshot:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if exc_info[0] is None and not self._is_streaming:
            self._connection.release()
        else:
            self._connection.close()

    def batches(
        self,
        max_rows: int,
        part: DayWindow | None = None,  # noqa: ARG002 - datasets with parts are refused
    ) -> Iterator[pa.RecordBatch]:
        """See `contracts.source.DaySnapshot.batches`."""
        self._is_streaming = True
        rows: list[Row] = []
        size_bytes = 0
        for row in self._connection.stream(*self._statement):
            rows.append(row)
            size_bytes += sum([len(value) for value in row if type(value) is bytes])
            if len(rows) >= max_rows or size_bytes > BATCH_BYTES:
                yield self._delivered(rows)
                rows, size_bytes = [], 0
        if rows:
            yield self._delivered(rows)
        self._is_streaming = False

    def share(self) -> SharedSnapshot:
        """See `contracts.source.DaySnapshot.share`; `SqliteSession.day` refuses before."""
        raise AssertionError("a day of SQLite is not read in slices")

    def mark(self) -> None:
        """See `contracts.source.DaySnapshot.mark`."""

    def were_read(self, marks: Sequence[object]) -> None:
        """See `contracts.source.DaySnapshot.were_read`."""

    def rows_outside(self, days: ExportableDays, *, timeout_s: float) -> OutsideRows:
        """See `contracts.source.DaySnapshot.rows_outside`."""
        source = self._dataset.config.source
        return SqliteOutside(
            self._connection,
            relation(self._dataset),
            quoted("t", self._dataset.source_name(source.time_column)),
            self._values,
            source.encoding(source.time_column),
        ).count(days, timeout_s)

    def stop(self) -> None:
        """See `contracts.source.DaySnapshot.stop`."""
        self._connection.interrupt()

    def _delivered(self, rows: list[Row]) -> pa.RecordBatch:
        """The rows in the types of `schema`, with notes on values that could not be delivered."""
        notes, source = Notes(), self._dataset.config.source
        values, states, verdicts = self._query.divided(list(zip(*rows, strict=True)))
        arrays = [
            self._values.convert(
                column,
                source.encoding(column.name),
                values[column.name],
                states.get(column.name, ()),
                notes,
            )
            for column in self.schema.columns
        ]
        for (rule, _), broken in zip(self._dataset.config.sql_rules, verdicts, strict=True):
            for row, is_broken in enumerate(broken):
                if is_broken:
                    notes.break_rule(row, rule)
        return pa.RecordBatch.from_arrays(
            [*arrays, notes.array(len(rows))], [*self.schema.names, NOTES_COLUMN]
        )
