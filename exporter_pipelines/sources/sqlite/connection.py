"""A read-only SQLite session that never blocks the application that writes the file.

Belongs here: opening, the transaction, running statements, and turning driver errors into ours.
Does not belong here: what is asked of a table (`query`), or copying (`copy`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from exporter_pipelines.errors import (
    ConfigurationError,
    ExporterError,
    SourceLostError,
    SourceUnavailableError,
)
from exporter_pipelines.sources.sqlite.copy import SqliteBusyError, open_snapshot

Row = tuple[Any, ...]


class SqliteConnection:
    """One connection with one read transaction.

    Everything that is read through it (counts, catalog, rows) comes from one snapshot. Text arrives
    as bytes: SQLite stores what it is given, UTF-8 or not. The connection may be handed to another
    thread, but used by one at a time. `close()` ends the transaction and removes the private copy,
    if one was made; harmless when called twice.

    Args:
        url: `sqlite:///relative.db` or `sqlite:////absolute.db`.
        variable: The environment variable that holds it, for messages.

    Raises:
        SourceUnavailableError: no such file, no database, or it stays locked.
        ConfigurationError: the URL has another form.
    """

    def __init__(self, url: str, variable: str) -> None:
        self._variable = variable
        self._path = path_of(url, variable)
        try:
            self._connection, self.how = open_snapshot(self._path)
        except SqliteBusyError:
            raise self._busy() from None
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from None
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        try:
            self._connection.execute("BEGIN")
            # The snapshot is taken by the first read, not by BEGIN.
            self.pages = int(self._connection.execute("PRAGMA page_count").fetchone()[0])
            self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            encoding = self._connection.execute("PRAGMA encoding").fetchone()[0]
            self.encoding = encoding.decode().lower()
        except sqlite3.Error as error:
            raise self._unavailable(error) from None

    @property
    def version(self) -> str:
        """Of SQLite, which is part of this process."""
        return sqlite3.sqlite_version

    def define(self, name: str, function: Callable[..., Any], arguments: int) -> None:
        """Let statements call a Python function, which must not raise."""
        self._connection.create_function(name, arguments, function, deterministic=True)

    def columns(self, statement: str) -> list[str]:
        """Column names of a query that is not run.

        Raises:
            SqliteStatementError: the query is refused.
        """
        try:
            cursor = self._connection.execute(f"{statement} LIMIT 0")
            return [column[0] for column in cursor.description]
        except sqlite3.Error as error:
            # A placeholder that nobody fills is the driver's error, not the database's.
            if isinstance(error, sqlite3.ProgrammingError) or error_name(error) == "SQLITE_ERROR":
                raise SqliteStatementError(str(error)) from None
            raise self._lost(error) from None

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a small query; its text is decoded."""
        return [
            tuple(v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in row)
            for row in self.stream(statement, parameters)
        ]

    def stream(self, statement: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """The rows of a query one by one, text as bytes.

        Raises:
            SourceLostError: SQLite could not go on.
        """
        try:
            yield from self._connection.execute(statement, parameters)
        except sqlite3.Error as error:
            raise self._lost(error) from None

    def interrupt(self) -> None:
        """Make the statement that runs, if any, fail at once; from any thread."""
        self._connection.interrupt()

    def close(self) -> None:
        """End the transaction; a private copy is gone with it."""
        self._connection.close()

    def _busy(self) -> SourceUnavailableError:
        return SourceUnavailableError(
            f"The SQLite database {self._path} is locked or changes all the time; no moment was "
            "found to take a snapshot.",
            "Try again later, or let the application use `PRAGMA journal_mode=WAL`: readers and "
            "writers then do not wait for each other.",
        )

    def _unavailable(self, error: Exception) -> ExporterError:
        if isinstance(error, OSError):
            said = (error.strerror or type(error).__name__).lower()
            hint = f"Correct the path in {self._variable}; a relative one counts from {Path.cwd()}."
        else:
            said = first_words(error)
            name = error_name(error)
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                return self._busy()
            if name.startswith("SQLITE_READONLY"):
                said = "its application did not end a transaction, which must be undone first"
            hint = (
                f"Check that {self._variable} names a file of SQLite 3 that this user may read; "
                "if its application crashed, start it once, so that it completes the file."
            )
        return SourceUnavailableError(
            f"Cannot read the SQLite database {self._path}: {said}.", hint
        )

    def _lost(self, error: sqlite3.Error) -> SourceLostError:
        if error_name(error) in ("SQLITE_FULL", "SQLITE_IOERR_WRITE"):
            hint = "Make room where temporary files lie (TMPDIR); sorting a day needs some."
        else:
            hint = "Nothing of this day was published; run it again when the file is well."
        return SourceLostError(
            f"SQLite stopped reading {self._path}: {first_words(error)} ({error_name(error)}).",
            hint,
        )


def error_name(error: Exception) -> str:
    """SQLite's name of an error; errors of the driver itself have none."""
    return str(getattr(error, "sqlite_errorname", type(error).__name__))


class SqliteStatementError(Exception):
    """SQLite refused a statement; its text quotes names only."""


def path_of(url: str, variable: str) -> Path:
    """The file that a URL names.

    Raises:
        ConfigurationError: it names none.
    """
    given = url.removeprefix("sqlite:///")
    if given == url or not given or given == ":memory:":
        raise ConfigurationError(
            f"The URL in {variable} names no SQLite file.",
            "Write sqlite:///relative/path.db or, with four slashes, sqlite:////absolute/path.db.",
        )
    return Path(given).absolute()


def first_words(error: Exception) -> str:
    """A driver's message up to its first quote, behind which it may show a value."""
    return str(error).replace('"', "'").split("'")[0].strip(" :.") or type(error).__name__
