"""A read-only PostgreSQL connection over ADBC, in which every wait has a time limit.

Belongs here: connecting, session settings and running statements.
Does not belong here: the statements (`query`) and the error messages (`errors`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import adbc_driver_manager
import pyarrow as pa

# Private. The public way (adbc_driver_manager.dbapi) imports pandas and polars and takes 1.4 s.
from adbc_driver_manager._reader import AdbcRecordBatchReader
from psycopg import sql
from psycopg.conninfo import make_conninfo

from exporter_pipelines.errors import (
    ConfigurationError,
    ExporterError,
    SourceUnavailableError,
)
from exporter_pipelines.sources.postgres.driver import ENTRYPOINT, driver_at
from exporter_pipelines.sources.postgres.errors import SERVER_TROUBLE, PostgresErrors
from exporter_pipelines.sources.postgres.questions import HOMONYMS
from exporter_pipelines.sources.postgres.session_settings import SETTINGS
from exporter_pipelines.sources.postgres.url import parameters_of, row_security_of
from exporter_pipelines.sources.postgres.watchdog import NoAnswerError, Watchdog

BATCH_BYTES = 4 * 1024 * 1024
"""Size hint of an Arrow batch. Exporting 2M rows under Dagster peaked at 333 MB with 4 MiB and at
388 MB with 8 MiB, in the same wall time; every Pandera call costs the same whatever its rows, so
smaller batches cost 5 % more CPU time."""

CONNECT_TIMEOUT_S = 10

LOCK_TIMEOUT_S = 30
"""How long a statement waits for a lock. A run can only be cancelled between statements."""

# Asked first, because a refusal would be an error in the log of the server.
_MAY_IDENTIFY = """
SELECT has_function_privilege(to_regprocedure('pg_control_system()'), 'EXECUTE') AS may
"""
_IDENTIFY = "SELECT system_identifier::text AS server FROM pg_control_system()"

_DRIVER_ERRORS = (adbc_driver_manager.Error, OSError, pa.ArrowException)

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """How long to wait for the server, in seconds. The names are those of `SourceConfig`.

    Attributes:
        stall_timeout_s: For anything that a healthy server does immediately.
        answer_timeout_s: For queries that may read and sort a whole day first.
    """

    stall_timeout_s: float
    answer_timeout_s: float


class PostgresConnection:
    """One connection with one REPEATABLE READ, READ ONLY transaction at a time.

    Everything that is read in a transaction (counts, catalog, rows) comes from one snapshot. A
    second statement would end an open stream, so read a stream to its end first. `close()` rolls
    back and closes; it may be called twice.

    Args:
        url: Connection string for libpq.
        variable: The environment variable with this URL, for messages.
        limits: For each wait; may be replaced between two transactions. Connecting also has libpq's
            `connect_timeout` of the URL, per host.
        row_security: `off` refuses tables whose policies filter rows for this role; `on` reads the
            rows that they leave. A `row_security` in the `options` of the URL takes precedence.
        driver: Path of the ADBC driver; None for that of the Python package.
        snapshot: Name of an exported snapshot to read; None for a new one.

    Attributes:
        driver: The driver in use.
        deadline: `time.monotonic()` after which every wait ends, if the transaction has one.
        is_filtered_on_purpose: Whether the URL sets `row_security` to `on`.
        server: Identifier that the server keeps from `initdb` on; None if the role may not read it.

    Raises:
        SourceUnavailableError: the server cannot be reached, or refuses the connection.
        ConfigurationError: the URL is malformed (its text is not shown), or the driver is refused.
    """

    def __init__(
        self,
        url: str,
        variable: str,
        limits: Limits,
        *,
        row_security: Literal["on", "off"] = "off",
        driver: str | None = None,
        snapshot: str | None = None,
    ) -> None:
        self._variable, self.limits = variable, limits
        self.driver = driver_at(driver)
        self.deadline: float | None = None
        self._watchdog = Watchdog()
        parameters = self._parameters(url)
        self._watchdog.tcp_user_timeout_ms = int(parameters["tcp_user_timeout"] or 0)
        self._errors = PostgresErrors(parameters, variable)
        self._named_host = str(parameters.get("host") or parameters.get("hostaddr") or "")
        chosen = row_security_of(str(parameters.get("options") or ""))
        self.is_filtered_on_purpose = chosen == "on"
        self._row_security = chosen or row_security
        self._database: Any = None
        self._connection: Any = None
        self._homonyms: frozenset[str] | None = None
        self._connect(parameters)
        try:
            if not self._knows_types():
                self._connect_without_quotes(parameters)
            self.server = self._server()
            self.begin(snapshot)
        except BaseException:  # raised again; no one else can close the connection
            self.close()
            raise

    def _connect(self, parameters: Mapping[str, Any]) -> None:
        limit_s = self.limits.stall_timeout_s
        try:
            self._database, self._connection = self._watchdog.connect(
                lambda: self._open(make_conninfo("", **parameters)), limit_s
            )
        except NoAnswerError:
            raise self._errors.no_answer_to_connect(limit_s) from None
        except _DRIVER_ERRORS as error:
            raise self._errors.unavailable(error) from None

    def _knows_types(self) -> bool:
        """Whether the driver understood the list of types that it reads when it connects."""
        return bool(self.rows("SELECT 'text' AS known")[0]["known"] == "text")

    def _connect_without_quotes(self, parameters: Mapping[str, Any]) -> None:
        """Connect again with `quote_all_identifiers` off: with it, the driver knows no type.

        Not done at once, because some poolers accept no `options`.
        """
        self.close()
        options = f"{parameters.get('options') or ''} -c quote_all_identifiers=off"
        try:
            self._connect({**parameters, "options": options.strip()})
            if self._knows_types():
                return
        except SourceUnavailableError:  # the same server answered a moment ago
            pass
        raise ConfigurationError(
            "The driver cannot read the types of this PostgreSQL database, because the setting "
            "quote_all_identifiers is on.",
            "Run ALTER ROLE ... SET quote_all_identifiers = off for the user of the export.",
        )

    @property
    def place(self) -> str:
        """Host and port of the server that answers: the host as the URL names it, if it names one.

        Otherwise a service file, the environment or a list of hosts decided, so the address is
        shown that was connected to.
        """
        named = self._named_host if "," not in self._named_host else ""
        host, port = self._watchdog.peer or ("", "")
        return f"{named or host or 'the local socket'}:{port or '?'}"

    @property
    def lock_timeout_s(self) -> float:
        """Shorter than the time limit, so that waiting for a lock is not reported as a stall."""
        return min(LOCK_TIMEOUT_S, 0.8 * self.limits.stall_timeout_s)

    def begin(self, snapshot: str | None = None) -> None:
        """Begin the transaction; after a ROLLBACK, begin another with a new snapshot."""
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if snapshot is not None:  # must come first: any query would take another snapshot
            statement = sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot))
            self.execute(statement.as_string(None))
        lock_timeout_ms = max(1, round(1000 * self.lock_timeout_s))
        rows = self.rows(
            SETTINGS.format(lock_timeout_ms=lock_timeout_ms, row_security=self._row_security)
        )
        settings = {row["name"]: row["setting"] for row in rows}
        self.is_sql_ascii = settings["client_encoding"] == "SQL_ASCII"

    def execute(self, statement: str) -> None:
        """Run a statement and ignore its result."""
        self.rows(statement)

    def rows(self, statement: str, *, is_slow: bool = False) -> list[dict[str, Any]]:
        """Run a query and return its rows.

        Args:
            statement: A single statement.
            is_slow: Whether the server may read the whole day first; see `Limits`.

        Raises:
            PostgresStatementError: the server reported an error.
            SourceLostError: the server stopped, or did not answer in time.
        """
        setting = "answer_timeout_s" if is_slow else "stall_timeout_s"
        rows: list[dict[str, Any]] = self._table(statement, setting).to_pylist()
        return rows

    def table(self, statement: str) -> pa.Table:
        """Run a query that may take long, and return its rows; raises as `rows` does."""
        return self._table(statement, "answer_timeout_s")

    def types(self, statement: str) -> dict[str, str]:
        """Column name -> PostgreSQL type name (`timestamptz`, `_text`, ...) of a query."""
        schema = self._read(f"{statement} LIMIT 0", "stall_timeout_s")[1]
        return {field.name: _type_name(field) for field in schema}

    def homonyms(self, names: Sequence[str]) -> frozenset[str]:
        """Those of some built-in names that another type of the database has as well.

        They are listed once per connection, as the driver lists the types.
        """
        if self._homonyms is None:
            statement = sql.SQL(HOMONYMS).format(names=sql.Literal(list(names)))
            rows = self.rows(statement.as_string(None))
            self._homonyms = frozenset(row["name"] for row in rows)
        return self._homonyms

    def stream(self, query: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query through COPY, batch by batch.

        The first batch must arrive within `answer_timeout_s`, since the server may sort first; each
        further one within `stall_timeout_s`. Not reading to the end disconnects.

        Raises:
            SourceLostError: the server stopped or reported an error.
            SourceStalledError: it sent nothing within the time limit.
        """
        with self._statement(query) as statement:
            statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
            try:
                yield from self._batches(statement)
            except _DRIVER_ERRORS as error:
                self._watchdog.disconnect()
                raise self._errors.lost(error) from None
            except BaseException:
                # First of all, because closing the statement might wait for the server.
                self._watchdog.disconnect()
                raise

    def _batches(self, statement: adbc_driver_manager.AdbcStatement) -> Iterator[pa.RecordBatch]:
        setting = "answer_timeout_s"
        batches = iter(self._call(lambda: _reader(statement), setting))
        while (batch := self._call(lambda: next(batches, None), setting)) is not None:
            yield batch
            setting = "stall_timeout_s"

    def stop(self) -> None:
        """Make a call that waits for the server fail immediately. May be called from any thread.

        Only `close()` may follow.
        """
        self._watchdog.disconnect()

    def close(self) -> None:
        """Roll back and close. If the connection is lost, the server rolls back by itself."""
        connection, self._connection = self._connection, None
        if self._watchdog.is_waiting:
            # A thread still uses the connection. It is closed with its last reference.
            self._watchdog.disconnect()
        elif connection is not None:
            connection.close()
            self._database.close()
        self._watchdog.close()

    def _open(self, uri: str) -> tuple[Any, Any]:
        database = adbc_driver_manager.AdbcDatabase(
            driver=self.driver.path, entrypoint=ENTRYPOINT, uri=uri
        )
        return database, adbc_driver_manager.AdbcConnection(database)

    def _server(self) -> str | None:
        """See `server`. Asked outside of a transaction, which a refusal would abort."""
        try:
            if self.rows(_MAY_IDENTIFY)[0]["may"]:
                return str(self.rows(_IDENTIFY)[0]["server"])
        except ExporterError:
            # A server that cannot identify itself can be read; a lost one is reported by `begin`.
            pass
        return None

    def _call(self, ask: Callable[[], T], setting: str) -> T:
        limit_s = getattr(self.limits, setting)
        if self.deadline is not None:
            limit_s = max(0.0, min(limit_s, self.deadline - time.monotonic()))
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
            # A thread that could not be ended still uses the statement.
            if not self._watchdog.is_waiting:
                statement.close()

    def _table(self, statement: str, setting: str) -> pa.Table:
        batches, schema = self._read(statement, setting)
        return pa.Table.from_batches(batches, schema)

    def _read(self, text: str, setting: str) -> tuple[list[pa.RecordBatch], pa.Schema]:
        with self._statement(text) as statement:
            try:
                reader = self._call(lambda: _reader(statement), setting)
            except _DRIVER_ERRORS as error:
                sqlstate = getattr(error, "sqlstate", None)
                if sqlstate and sqlstate[:2] not in SERVER_TROUBLE:
                    raise self._errors.refused(error, sqlstate) from None
                raise self._errors.lost(error) from None
            try:
                return self._call(lambda: list(reader), setting), reader.schema
            except _DRIVER_ERRORS as error:
                raise self._errors.lost(error) from None

    def _parameters(self, url: str) -> dict[str, Any]:
        defaults = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "exporter_pipelines",
            # A server that disappeared without closing the connection is noticed in a minute.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": self._watchdog.tcp_user_timeout_ms,
        }
        return {**defaults, **parameters_of(url, self._variable)}


def _reader(statement: Any) -> AdbcRecordBatchReader:
    """Execute a statement and return a reader of its rows. Waits for the server."""
    handle, _ = statement.execute_query()
    return AdbcRecordBatchReader._import_from_c(handle.address)


def _type_name(field: pa.Field) -> str:
    metadata = field.metadata or {}
    name = metadata.get(b"ADBC:postgresql:typname") or metadata.get(b"POSTGRESQL:type") or b""
    return bytes(name).decode()
