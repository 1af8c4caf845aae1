"""A read-only PostgreSQL session over ADBC, in which no wait is without end.

Belongs here: connecting, session settings and running statements. Does not belong here: what is
asked of a table (`query`), or how an error reads (`errors`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import adbc_driver_manager
import adbc_driver_postgresql
import psycopg
import pyarrow as pa

# Private, but the public way (adbc_driver_manager.dbapi) imports pandas and polars and takes 1.4 s.
from adbc_driver_manager._reader import AdbcRecordBatchReader
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from exporter_pipelines.sources.postgres.errors import SERVER_TROUBLE, PostgresErrors, malformed
from exporter_pipelines.sources.postgres.watchdog import NoAnswerError, Watchdog

BATCH_BYTES = 4 * 1024 * 1024
"""Size hint of an Arrow batch. Exporting 2M rows under Dagster peaked at 333 MB with 4 MiB and at
388 MB with 8 MiB, in the same wall time; every Pandera call costs the same whatever its rows, so
smaller batches cost 5 % more CPU time."""

CONNECT_TIMEOUT_S = 10

LOCK_TIMEOUT_S = 30
"""How long a statement waits behind a lock; a run can only be ended between statements."""

# What a text projection looks like must not depend on how the server was set up. Local to the
# transaction: a pooler may give the next one to another server process. One statement, since each
# takes half a millisecond and a small day 20.
#
# client_encoding: a server without an encoding cannot convert, and would refuse the whole batch for
# one bad byte. Take the bytes as they are; each row is checked on arrival.
#
# client_connection_check_interval: else a server goes on sorting for whoever was cancelled. From
# PostgreSQL 14 on, not on Windows.
_SETTINGS = """
SELECT name, set_config(name, setting, true) AS setting FROM (VALUES
    ('TimeZone', 'UTC'),
    ('DateStyle', 'ISO, YMD'),
    ('IntervalStyle', 'iso_8601'),
    ('bytea_output', 'hex'),
    ('extra_float_digits', '1'),
    ('lock_timeout', '{lock_timeout_ms}'),
    ('client_encoding', CASE current_setting('server_encoding')
        WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END),
    ('client_connection_check_interval', '10s')
) AS settings(name, setting)
WHERE name <> 'client_connection_check_interval'
    OR current_setting('server_version_num')::int >= 140000 AND version() !~ 'Visual C|mingw'
"""

_DRIVER_ERRORS = (adbc_driver_manager.Error, OSError, pa.ArrowException)

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """How long to wait for the server, in seconds, by the names of `SourceConfig`.

    Attributes:
        stall_timeout_s: For anything that a server in health does at once.
        answer_timeout_s: For what it may have to read and sort a whole day for.
    """

    stall_timeout_s: float
    answer_timeout_s: float


class PostgresConnection:
    """One connection with one REPEATABLE READ, READ ONLY transaction at a time.

    Everything that is read in it (counts, catalog, rows) comes from one snapshot. A second
    statement while a stream is open would end the stream, so read a stream to its end first.
    `close()` rolls back and closes; harmless when called twice.

    Args:
        url: As libpq takes it.
        variable: The environment variable that holds it, for messages.
        limits: Of each wait for the server. For reaching it libpq has its own `connect_timeout`
            in the URL, per host.

    Raises:
        SourceUnavailableError: the server cannot be reached, or refuses the connection.
        ConfigurationError: the URL is malformed; its text is not shown.
    """

    def __init__(self, url: str, variable: str, limits: Limits) -> None:
        self._variable, self.limits = variable, limits
        self._watchdog = Watchdog()
        parameters = self._parameters(url)
        self._watchdog.tcp_user_timeout_ms = int(parameters["tcp_user_timeout"] or 0)
        self._errors = PostgresErrors(parameters, variable)
        self._connection: Any = None
        limit_s = limits.stall_timeout_s
        # Shorter than the wait for an answer, so that a lock is not taken for a stall.
        self.lock_timeout_s = min(LOCK_TIMEOUT_S, 0.8 * limit_s)
        try:
            self._database, self._connection = self._watchdog.connect(
                lambda: self._open(make_conninfo("", **parameters)), limit_s
            )
        except NoAnswerError:
            raise self._errors.silent_at_connecting(limit_s) from None
        except _DRIVER_ERRORS as error:
            raise self._errors.unavailable(error) from None
        try:
            self.begin()
        except BaseException:  # whatever it is: nobody else could close it
            self.close()
            raise

    def begin(self) -> None:
        """Begin the transaction; after a ROLLBACK, begin another with a new snapshot."""
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        lock_timeout_ms = max(1, round(1000 * self.lock_timeout_s))
        rows = self.rows(_SETTINGS.format(lock_timeout_ms=lock_timeout_ms))
        settings = {row["name"]: row["setting"] for row in rows}
        self.is_sql_ascii = settings["client_encoding"] == "SQL_ASCII"

    def execute(self, statement: str) -> None:
        """Run a statement that returns nothing of interest."""
        self.rows(statement)

    def rows(self, statement: str, *, is_slow: bool = False) -> list[dict[str, Any]]:
        """Run a query and return its rows.

        Args:
            statement: In one string.
            is_slow: Whether the server may have to read the whole day to answer.

        Raises:
            PostgresStatementError: the server refused it.
            SourceLostError: the server stopped, or did not answer in time.
        """
        setting = "answer_timeout_s" if is_slow else "stall_timeout_s"
        rows: list[dict[str, Any]] = pa.Table.from_batches(
            *self._read(statement, setting)
        ).to_pylist()
        return rows

    def types(self, statement: str) -> dict[str, str]:
        """Column name -> PostgreSQL type name (`timestamptz`, `_text`, ...) of a query."""
        schema = self._read(f"{statement} LIMIT 0", "stall_timeout_s")[1]
        return {field.name: _type_name(field) for field in schema}

    def stream(self, query: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query through COPY, without ever holding them all.

        Before the first batch the server may sort, for up to `answer_timeout_s`; each further one
        is due within `stall_timeout_s`. A stream that is not read to its end cuts the connection.

        Raises:
            SourceLostError: the server stopped, refused to go on, or said nothing for too long.
        """
        with self._statement(query) as statement:
            statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
            try:
                yield from self._batches(statement)
            except _DRIVER_ERRORS as error:
                self._watchdog.hang_up()
                raise self._errors.lost(error) from None
            except BaseException:
                # Before anything is closed, which might wait for the server.
                self._watchdog.hang_up()
                raise

    def _batches(self, statement: adbc_driver_manager.AdbcStatement) -> Iterator[pa.RecordBatch]:
        setting = "answer_timeout_s"
        batches = iter(self._asked(lambda: _reader(statement), setting))
        while (batch := self._asked(lambda: next(batches, None), setting)) is not None:
            yield batch
            setting = "stall_timeout_s"

    def stop(self) -> None:
        """Make whoever waits for the server fail at once; from any thread.

        Nothing but `close()` may follow.
        """
        self._watchdog.hang_up()

    def close(self) -> None:
        """Roll back and close; the server's own clean-up follows if it is already gone."""
        connection, self._connection = self._connection, None
        if self._watchdog.is_waiting:
            # A thread still uses it and closes it with its last reference.
            self._watchdog.hang_up()
        elif connection is not None:
            connection.close()
            self._database.close()
        self._watchdog.close()

    def _open(self, uri: str) -> tuple[Any, Any]:
        database = adbc_driver_manager.AdbcDatabase(
            driver=adbc_driver_postgresql._driver_path(), uri=uri
        )
        return database, adbc_driver_manager.AdbcConnection(database)

    def _asked(self, ask: Callable[[], T], setting: str) -> T:
        limit_s = getattr(self.limits, setting)
        try:
            return self._watchdog.call(ask, limit_s)
        except NoAnswerError:
            raise self._errors.stalled(limit_s, setting) from None

    @contextmanager
    def _statement(self, text: str) -> Iterator[adbc_driver_manager.AdbcStatement]:
        statement = adbc_driver_manager.AdbcStatement(self._connection)
        try:
            statement.set_sql_query(text)
            yield statement
        finally:
            # Else a thread that could not be ended still uses it.
            if not self._watchdog.is_waiting:
                statement.close()

    def _read(self, text: str, setting: str) -> tuple[list[pa.RecordBatch], pa.Schema]:
        with self._statement(text) as statement:
            try:
                reader = self._asked(lambda: _reader(statement), setting)
            except _DRIVER_ERRORS as error:
                sqlstate = getattr(error, "sqlstate", None)
                if sqlstate and sqlstate[:2] not in SERVER_TROUBLE:
                    raise self._errors.refused(error, sqlstate) from None
                raise self._errors.lost(error) from None
            try:
                return self._asked(lambda: list(reader), setting), reader.schema
            except _DRIVER_ERRORS as error:
                raise self._errors.lost(error) from None

    def _parameters(self, url: str) -> dict[str, Any]:
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            raise malformed(self._variable) from None
        # libpq takes what follows an @ or / of a password for a host, port or database, and shows
        # it.
        misread = url.count("@") > 1 or ("@" in url and not given.get("user"))
        numbers = [str(given.get(name) or "") for name in ("port", "tcp_user_timeout")]
        if misread or not all(re.fullmatch("[0-9,]*", number) for number in numbers):
            raise malformed(self._variable)
        defaults = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "exporter_pipelines",
            # A server that vanished without a word is noticed within a minute.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": self._watchdog.tcp_user_timeout_ms,
        }
        return {**defaults, **given}


def _reader(statement: Any) -> AdbcRecordBatchReader:
    """The rows of a statement; waits for the server."""
    handle, _ = statement.execute_query()
    return AdbcRecordBatchReader._import_from_c(handle.address)


def _type_name(field: pa.Field) -> str:
    metadata = field.metadata or {}
    name = metadata.get(b"ADBC:postgresql:typname") or metadata.get(b"POSTGRESQL:type") or b""
    return bytes(name).decode()
