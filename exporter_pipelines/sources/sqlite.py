"""One day of a SQLite table, read from one snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.contracts.source import NOTES_COLUMN, SourceInfo
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    UnknownTableError,
)
from exporter_pipelines.sources.sqlite_catalog import SqliteCatalog
from exporter_pipelines.sources.sqlite_connection import (
    Row,
    SqliteConnection,
    SqliteStatementError,
)
from exporter_pipelines.sources.sqlite_notes import Notes
from exporter_pipelines.sources.sqlite_query import (
    INSTANT,
    SqliteDayQuery,
    quoted,
    relation,
    rule_probe,
)
from exporter_pipelines.sources.sqlite_values import SqliteValues
from exporter_pipelines.sources.time_encodings import UNITS_US, NotAnInstantError

BATCH_BYTES = 4 * 1024 * 1024
"""A batch ends when its text has grown beyond this; a row of Python objects takes more."""


class SqliteDaySnapshot:
    """A `contracts.source.DaySnapshot` over one SQLite file.

    The caller closes it. See `sources.open_day` for what it raises.
    """

    def __init__(self, url: str, dataset: Dataset, window: DayWindow) -> None:
        self._dataset = dataset
        source = dataset.config.source
        if source.timezone is None:
            raise ConfigurationError(
                f"The source of {dataset.name} has no `timezone:`.",
                "SQLite stores no time zones; write in which zone times without one are.",
            )
        self._connection = SqliteConnection(url, source.url)
        try:
            self._values = SqliteValues(
                ZoneInfo(source.timezone),
                self._connection.encoding,
                dataset.config.max_value_bytes,
            )
            self._open(window)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, window: DayWindow) -> None:
        source, connection = self._dataset.config.source, self._connection
        # Asked for the window and again for the order of the same row.
        connection.define(INSTANT, lru_cache(1024)(self._instant_us), 1)
        names = self._columns()
        self._check_columns(names)
        catalog = SqliteCatalog(connection, self._dataset)
        self._check_encoding()
        self._check_sql_rules()
        bound = {c.name: self._bound(c, names, catalog) for c in self._dataset.schema.columns}
        self.schema = self._dataset.schema.bound(bound)
        key = self._dataset.source_name(source.key)
        self._query = SqliteDayQuery(
            self._dataset,
            window,
            names,
            self.schema,
            catalog.is_unique(key),
            self._values.encoding,
        )
        counts = connection.rows(self._query.counts(), self._query.parameters)[0]
        self.row_count, self.repeated_keys = counts
        snapshot = f"{connection.how}, {connection.pages} pages"
        self.info = SourceInfo("sqlite", source.origin, snapshot, connection.version)

    def __enter__(self) -> SqliteDaySnapshot:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.close()

    def batches(self, max_rows: int) -> Iterator[pa.RecordBatch]:
        """See `contracts.source.DaySnapshot.batches`."""
        rows: list[Row] = []
        size_bytes = 0
        for row in self._connection.stream(self._query.rows(), self._query.parameters):
            rows.append(row)
            size_bytes += sum([len(value) for value in row if type(value) is bytes])
            if len(rows) >= max_rows or size_bytes > BATCH_BYTES:
                yield self._delivered(rows)
                rows, size_bytes = [], 0
        if rows:
            yield self._delivered(rows)

    def _delivered(self, rows: list[Row]) -> pa.RecordBatch:
        """The rows in exactly the promised types, with notes on what could not be delivered."""
        notes, source = Notes(), self._dataset.config.source
        stored = list(zip(*rows, strict=True))
        arrays = [
            self._values.convert(
                column,
                source.encoding(column.name),
                stored[2 * number],
                stored[2 * number + 1] if pa.types.is_string(column.type) else (),
                notes,
            )
            for number, column in enumerate(self.schema.columns)
        ]
        verdicts = stored[2 * len(arrays) :]
        for (rule, _), broken in zip(self._dataset.config.sql_rules, verdicts, strict=True):
            for row, is_broken in enumerate(broken):
                if is_broken:
                    notes.break_rule(row, rule)
        return pa.RecordBatch.from_arrays(
            [*arrays, notes.array(len(rows))], [*self.schema.names, NOTES_COLUMN]
        )

    def _instant_us(self, value: Any) -> int | None:
        """The SQL function: a value that is no instant is in no window."""
        source = self._dataset.config.source
        if value is None:
            return None
        try:
            return self._values.instant(value, source.encoding(source.time_column)).us
        except NotAnInstantError:
            return None

    def _columns(self) -> list[str]:
        source = self._dataset.config.source
        try:
            return self._connection.columns(f"SELECT * FROM {relation(self._dataset)}")  # noqa: S608
        except SqliteStatementError as error:
            if source.query is not None:
                raise ConfigurationError(
                    f"SQLite refuses the query of {self._dataset.name}: {error}.",
                    "Correct `query` in its defs.yaml.",
                ) from None
            tables = self._connection.rows(
                "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') "
                "AND name NOT LIKE 'sqlite@_%' ESCAPE '@' ORDER BY name LIMIT 40"
            )
            raise UnknownTableError(
                f"The table {source.table!r} of {self._dataset.name} does not exist "
                f"(there are: {', '.join(name for (name,) in tables) or 'none'}).",
                "Correct `table` in its defs.yaml.",
            ) from None

    def _check_columns(self, names: list[str]) -> None:
        source = self._dataset.config.source
        for column in self._dataset.schema.columns:
            name = self._dataset.source_name(column.name)
            if name not in names and (column.required or column.name in source.columns):
                raise ColumnMismatchError(
                    f"Column {name!r} of {source.origin!r}, exported as {column.name!r} of "
                    f"{self._dataset.name}, does not exist (there are: {', '.join(names)}).",
                    f"Map it under `columns:` in its defs.yaml, as in {column.name}: "
                    "the_other_name.",
                )

    def _check_encoding(self) -> None:
        """Refuse a time column whose numbers nobody said how to read: its days would be empty."""
        source = self._dataset.config.source
        if source.encoding(source.time_column) in UNITS_US:
            return
        time = quoted("t", self._dataset.source_name(source.time_column))
        # Numbers sort before all text, so an index finds the first of them at once.
        found = self._connection.rows(
            f"SELECT typeof({time}) FROM {relation(self._dataset)} "  # noqa: S608
            f"WHERE {time} < '' LIMIT 1"
        )
        if found:
            raise ColumnMismatchError(
                f"The time column {time} of {self._dataset.name} holds numbers ({found[0][0]}).",
                f"Say how they count, as in `encodings: {{{source.time_column}: epoch_s}}`; there "
                "are epoch_s, epoch_ms and epoch_us.",
            )

    def _check_sql_rules(self) -> None:
        """Refuse an expression that the database does not understand, by its rule's name."""
        for name, expression in self._dataset.config.sql_rules:
            probe = rule_probe(self._dataset, expression)
            refusal = ""
            try:
                self._connection.columns(probe)
            except SqliteStatementError as error:
                refusal = str(error)
            if not refusal and self._connection.rows(probe):
                refusal = "an aggregate needs OVER (...), or it makes one row of the whole day"
            if refusal:
                raise ConfigurationError(
                    f"The SQL rule {name!r} of {self._dataset.name} is refused: {refusal}.",
                    "Write a boolean expression over the table's own columns.",
                )

    def _bound(self, column: Column, names: list[str], catalog: SqliteCatalog) -> Column:
        """An identifier is text unless the table declares, or begins with, integers."""
        name = self._dataset.source_name(column.name)
        if not column.is_identifier or name not in names or catalog.is_integer(name):
            return column
        return replace(column, type=pa.string())
