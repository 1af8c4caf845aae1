"""A read-only PostgreSQL session over ADBC, with errors that are safe to show.

Belongs here: connecting, session settings, running statements, and turning driver errors into
ours. Does not belong here: what is asked of a table (`postgres_query`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql
import psycopg
import pyarrow as pa
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from exporter_pipelines.errors import (
    ConfigurationError,
    ExporterError,
    SourceLostError,
    SourceUnavailableError,
)

BATCH_BYTES = 4 * 1024 * 1024
"""Size hint of an Arrow batch. Exporting 2M rows under Dagster peaked at 333 MB with 4 MiB and at
388 MB with 8 MiB, in the same wall time; every Pandera call costs the same whatever its rows, so
smaller batches cost 5 % more CPU time."""

CONNECT_TIMEOUT_S = 10

LOCK_TIMEOUT_S = 30
"""How long a statement waits behind a lock; a run can only be ended between statements."""

# Classes of SQLSTATE that tell of the server or the connection, not of the statement.
_SERVER_TROUBLE = {"08", "53", "57", "58", "XX"}

# What a text projection looks like must not depend on how the server was set up. Local to the
# transaction: a pooler may give the next one to another server process.
_SETTINGS = (
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'iso_8601'",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL extra_float_digits = 1",
)


class PostgresConnection:
    """One connection with one REPEATABLE READ, READ ONLY transaction at a time.

    Everything that is read in it (counts, catalog, rows) comes from one snapshot. A second
    statement while a stream is open would end the stream, so read a stream to its end first.
    `close()` rolls back and closes; harmless when called twice.

    Raises:
        SourceUnavailableError: the server cannot be reached, or refuses the connection.
        ConfigurationError: the URL is malformed; its text is not shown.
    """

    def __init__(self, url: str, variable: str) -> None:
        self._variable = variable
        parameters = self._parameters(url)
        self._password = str(parameters.get("password") or "")
        self._target = _describe(parameters)
        try:
            self._database = adbc_driver_manager.AdbcDatabase(
                driver=adbc_driver_postgresql._driver_path(), uri=make_conninfo("", **parameters)
            )
            self._connection = adbc_driver_manager.AdbcConnection(self._database)
        except (adbc_driver_manager.Error, OSError) as error:
            raise self._unavailable(error) from None
        try:
            self.begin()
        except BaseException:
            self.close()
            raise

    def begin(self) -> None:
        """Begin the transaction; after a ROLLBACK, begin another with a new snapshot."""
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for statement in (*_SETTINGS, f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"):
            self.execute(statement)
        encoding = self.rows("SELECT current_setting('server_encoding') AS name")[0]["name"]
        # A server without an encoding cannot convert: it would refuse the whole batch for one
        # bad byte. Take the bytes as they are; each row is checked on arrival.
        self.is_sql_ascii = encoding == "SQL_ASCII"
        wanted = "SQL_ASCII" if self.is_sql_ascii else "UTF8"
        self.execute(f"SET LOCAL client_encoding = '{wanted}'")

    def execute(self, statement: str) -> None:
        """Run a statement that returns nothing of interest."""
        self.rows(statement)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Run a small query and return its rows."""
        rows: list[dict[str, Any]] = pa.Table.from_batches(*self._read(statement)).to_pylist()
        return rows

    def types(self, statement: str) -> dict[str, str]:
        """Column name -> PostgreSQL type name (`timestamptz`, `_text`, ...) of a query."""
        schema = self._read(f"{statement} LIMIT 0")[1]
        return {field.name: _type_name(field) for field in schema}

    def stream(self, query: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query through COPY, without ever holding them all.

        Raises:
            SourceLostError: the server stopped, or refused to go on.
        """
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
            statement.set_sql_query(query)
            try:
                handle, _ = statement.execute_query()
                # Private in pyarrow, but the public way (adbc_driver_manager.dbapi) imports
                # pandas and polars and takes 1.4 s.
                reader = pa.RecordBatchReader._import_from_c(handle.address)
                yield from reader
            except (adbc_driver_manager.Error, OSError, pa.ArrowException) as error:
                raise self._lost(error) from None

    def close(self) -> None:
        """Roll back and close; the server's own clean-up follows if it is already gone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self._database.close()

    def _read(self, statement: str) -> tuple[list[pa.RecordBatch], pa.Schema]:
        with adbc_driver_manager.AdbcStatement(self._connection) as prepared:
            prepared.set_sql_query(statement)
            try:
                handle, _ = prepared.execute_query()
                reader = pa.RecordBatchReader._import_from_c(handle.address)
                return list(reader), reader.schema
            except adbc_driver_manager.Error as error:
                if error.sqlstate and error.sqlstate[:2] not in _SERVER_TROUBLE:
                    raise self._refused(error, error.sqlstate) from None
                raise self._lost(error) from None
            except (OSError, pa.ArrowException) as error:
                raise self._lost(error) from None

    def _parameters(self, url: str) -> dict[str, Any]:
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            raise self._malformed() from None
        # libpq takes what follows an @ or / of a password for a host, port or database, and shows
        # it.
        misread = url.count("@") > 1 or ("@" in url and not given.get("user"))
        if misread or not re.fullmatch("[0-9,]*", str(given.get("port") or "")):
            raise self._malformed()
        defaults = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "exporter_pipelines",
            # A server that vanished without a word is noticed within a minute.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        }
        return {**defaults, **given}

    def _unavailable(self, error: Exception) -> ExporterError:
        said = self._safe(error)
        if "password authentication failed" in said or "no password supplied" in said:
            hint = f"Correct the user or password in {self._variable}."
        elif "does not exist" in said:
            hint = f"Correct the database or user name in {self._variable}."
        else:
            hint = f"Check that the server runs and that {self._variable} names it."
        return SourceUnavailableError(f"Cannot connect to PostgreSQL {self._target}: {said}.", hint)

    def _malformed(self) -> ConfigurationError:
        return ConfigurationError(
            f"The URL in {self._variable} is malformed.",
            "Write postgresql://user:password@host:5432/database and percent-encode special "
            "characters of the password (@ is %40, / is %2F). It is not shown since it may hold a "
            "secret.",
        )

    def _lost(self, error: Exception) -> SourceLostError:
        said = _without_cells(self._safe(error))
        if "ERROR:" in str(error):
            return SourceLostError(
                f"PostgreSQL {self._target} refused to go on: {said}.",
                "Nothing of this day was published; run the SELECT of the day's table in psql to "
                "see why, then run the day again.",
            )
        return SourceLostError(
            f"PostgreSQL {self._target} stopped in the middle: {said}.",
            "Nothing of this day was published; run it again when the server is well.",
        )

    def _refused(self, error: Exception, sqlstate: str) -> PostgresStatementError:
        said = self._safe(error)
        # Only messages on syntax and access quote nothing but names.
        if sqlstate[:2] not in {"3F", "42"}:
            said = _without_cells(said)
        return PostgresStatementError(
            sqlstate, f"PostgreSQL {self._target} refused a statement ({sqlstate}): {said}."
        )

    def _safe(self, error: Exception) -> str:
        """The first line of a driver's message, without its prefix and without the password."""
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        line = re.sub(r"^.*?(FATAL:|ERROR:)\s*", "", line)
        line = re.sub(r"^[A-Z_]+: \[libpq\] (Failed to connect: )?", "", line)
        if self._password:
            line = line.replace(self._password, "***")
        return line.rstrip(". ")


class PostgresStatementError(ExporterError):
    """The server refused a statement; the caller knows what it means for the dataset.

    Attributes:
        sqlstate: PostgreSQL's five-character error code.
    """

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(
            message, "Run SELECT * FROM the dataset's table in psql as the same user to see why."
        )
        self.sqlstate = sqlstate


def _without_cells(message: str) -> str:
    """A message up to its first quote, in whatever language the server speaks.

    A failed cast quotes the cell, which may itself hold quotes and line breaks; row content must
    not reach a log.
    """
    head = re.split('["«»„“”「『]', message, maxsplit=1)[0]
    return message if head == message else f"{head}(value not shown)"


def _type_name(field: pa.Field) -> str:
    metadata = field.metadata or {}
    name = metadata.get(b"ADBC:postgresql:typname") or metadata.get(b"POSTGRESQL:type") or b""
    return bytes(name).decode()


def _describe(parameters: dict[str, Any]) -> str:
    host = parameters.get("host") or parameters.get("hostaddr") or "the local socket"
    port = parameters.get("port") or 5432
    database = parameters.get("dbname") or parameters.get("user") or "?"
    return f"at {host}:{port}, database {database}, user {parameters.get('user') or '?'}"
