"""Reads one day of a PostgreSQL table from one snapshot."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.outside_days import ExportableDays, OutsideRows
from exporter_pipelines.contracts.source import (
    NOTES_COLUMN,
    SharedSnapshot,
    SourceIdentity,
    SourceInfo,
)
from exporter_pipelines.errors import ConfigurationError, SourceLostError
from exporter_pipelines.sources.postgres.connection import PostgresConnection
from exporter_pipelines.sources.postgres.errors import PostgresStatementError, PostgresStoppedError
from exporter_pipelines.sources.postgres.outside import PostgresOutside
from exporter_pipelines.sources.postgres.proven_guards import without_proven_guards
from exporter_pipelines.sources.postgres.query import (
    PostgresDayQuery,
    fingerprint_of,
    read_time,
    relation,
)
from exporter_pipelines.sources.postgres.questions import REWRITTEN
from exporter_pipelines.sources.postgres.table import PostgresTable
from exporter_pipelines.sources.postgres.times import zone_literal

_INFO = """
SELECT pg_current_snapshot()::text AS snapshot, current_setting('server_version') AS version,
    current_database()::text AS database, ({resolved}) AS resolved
"""
_SHOWN_BYTES = 500
_INVALID_PARAMETER = "22023"


class PostgresDaySnapshot:
    """A `contracts.source.DaySnapshot` over one PostgreSQL connection.

    The caller closes it. See `contracts.source.Session.day` for what it raises.

    Args:
        connection: In a new transaction. If this constructor raises, the caller closes it.
        dataset, window: What to read.
        keep: Receives the connection after a day without an error; otherwise it is closed.
        access: How another process can connect; without the name of the snapshot.
        is_counted: Whether to count the day; another process has done it for a shared snapshot.
    """

    def __init__(
        self,
        connection: PostgresConnection,
        dataset: Dataset,
        window: DayWindow,
        keep: Callable[[PostgresConnection], object],
        access: SharedSnapshot,
        *,
        is_counted: bool = True,
    ) -> None:
        self._connection, self._keep, self._access = connection, keep, access
        self._is_streaming = self._read_whole = False
        self._largest_key: int | None = None
        # Everything that the engine needs before the rows.
        table = PostgresTable(connection, dataset)
        self._dataset = dataset = table.dataset
        projections, self._types = table.projections(), table.types
        self._columns = table.columns
        self.schema = dataset.schema.bound({p.column.name: p.column for p in projections if p})
        guarded = without_proven_guards(
            projections, dataset, table.types, texts_are_small=table.texts_are_small()
        )
        self._query_of = partial(
            PostgresDayQuery,
            dataset,
            types=table.types,
            projections=guarded,
            key_is_unique=table.key_is_unique(),
            key_has_no_order=table.key_has_no_order,
            time_sorts_by_digits=table.time_sorts_by_digits(),
        )
        self._query = self._query_of(window=window)
        table.check_sql_rules(self._query)
        self.row_count = self.repeated_keys = self.unreadable_times = 0
        self._fingerprint: str | None = None
        if is_counted:
            self._count()
        if rewritten := connection.rows(REWRITTEN):
            raise SourceLostError(
                f"{rewritten[0]['name']} was rewritten (by ALTER TABLE, TRUNCATE or similar) when "
                f"the export of {dataset.name} began.",
                "Nothing of this day was published. Run it again.",
                retryable=True,
            )
        self._server = connection.rows(_INFO.format(resolved=table.resolved()))[0]
        self.identity = SourceIdentity(
            "postgresql", connection.server, self._server["database"], self._server["resolved"]
        )

    @property
    def info(self) -> SourceInfo:
        """See `contracts.source.DaySnapshot`."""
        if self._fingerprint is None:
            self._fingerprint = self._fingerprint_of_rows()
        return SourceInfo(
            "postgresql",
            self._dataset.config.source.origin,
            self._server["snapshot"],
            self._server["version"],
            self._fingerprint,
            self._columns,
            self._connection.driver.name,
        )

    def __enter__(self) -> PostgresDaySnapshot:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if exc_info[0] is None and not self._is_streaming:
            self._keep(self._connection)
        else:
            self._connection.close()

    def batches(self, max_rows: int, part: DayWindow | None = None) -> Iterator[pa.RecordBatch]:
        """See `contracts.source.DaySnapshot.batches`."""
        self._is_streaming = True
        names = [*self.schema.names, NOTES_COLUMN]
        query = self._query_of(window=part) if part else self._query
        for unnamed in self._connection.stream(query.rows()):
            batch = unnamed.rename_columns(names)
            self._track_largest_key(batch)
            for offset in range(0, batch.num_rows, max_rows):
                yield self._delivered(batch.slice(offset, max_rows))
        self._is_streaming, self._read_whole = False, part is None

    def share(self) -> SharedSnapshot:
        """See `contracts.source.DaySnapshot.share`."""
        name = self._connection.rows("SELECT pg_export_snapshot() AS name")[0]["name"]
        return replace(self._access, name=name)

    def mark(self) -> int | None:
        """See `contracts.source.DaySnapshot.mark`: the largest key."""
        return self._largest_key

    def were_read(self, marks: Sequence[int | None]) -> None:
        """See `contracts.source.DaySnapshot.were_read`."""
        self._largest_key = max((key for key in marks if key is not None), default=None)
        self._read_whole = self._fingerprint_follows_from_rows()

    def rows_outside(self, days: ExportableDays, *, timeout_s: float) -> OutsideRows:
        """See `contracts.source.DaySnapshot.rows_outside`."""
        source = self._dataset.config.source
        time = sql.Identifier("t", self._dataset.source_name(source.time_column))
        stored = read_time(self._dataset, self._types)
        outside = PostgresOutside(self._connection, relation(source), time, stored)
        return outside.count(days, timeout_s)

    def stop(self) -> None:
        """See `contracts.source.DaySnapshot.stop`."""
        self._connection.stop()

    def _delivered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch in the types of `schema`. Undecodable text becomes null, with a note."""
        fields = [*self.schema.arrow, pa.field(NOTES_COLUMN, pa.string())]
        columns = {field.name: batch[field.name] for field in fields}
        if self._connection.is_sql_ascii:
            columns = _decoded(columns)
        arrays = [columns[field.name].cast(field.type) for field in fields]
        return pa.RecordBatch.from_arrays(arrays, [field.name for field in fields])

    def _fingerprint_follows_from_rows(self) -> bool:
        """Whether the fingerprint can be computed from the delivered rows.

        This needs an integer key: PostgreSQL may order other types differently. It also needs a
        dataset without `updated_column`, which may not be exported.
        """
        source = self._dataset.config.source
        key = self.schema.arrow.field(source.key)
        return pa.types.is_int64(key.type) and source.updated_column is None

    def _track_largest_key(self, batch: pa.RecordBatch) -> None:
        if self._fingerprint is None:
            largest = pc.max(batch[self._dataset.config.source.key]).as_py()
            if self._largest_key is None or (largest is not None and largest > self._largest_key):
                self._largest_key = largest

    def _fingerprint_of_rows(self) -> str:
        """Computed from the rows if all were read, else by the server. Both give the same value."""
        if not self._read_whole:
            found = self._connection.rows(self._query.fingerprint(), is_slow=True)
            return str(found[0]["fingerprint"])
        return fingerprint_of(self.row_count, self._largest_key)

    def _count(self) -> None:
        counts = self._counts()
        self.row_count, self.repeated_keys = counts["rows"], counts["repeated"]
        self._fingerprint = counts.get("fingerprint")
        if nearly := self._query.nearly_of_the_day():
            self.unreadable_times = self._connection.rows(nearly, is_slow=True)[0]["rows"]

    def _counts(self) -> dict[str, Any]:
        question = self._query.counts(with_fingerprint=not self._fingerprint_follows_from_rows())
        try:
            return self._connection.rows(question, is_slow=True)[0]
        except (PostgresStatementError, PostgresStoppedError) as error:
            zone = self._dataset.config.source.timezone
            if zone is not None and not self._knows_zone(zone, error):
                raise ConfigurationError(
                    f"This PostgreSQL server does not know the timezone {zone!r} of "
                    f"{self._dataset.name}.",
                    "Use an older name of the zone, or update the server's time zone data.",
                ) from None
            raise

    def _knows_zone(self, zone: str, error: PostgresStatementError | PostgresStoppedError) -> bool:
        """Whether a statement failed for another reason than the zone. Ends the transaction."""
        if error.sqlstate != _INVALID_PARAMETER:
            return True
        self._connection.execute("ROLLBACK")
        probe = sql.SQL("SELECT now() AT TIME ZONE {} AS local").format(zone_literal(zone))
        try:
            self._connection.rows(probe.as_string(None))
        except (PostgresStatementError, PostgresStoppedError) as refusal:
            return refusal.sqlstate != _INVALID_PARAMETER
        return True


def _decoded(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Columns of a database without an encoding. Invalid UTF-8 becomes null, with a note."""
    decoded = dict(columns)
    found: dict[int, list[list[str]]] = defaultdict(list)
    for name, array in columns.items():
        if name != NOTES_COLUMN and pa.types.is_string(array.type):
            decoded[name] = _decoded_column(name, array.cast(pa.binary()), found)
    # The value in a note may have been cut off inside a character.
    notes = [
        None if note is None else note.decode("utf-8", "replace")
        for note in columns[NOTES_COLUMN].cast(pa.binary()).to_pylist()
    ]
    for row, entries in found.items():
        notes[row] = json.dumps([*json.loads(notes[row] or "[]"), *entries])
    decoded[NOTES_COLUMN] = pa.array(notes, pa.string())
    return decoded


def _decoded_column(name: str, raw: pa.Array, found: dict[int, list[list[str]]]) -> pa.Array:
    try:
        return raw.cast(pa.string())
    except pa.ArrowInvalid:
        pass
    texts: list[str | None] = []
    for row, value in enumerate(raw.to_pylist()):
        try:
            texts.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            texts.append(None)
            shown = value[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
            found[row].append(["reject", "undecodable_text", name, shown])
    return pa.array(texts, pa.string())
