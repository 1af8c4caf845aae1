"""One day of a PostgreSQL table, read from one snapshot."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import NOTES_COLUMN, SourceInfo
from exporter_pipelines.errors import ConfigurationError, SourceLostError
from exporter_pipelines.sources.postgres.connection import PostgresConnection
from exporter_pipelines.sources.postgres.errors import PostgresStatementError
from exporter_pipelines.sources.postgres.query import PostgresDayQuery, fingerprint_of
from exporter_pipelines.sources.postgres.questions import REWRITTEN
from exporter_pipelines.sources.postgres.table import PostgresTable

_INFO = """
SELECT pg_current_snapshot()::text AS snapshot, current_setting('server_version') AS version
"""
_SHOWN_BYTES = 500


class PostgresDaySnapshot:
    """A `contracts.source.DaySnapshot` over one PostgreSQL connection.

    The caller closes it. See `contracts.source.Session.day` for what it raises.

    Args:
        connection: With a new transaction. After an error here, the caller closes it.
        dataset, window: What to read.
        keep: Takes the connection when the day ended without an error; otherwise it is closed.
    """

    def __init__(
        self,
        connection: PostgresConnection,
        dataset: Dataset,
        window: DayWindow,
        keep: Callable[[PostgresConnection], object],
    ) -> None:
        self._connection, self._dataset, self._keep = connection, dataset, keep
        self._is_streaming = self._read_whole = False
        self._largest_key: int | None = None
        # Everything that must be known before the rows.
        table = PostgresTable(connection, dataset)
        projections = table.projections()
        self.schema = dataset.schema.bound({p.column.name: p.column for p in projections if p})
        self._query = PostgresDayQuery(
            dataset, window, table.types, projections, table.key_is_unique()
        )
        table.check_sql_rules(self._query)
        counts = self._counts()
        self.row_count, self.repeated_keys = counts["rows"], counts["repeated"]
        self._fingerprint: str | None = counts.get("fingerprint")
        if rewritten := connection.rows(REWRITTEN):
            raise SourceLostError(
                f"{rewritten[0]['name']} was rewritten (ALTER TABLE, TRUNCATE or the like) just as "
                f"the export of {dataset.name} began.",
                "Nothing of this day was published; run it again.",
                retryable=True,
            )
        self._about = connection.rows(_INFO)[0]

    @property
    def info(self) -> SourceInfo:
        """See `contracts.source.DaySnapshot`."""
        if self._fingerprint is None:
            self._fingerprint = self._fingerprint_of_rows()
        return SourceInfo(
            "postgresql",
            self._dataset.config.source.origin,
            self._about["snapshot"],
            self._about["version"],
            self._fingerprint,
        )

    def __enter__(self) -> PostgresDaySnapshot:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if exc_info[0] is None and not self._is_streaming:
            self._keep(self._connection)
        else:
            self._connection.close()

    def batches(self, max_rows: int) -> Iterator[pa.RecordBatch]:
        """See `contracts.source.DaySnapshot.batches`."""
        self._is_streaming = True
        for batch in self._connection.stream(self._query.rows()):
            self._see_keys(batch)
            for offset in range(0, batch.num_rows, max_rows):
                yield self._delivered(batch.slice(offset, max_rows))
        self._is_streaming, self._read_whole = False, True

    def stop(self) -> None:
        """See `contracts.source.DaySnapshot.stop`."""
        self._connection.stop()

    def _delivered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch in exactly the promised types, undecodable text taken out and noted."""
        fields = [*self.schema.arrow, pa.field(NOTES_COLUMN, pa.string())]
        columns = {field.name: batch[field.name] for field in fields}
        if self._connection.is_sql_ascii:
            columns = _decoded(columns)
        arrays = [columns[field.name].cast(field.type) for field in fields]
        return pa.RecordBatch.from_arrays(arrays, [field.name for field in fields])

    def _key_tells(self) -> bool:
        """Whether the fingerprint follows from the rows as they are delivered.

        The largest of whole numbers is the same here and there. Other keys have an order of their
        own in PostgreSQL, and an `updated_column` need not be exported.
        """
        source = self._dataset.config.source
        key = self.schema.arrow.field(source.key)
        return pa.types.is_int64(key.type) and source.updated_column is None

    def _see_keys(self, batch: pa.RecordBatch) -> None:
        if self._fingerprint is None:
            largest = pc.max(batch[self._dataset.config.source.key]).as_py()
            if self._largest_key is None or (largest is not None and largest > self._largest_key):
                self._largest_key = largest

    def _fingerprint_of_rows(self) -> str:
        """From the rows once they are read, else by the server: the same text either way."""
        if not self._read_whole:
            found = self._connection.rows(self._query.fingerprint(), is_slow=True)
            return str(found[0]["fingerprint"])
        return fingerprint_of(self.row_count, self._largest_key)

    def _counts(self) -> dict[str, Any]:
        question = self._query.counts(with_fingerprint=not self._key_tells())
        try:
            return self._connection.rows(question, is_slow=True)[0]
        except (SourceLostError, PostgresStatementError) as error:
            zone = self._dataset.config.source.timezone
            if "time zone" in error.message:
                raise ConfigurationError(
                    f"This PostgreSQL server does not know the timezone {zone!r} of "
                    f"{self._dataset.name}.",
                    "Write an older name of the zone, or update the server's time zone data.",
                ) from None
            raise


def _decoded(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Columns of a database without an encoding, with text that is not UTF-8 nulled and noted."""
    decoded = dict(columns)
    found: dict[int, list[list[str]]] = defaultdict(list)
    for name, array in columns.items():
        if name != NOTES_COLUMN and pa.types.is_string(array.type):
            decoded[name] = _decoded_column(name, array.cast(pa.binary()), found)
    # A value that a note shows was perhaps cut off within a character.
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
