"""The engine's interface to a database: one consistent day, as Arrow batches.

The last column of every batch, `NOTES_COLUMN`, is null or a JSON array of what the source did to
the row. Its elements are `["reject", rule, column, value]` for a value that could not be delivered,
`["change", rule, column]` for a value that was changed, or null, which means nothing. A row that
breaks an SQL rule has `["reject", rule, null, null]`, and all its values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.inspection import Inspection
from exporter_pipelines.contracts.outside_days import ExportableDays, OutsideRows
from exporter_pipelines.contracts.row_schema import NOTES_COLUMN, RowSchema

__all__ = [
    "NOTES_COLUMN",
    "DaySnapshot",
    "NotComparedError",
    "Session",
    "SharedSnapshot",
    "Source",
    "SourceIdentity",
    "SourceInfo",
]


class NotComparedError(Exception):
    """The source did not answer a comparison, although the export itself can go on.

    Args:
        reason: Part of a sentence, such as `the source needed more than 10 s`. Never row content.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class SharedSnapshot:
    """What another process needs to read the same snapshot.

    Attributes:
        url: Of the database; a secret.
        variable: The environment variable with this URL, for messages.
        driver: Path of the driver; None for that of the Python package.
        name: Of the snapshot in the database.
    """

    url: str = field(repr=False)
    variable: str
    driver: str | None
    name: str


@dataclass(frozen=True)
class SourceInfo:
    """Where a day was read, for the manifest. Never holds a URL, user or password.

    Attributes:
        kind: Kind of database, such as `postgresql` or `sqlite`.
        table: As configured; for a query `query` and a short hash of its text.
        snapshot: The snapshot's identifier in the database (`pg_current_snapshot()`). SQLite has
            none: how the file was read (`wal`, `copy`), and its size.
        server_version: Version of the database.
        fingerprint: Hash of the day's row count, largest key and, where the dataset names an
            `updated_column`, latest update.
        columns: All columns of the table that this user may read, in its order.
        driver: Name and version of the driver; None if the source has none of its own.
    """

    kind: str
    table: str
    snapshot: str
    server_version: str
    fingerprint: str
    columns: tuple[str, ...]
    driver: str | None = None


@dataclass(frozen=True)
class SourceIdentity:
    """Which database and table a day was read from, to notice another one.

    Only its hash may be stored: it must not reach a manifest, a log or Dagster's metadata. So its
    representation shows only the kind.

    Attributes:
        kind: As in `SourceInfo`.
        server: Identifier that a PostgreSQL server keeps from `initdb` on; None if the role may not
            read it, and for SQLite.
        database: Name of the database; for SQLite the absolute path of the file, without links.
        table: As the database resolves it (`public.logs`); for a query as in `SourceInfo`.
    """

    kind: str
    server: str | None = field(repr=False)
    database: str = field(repr=False)
    table: str = field(repr=False)


class DaySnapshot(Protocol):
    """One day of one table in one snapshot; a context manager, closed by the caller.

    Attributes:
        schema: The dataset's schema, with the types of this table.
        row_count: Rows of the day, counted by the database in this snapshot.
        repeated_keys: Rows that repeat the key of another row, counted by the database.
        unreadable_times: Rows whose time is text that begins with the date of the day and that
            cannot be read as a time. They are not among the rows of the day.
        identity: Where the rows are read.
    """

    schema: RowSchema
    row_count: int
    repeated_keys: int
    unreadable_times: int
    identity: SourceIdentity

    @property
    def info(self) -> SourceInfo:
        """Facts for the manifest; queries the database unless all rows have been read.

        Must not be used while `batches` is being iterated.

        Raises:
            SourceLostError: the database stopped, or did not answer.
        """
        ...

    def batches(self, max_rows: int, part: DayWindow | None = None) -> Iterator[pa.RecordBatch]:
        """The rows in a total order, in the columns of `schema.arrow` plus `NOTES_COLUMN`.

        Args:
            max_rows: Maximum rows in a batch. A batch may be smaller, but is never empty.
            part: A part of the day; None for all of it.

        Raises:
            SourceLostError: the database stopped in the middle.
        """
        ...

    def share(self) -> SharedSnapshot:
        """Let other processes read the snapshot until it is closed.

        Raises:
            SourceLostError: the database stopped, or refused.
        """
        ...

    def mark(self) -> Any:
        """What `info` needs to know of the rows read so far, to be passed to `were_read`."""
        ...

    def were_read(self, marks: Sequence[Any]) -> None:
        """Say that all rows of the day were read, with these marks, in parts or by others."""
        ...

    def rows_outside(self, days: ExportableDays, *, timeout_s: float) -> OutsideRows:
        """Rows of the table that belong to no day, in the snapshot; called before `batches`.

        Args:
            days: The days that can be exported.
            timeout_s: Limit of counting all rows. After it, a sample of rows is counted, which may
                take as long again; if that fails as well, the result has no counts.

        Raises:
            SourceLostError: the database stopped.
        """
        ...

    def stop(self) -> None:
        """Make a call that waits for the database fail at once; may be used from any thread.

        Afterwards the snapshot can only be closed.
        """
        ...

    def __enter__(self) -> DaySnapshot: ...

    def __exit__(self, *exc_info: object) -> None: ...


class Session(Protocol):
    """Reads days, one after the other; a context manager, closed by the caller.

    A session may keep an idle connection from one day to the next, but only after a day that ended
    without an error. Each day is a new snapshot.
    """

    def day(
        self,
        dataset: Dataset,
        window: DayWindow,
        *,
        timeout_s: float | None = None,
        shared: SharedSnapshot | None = None,
    ) -> DaySnapshot:
        """One day of a dataset as it is stored now; the caller closes it before the next.

        Args:
            dataset: Names the table, key and time column.
            window: The day; the doctor reads several at once.
            timeout_s: Limit of everything until the snapshot is closed. Afterwards it raises some
                ExporterError. None for no limit.
            shared: The snapshot of another process, to read parts of the day. The day is not
                counted again.

        Raises:
            ConfigurationError: the URL is malformed, or the table does not fit the dataset.
            SourceUnavailableError: the database cannot be reached.
        """
        ...

    def times_of(self, dataset: Dataset, keys: pa.Array, *, timeout_s: float) -> pa.Table:
        """The rows with one of these keys, at any time, as the source stores them now.

        One statement, which can use an index on the key. It must not be called while a day is open.

        Args:
            dataset: Names the table, key and time column.
            keys: As an export delivers them; integers or text. The caller sends some 20,000 at a
                time.
            timeout_s: Limit of the whole call.

        Returns:
            One row per source row: `key`, in the type of `keys`, and `time` in microseconds UTC,
            which is null if the stored value is no instant.

        Raises:
            NotComparedError: it took too long, or the source cannot look up these keys.
            ExporterError: as `day`.
        """
        ...

    def count_days(
        self, dataset: Dataset, windows: Sequence[DayWindow], *, timeout_s: float
    ) -> dict[str, int]:
        """Day -> number of source rows, of all `windows` in one snapshot and with one statement.

        Rows are counted as `DaySnapshot.row_count` counts them. It must not be called while a day
        is open.

        Raises:
            NotComparedError: it took longer than `timeout_s`.
            ExporterError: as `day`.
        """
        ...

    def close(self) -> None:
        """Close the idle connection, if there is one; harmless when called twice."""
        ...

    def __enter__(self) -> Session: ...

    def __exit__(self, *exc_info: object) -> None: ...


@dataclass(frozen=True)
class Source:
    """A kind of database.

    Attributes:
        kind: Shown in the UI on the assets that read such a database.
        schemes: Schemes of its URLs, without the colon.
        example: A URL, for messages.
        open_session: Takes a URL and the name of its environment variable, for messages. Connects
            when the first day is read.
        open_inspection: Takes the same arguments, for the doctor; connects at once.
    """

    kind: str
    schemes: tuple[str, ...]
    example: str
    open_session: Callable[[str, str], Session]
    open_inspection: Callable[[str, str], Inspection]
