"""A read-only SQLite connection that never blocks the application that writes the file.

Belongs here: opening, the transaction, running statements, and translating driver errors.
Does not belong here: the statements (`query`) and copying the file (`copy`).
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exporter_pipelines.errors import (
    ConfigurationError,
    ExporterError,
    SourceLostError,
    SourceUnavailableError,
)
from exporter_pipelines.sources.sqlite.collations import OwnCollations
from exporter_pipelines.sources.sqlite.copy import SqliteBusyError
from exporter_pipelines.sources.sqlite.kept_copy import KeptCopy

_MAY_PASS = ("SQLITE_BUSY", "SQLITE_IOERR", "SQLITE_LOCKED", "SQLITE_NOMEM", "SQLITE_PROTOCOL")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

Row = tuple[Any, ...]

_CHECK_EVERY = 1_000
"""Virtual machine instructions between two looks at the clock; some call a Python function."""


class SqliteConnection:
    """One connection with one read transaction.

    Everything that is read through it (counts, catalog, rows) comes from one snapshot. Text is
    delivered as bytes, because SQLite also stores text that is not valid UTF-8. Several threads may
    use the connection, but only one at a time. `close()` ends the transaction and removes the
    private copy, if there is one; it may be called twice.

    Args:
        url: `sqlite:///relative.db` or `sqlite:////absolute.db`.
        variable: The environment variable with this URL, for messages.
        ends: `time.monotonic()` after which every statement fails.
        copies: Has a private copy of an earlier snapshot, and may keep this one's; see `release`.

    Attributes:
        how: The file was read directly, `wal`, or as a `copy`.
        file: The path without links.

    Raises:
        SourceUnavailableError: the file does not exist, is not a database, or stays locked.
        ConfigurationError: the URL has another form.
    """

    _raised: BaseException | None = None
    """What an SQL function in Python raised last."""

    def __init__(
        self, url: str, variable: str, ends: float = math.inf, copies: KeptCopy | None = None
    ) -> None:
        self._variable, self._copies = variable, copies or KeptCopy()
        self._is_kept = False
        self._path = path_of(url, variable)
        self.file = self._path.resolve()
        try:
            self._connection, self.how = self._copies.open(self._path, ends)
        except SqliteBusyError:
            raise self._busy() from None
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from None
        self._ends = ends
        self._stop_after(ends)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        try:
            self._connection.execute("BEGIN")
            # The first read takes the snapshot, not BEGIN.
            self.pages = int(self._connection.execute("PRAGMA page_count").fetchone()[0])
            self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            encoding = self._connection.execute("PRAGMA encoding").fetchone()[0]
            self.encoding = encoding.decode().lower()
            self._collations = OwnCollations(self._connection)
        except sqlite3.Error as error:
            raise self._unavailable(error) from None

    @property
    def binary(self) -> str:
        """See `OwnCollations.binary`."""
        return self._collations.binary

    @property
    def version(self) -> str:
        """Version of the SQLite library in this process."""
        return sqlite3.sqlite_version

    def define(self, name: str, function: Callable[..., Any], arguments: int) -> None:
        """Define an SQL function in Python; it must not raise."""

        def noted(*values: Any) -> Any:
            try:
                return function(*values)
            except BaseException as error:  # raised again; SQLite replaces it by its own error
                self._raised = error
                raise

        self._connection.create_function(name, arguments, noted, deterministic=True)

    def columns(self, statement: str) -> list[str]:
        """Column names of a query, without running it.

        Raises:
            SqliteStatementError: SQLite refuses the query.
        """
        try:
            cursor = self._connection.execute(f"{statement} LIMIT 0")
            return [column[0] for column in cursor.description]
        except sqlite3.Error as error:
            # The driver, not SQLite, reports a placeholder without a value.
            if isinstance(error, sqlite3.ProgrammingError) or error_name(error) == "SQLITE_ERROR":
                raise SqliteStatementError(str(error)) from None
            raise self._lost(error) from None

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query with few rows; text is decoded."""
        return [
            tuple(v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in row)
            for row in self.stream(statement, parameters)
        ]

    def uses_index(self, statement: str, parameters: Sequence[Any] = ()) -> bool:
        """Whether SQLite runs a query without reading a whole table."""
        plan = self.rows(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return not any(step.startswith("SCAN") for *_, step in plan)

    def stream(self, statement: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """The rows of a query one by one, text as bytes.

        Raises:
            SourceLostError: SQLite stopped with an error.
            ConfigurationError: the query needs a collation of the application.
        """
        try:
            yield from self._connection.execute(statement, parameters)
        except sqlite3.Error as error:
            raise self._lost(error) from None
        self._collations.refuse_used()

    @contextmanager
    def time_limit(self, timeout_s: float) -> Iterator[None]:
        """Let every statement in the block fail with `SqliteTimeoutError` after this time."""
        ends = min(self._ends, time.monotonic() + timeout_s)
        self._stop_after(ends)
        try:
            yield
        except ExporterError:
            if time.monotonic() > ends:
                raise SqliteTimeoutError from None
            raise
        finally:
            self._stop_after(self._ends)

    def _stop_after(self, ends: float) -> None:
        """Let every statement fail that still runs at `ends`, of `time.monotonic()`."""
        handler = None if ends == math.inf else lambda: time.monotonic() > ends
        self._connection.set_progress_handler(handler, _CHECK_EVERY)

    def list_values(self, table: str, values: Iterable[object]) -> None:
        """Create a temporary table with one column, `value`, of values as they are."""
        try:
            self._connection.execute(f"CREATE TEMP TABLE {table} (value)")
            self._connection.executemany(
                f"INSERT INTO {table} VALUES (?)",  # noqa: S608 - a constant
                ((value,) for value in values),
            )
        except sqlite3.Error as error:
            raise self._lost(error) from None

    def interrupt(self) -> None:
        """Make a running statement fail immediately. May be called from any thread."""
        self._connection.interrupt()

    def release(self) -> None:
        """Like `close`, but a private copy may be kept for the next snapshot.

        Only if all statements have ended without an error.
        """
        self._is_kept = self._copies.keep(self._connection)
        self.close()

    def close(self) -> None:
        """End the transaction and remove the private copy, if there is one that is not kept."""
        if not self._is_kept:
            self._connection.close()

    def _busy(self) -> SourceUnavailableError:
        return SourceUnavailableError(
            f"The SQLite database {self._path} is locked or keeps changing, so no snapshot "
            "could be taken.",
            "Try again later, or let the application use `PRAGMA journal_mode=WAL`, which "
            "lets readers and writers work at the same time.",
        )

    def _unavailable(self, error: Exception) -> ExporterError:
        if isinstance(error, OSError):
            text = (error.strerror or type(error).__name__).lower()
            hint = f"Correct the path in {self._variable}; a relative path starts at {Path.cwd()}."
        else:
            text = message_without_values(error)
            name = error_name(error)
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                return self._busy()
            if name.startswith("SQLITE_READONLY"):
                text = "its application did not end a transaction, which must be rolled back first"
            hint = (
                f"Check that {self._variable} names a file of SQLite 3 that this user may read; "
                "if its application crashed, start it once to recover the file."
            )
        return SourceUnavailableError(
            f"Cannot read the SQLite database {self._path}: {text}.", hint
        )

    def _lost(self, error: sqlite3.Error) -> SourceLostError:
        """What to raise for an error; raises an interruption (Ctrl-C) that SQLite replaced."""
        interruption, self._raised = self._raised, None
        if interruption is not None and not isinstance(interruption, Exception):
            raise interruption
        name = error_name(error)
        if name in ("SQLITE_FULL", "SQLITE_IOERR_WRITE"):
            hint = "Free disk space for temporary files (TMPDIR); sorting a day needs it."
        elif name.startswith(_MAY_PASS):
            hint = "Nothing of this day was published. Run it again when the file is readable."
        elif name.startswith(_DAMAGED):
            hint = "Check the file with PRAGMA integrity_check, and restore it from a backup."
        else:
            hint = (
                "Nothing of this day was published. Correct what the message names: the table, a "
                "view, the query or a rule. Until then, each export fails in the same way."
            )
        return SourceLostError(
            f"SQLite stopped reading {self._path}: {message_without_values(error)} ({name}).",
            hint,
        )


def error_name(error: Exception) -> str:
    """SQLite's name of an error, or the class name of an error of the driver."""
    return str(getattr(error, "sqlite_errorname", type(error).__name__))


class SqliteTimeoutError(Exception):
    """A statement took longer than `SqliteConnection.time_limit` allows."""


class SqliteStatementError(Exception):
    """SQLite refused a statement. The message quotes only names, no values."""


def path_of(url: str, variable: str) -> Path:
    """The file of a URL.

    Raises:
        ConfigurationError: the URL has another form.
    """
    given = url.removeprefix("sqlite:///")
    if given == url or not given or given == ":memory:":
        raise ConfigurationError(
            f"The URL in {variable} names no SQLite file.",
            "Write sqlite:///relative/path.db or, with four slashes, sqlite:////absolute/path.db.",
        )
    if not given.startswith("~"):  # Path drops the dot of ./~
        return Path(given).absolute()
    try:
        return Path(given).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"The path in {variable} begins with the home folder of a user who is not known.",
            "Write the absolute path, with four slashes: sqlite:////absolute/path.db.",
        ) from None


def message_without_values(error: Exception) -> str:
    """A driver's message up to its first quotation mark, because it may quote a value."""
    return str(error).replace('"', "'").split("'")[0].strip(" :.") or type(error).__name__
