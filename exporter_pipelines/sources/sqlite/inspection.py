"""The tables and columns of a SQLite file. Each query is a short read, so writers do not wait.

Belongs here: queries on the catalog and cheap queries on tables, each with a timeout.
Does not belong here: what a result means for a dataset (`doctor`).
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from exporter_pipelines.contracts.column_settings import SourceType
from exporter_pipelines.contracts.inspection import Concern, DaySpan, Relation, TimeForms
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.contracts.source_config import SourceConfig, TimeEncoding
from exporter_pipelines.contracts.table_profile import (
    RowCount,
    TableProfile,
    TimeCandidate,
    ValueSet,
)
from exporter_pipelines.errors import (
    ConfigurationError,
    ExporterError,
    NotAnsweredError,
    SourceUnavailableError,
)
from exporter_pipelines.sources.likely_encoding import likely_encoding
from exporter_pipelines.sources.sqlite.catalog import SqliteCatalog
from exporter_pipelines.sources.sqlite.collations import OwnCollations
from exporter_pipelines.sources.sqlite.connection import error_name, message_without_values, path_of
from exporter_pipelines.sources.sqlite.copy import SqliteBusyError, open_snapshot
from exporter_pipelines.sources.sqlite.file import has_log_alone, read_only_uri, uses_wal, wal_of
from exporter_pipelines.sources.sqlite.profile import SqliteProfiles
from exporter_pipelines.sources.sqlite.query import quoted, table_name, written_name
from exporter_pipelines.sources.sqlite.types import (
    declared,
    is_usual,
    needed_for,
    shown_type,
    stored,
    type_of,
)
from exporter_pipelines.sources.sqlite.values import SqliteValues
from exporter_pipelines.sources.time_encodings import NotAnInstantError
from exporter_pipelines.sources.time_spellings import FORM_ROWS, form_of

TIMEOUT_S = 1.0
"""Timeout of one query. While it runs, an application that does not use WAL cannot commit."""

_CHECK_EVERY = 10_000  # steps of SQLite's virtual machine, some tenths of a millisecond
_TABLES = "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND "
# Without SQLite's own tables.
_USER_TABLES = "name NOT LIKE 'sqlite@_%' ESCAPE '@'"
_LIMIT = " ORDER BY name LIMIT 200"
_UNFINISHED = "If the application crashed, start it once to recover the file."
_SAMPLE_ROWS = 100
_MAX_COUNTED = 1000
# Unreadable times may sort before the first and after the last readable one.
_MAX_TRIED = 20
# Dates start with a digit. Numbers sort before all text, and blobs after it.
_TIME_RANGES = ("{0} < ''", "{0} >= '0' AND {0} < ':'", "{0} >= x'30' AND {0} < x'3a'")


class SqliteInspection:
    """A `contracts.inspection.Inspection` over one SQLite file.

    Raises:
        SourceUnavailableError: the file does not exist or is not a database.
        ConfigurationError: the URL has another form.
    """

    def __init__(self, url: str, variable: str) -> None:
        self._path = path_of(url, variable)
        self._variable = variable
        self._handles: dict[str, str] = {}
        if not self._path.is_file():
            raise SourceUnavailableError(
                f"There is no SQLite file {self._path}.",
                f"Correct the path in {variable}; a relative path starts at {Path.cwd()}.",
            )
        try:
            self._connection = self._opened()
        except SqliteBusyError:
            raise SourceUnavailableError(
                f"The SQLite database {self._path} is locked or keeps changing.", "Try again later."
            ) from None
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from None
        # SQLite stores any bytes as text. One such value must not end the examination.
        self._connection.text_factory = lambda stored: stored.decode("utf-8", "replace")
        self._collations: OwnCollations | None = None

    def __enter__(self) -> SqliteInspection:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.close()

    def described(self) -> str:
        """See `contracts.inspection.Inspection.described`."""
        self._rows("SELECT count(*) FROM sqlite_schema")
        size_mb = self._path.stat().st_size / 1e6
        return f"SQLite {sqlite3.sqlite_version}, {self._path}, {size_mb:.1f} MB, opened read-only"

    def _opened(self) -> sqlite3.Connection:
        """A connection that creates no file.

        A file in WAL mode that no process has open cannot be read as usual: that would create
        files, which belong to this user and might lock out the application.
        """
        if has_log_alone(self._path):
            return open_snapshot(self._path)[0]
        try:
            is_idle = uses_wal(self._path) and not wal_of(self._path).exists()
        except (OSError, sqlite3.Error):  # SQLite reports it when it opens the file
            is_idle = False
        uri = read_only_uri(self._path, immutable=is_idle)
        return sqlite3.connect(uri, uri=True, timeout=TIMEOUT_S)

    def find(self, source: SourceConfig) -> Relation | None:
        """See `contracts.inspection.Inspection.find`."""
        if source.query is not None:
            query = f"({source.query.strip().rstrip(';')}\n)"
            types = dict.fromkeys(self._names(query), "")
            return self._relation(source.origin, query, types, is_view=True, key=None)
        # SQLite ignores the case of table names.
        return next(iter(self._relations("lower(name) = lower(?)", table_name(source))), None)

    def relations(self, schema: str | None = None) -> list[Relation]:
        """See `contracts.inspection.Inspection.relations`."""
        if schema not in (None, "main"):
            return []
        return self._relations(_USER_TABLES, keep_broken=True)

    def misfit(self, column: Column, type_name: str, source: SourceConfig) -> str | None:
        """See `contracts.inspection.Inspection.misfit`."""
        return needed_for(column, type_name, source)

    def resembles(self, column: Column, type_name: str) -> bool:
        """See `contracts.inspection.Inspection.resembles`."""
        return is_usual(column, type_name)

    def is_naive(self, type_name: str) -> bool:
        """See `contracts.inspection.Inspection.is_naive`."""
        return stored(type_name) in {"text", "blob"}

    def utc_offsets(self, timezone: str, instants: Sequence[dt.datetime]) -> None:  # noqa: ARG002
        """See `contracts.inspection.Inspection.utc_offsets`. This process converts the times."""
        return

    def guessed_encoding(self, relation: Relation, column: str) -> TimeEncoding | None:
        """See `contracts.inspection.Inspection.guessed_encoding`."""
        name, table = quoted(column), self._handles[relation.native]
        found = self._rows(
            f"SELECT {name} FROM {table} "  # noqa: S608 - quoted, as below
            f"WHERE {name}{self._binary} > 0 AND typeof({name}) IN ('integer', 'real') LIMIT 1"
        )
        return likely_encoding(float(found[0][0])) if found else None

    def missing_index(self, relation: Relation, column: str) -> str | None:
        """See `contracts.inspection.Inspection.missing_index`."""
        table = relation.native
        if SqliteCatalog(self._rows, table).begins_an_index(column):
            return None
        name = quoted(f"{table}_{column}")
        return f"CREATE INDEX {name} ON {quoted(table)} ({quoted(column)});"

    def key_repeats(self, relation: Relation, column: str) -> bool | None:
        """See `contracts.inspection.Inspection.key_repeats`."""
        if SqliteCatalog(self._rows, relation.native).is_unique(column):
            return None
        table, name = self._handles[relation.native], quoted(column)
        return bool(
            self._rows(
                f"SELECT 1 FROM {table} "  # noqa: S608
                f"GROUP BY {name}{self._binary} HAVING count(*) > 1 LIMIT 1"
            )
        )

    def dayless_rows(self, relation: Relation, column: str, source: SourceConfig) -> int:
        """See `contracts.inspection.Inspection.dayless_rows`."""
        read = _reader(source)
        self._connection.create_function("is_time", 1, lambda value: read(value) is not None)
        table, name = self._handles[relation.native], quoted(column)
        try:
            found = self._rows(
                "SELECT count(*) FROM (SELECT 1 "  # noqa: S608
                f"FROM {table} WHERE NOT is_time({name}) LIMIT {_MAX_COUNTED})"
            )
        except NotAnsweredError as error:
            raise NotAnsweredError(error.limit_s, NotAnsweredError.CONVERTS_TIMES) from None
        return int(found[0][0])

    def time_forms(self, relation: Relation, column: str, source: SourceConfig) -> TimeForms:
        """See `contracts.inspection.Inspection.time_forms`."""
        read = _reader(source)
        table, name = self._handles[relation.native], quoted(column)
        rows = self._rows(f"SELECT {name} FROM {table} LIMIT {FORM_ROWS}")  # noqa: S608
        unusable = Counter(form_of(value) for (value,) in rows if read(value) is None)
        return TimeForms(len(rows), dict(unusable))

    def span(
        self, relation: Relation, column: str, source: SourceConfig, timezone: str
    ) -> DaySpan | None:
        """See `contracts.inspection.Inspection.span`.

        A column may contain numbers, text and blobs of text, so the first and the last of each are
        read.
        """
        read = _reader(source)
        ends = [
            next((us for us in map(read, self._ends(relation, column, among, order)) if us), None)
            for among in _TIME_RANGES
            for order in ("ASC", "DESC")
        ]
        found = [us for us in ends if us is not None]
        if not found:
            return None
        first, last = (_moment(us, timezone) for us in (min(found), max(found)))
        return DaySpan(str(first.date()), str(last.date()), last > dt.datetime.now(dt.UTC))

    def concerns(self, relation: Relation) -> Iterator[Concern]:  # noqa: ARG002
        """See `contracts.inspection.Inspection.concerns`; a file opened read-only has none."""
        return iter(())

    def row_count(self, relation: Relation) -> RowCount | None:
        """See `contracts.inspection.Inspection.row_count`."""
        return self._profiles(relation).row_count()

    def unique_keys(self, relation: Relation) -> list[tuple[str, ...]]:
        """See `contracts.inspection.Inspection.unique_keys`."""
        return self._profiles(relation).unique_keys()

    def keys_without_null(self, relation: Relation) -> list[str]:
        """See `contracts.inspection.Inspection.keys_without_null`."""
        return self._profiles(relation).keys_without_null()

    def time_candidates(self, relation: Relation) -> list[TimeCandidate]:
        """See `contracts.inspection.Inspection.time_candidates`."""
        return self._profiles(relation).time_candidates()

    def profile(self, relation: Relation) -> TableProfile:
        """See `contracts.inspection.Inspection.profile`."""
        return self._profiles(relation).profile()

    def small_values(self, relation: Relation, column: str) -> ValueSet | None:
        """See `contracts.inspection.Inspection.small_values`."""
        return self._profiles(relation).small_values(column)

    def sampled_texts(
        self, relation: Relation, columns: Sequence[str]
    ) -> dict[str, list[str | None]]:
        """See `contracts.inspection.Inspection.sampled_texts`."""
        return self._profiles(relation).sampled_texts(columns)

    def extra_types(
        self,
        relation: Relation,
        timezone: str | None,  # noqa: ARG002 - times are text here
    ) -> dict[str, SourceType]:
        """See `contracts.inspection.Inspection.extra_types`."""
        return {name: type_of(declared(found)) for name, found in relation.types.items()}

    def query_of(self, relation: Relation, key: tuple[str, ...], name: str) -> str:
        """See `contracts.inspection.Inspection.query_of`."""
        return self._profiles(relation).query_of(key, name)

    def _profiles(self, relation: Relation) -> SqliteProfiles:
        return SqliteProfiles(self._rows, relation, self._handles[relation.native])

    def _ends(self, relation: Relation, column: str, among: str, order: str) -> list[Any]:
        table, name = self._handles[relation.native], quoted(column) + self._binary
        found = self._rows(
            f"SELECT {quoted(column)} FROM {table} WHERE {among.format(name)} "  # noqa: S608
            f"ORDER BY {name} {order} LIMIT {_MAX_TRIED}"
        )
        return [value for (value,) in found]

    def _relations(
        self, condition: str, *parameters: str, keep_broken: bool = False
    ) -> list[Relation]:
        found = []
        for name, kind in self._rows(_TABLES + condition + _LIMIT, parameters):
            try:
                found.append(self._table(name, is_view=kind == "view"))
            except ExporterError as error:
                if not keep_broken:
                    raise
                found.append(
                    Relation(
                        written_name(name), kind == "view", False, {}, None, name,
                        problem=error.message,
                    )
                )  # fmt: skip
        return found

    def _table(self, name: str, *, is_view: bool) -> Relation:
        """A table or view.

        Raises:
            ExporterError: it needs what only its application has, or is too slow.
        """
        catalog = SqliteCatalog(self._rows, name)
        self._rows(f"SELECT 1 FROM {quoted(name)} LIMIT 0")  # noqa: S608
        types = {column.name: column.declared_type.lower() for column in catalog.columns}
        # Prefer the primary key.
        columns = sorted(catalog.columns, key=lambda column: not column.primary_key)
        key = next((c.name for c in columns if catalog.is_unique(c.name)), None)
        return self._relation(name, quoted(name), types, is_view=is_view, key=key)

    def _relation(
        self, name: str, handle: str, declared: dict[str, str], *, is_view: bool, key: str | None
    ) -> Relation:
        self._handles[name] = handle
        types = {}
        for column, type_ in declared.items():
            try:
                types[column] = shown_type(type_, self._stored_type(handle, column))
            except SourceUnavailableError:
                # It needs a function of the application. Without any column, the table does.
                if len(declared) == 1:
                    raise
        return Relation(written_name(name), is_view, True, types, key, name)

    def _stored_type(self, handle: str, column: str) -> str | None:
        """The most frequent type in the first rows; SQLite stores any type in any column."""
        name = quoted(column)
        found = self._rows(
            f"SELECT typeof({name}) FROM (SELECT {name} FROM {handle} LIMIT {_SAMPLE_ROWS}) "  # noqa: S608
            f"WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
        )
        return str(found[0][0]) if found else None

    def _names(self, query: str) -> list[str]:
        try:
            cursor = self._connection.execute(f"SELECT * FROM {query} LIMIT 0")  # noqa: S608
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"SQLite refuses the query: {message_without_values(error)}.", "Correct `query`."
            ) from None
        return [column[0] for column in cursor.description]

    def _rows(
        self, statement: str, parameters: Sequence[Any] = (), *, timeout_s: float = TIMEOUT_S
    ) -> list[Any]:
        give_up = time.monotonic() + timeout_s
        self._connection.set_progress_handler(lambda: time.monotonic() > give_up, _CHECK_EVERY)
        try:
            if self._collations is None:
                self._collations = OwnCollations(self._connection)
            self._collations.forget_used()
            found = self._connection.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            if error_name(error) == "SQLITE_INTERRUPT":
                raise NotAnsweredError(timeout_s) from None
            raise self._unavailable(error) from None
        self._collations.refuse_used()
        return found

    @property
    def _binary(self) -> str:
        """See `OwnCollations.binary`."""
        return self._collations.binary if self._collations else ""

    def _unavailable(self, error: Exception) -> SourceUnavailableError:
        text = message_without_values(error)
        hint = f"Check that {self._variable} names a file of SQLite 3 that this user may read."
        if error_name(error) == "SQLITE_ERROR":
            hint = "The table or view needs what does not exist, or what only its application has."
        elif error_name(error).startswith("SQLITE_READONLY"):
            text, hint = "its application did not end a transaction", _UNFINISHED
        return SourceUnavailableError(
            f"Cannot read the SQLite database {self._path}: {text}.", hint
        )


def _reader(source: SourceConfig) -> Any:
    """A function that reads a stored time: microseconds since 1970, or None."""
    values = SqliteValues(ZoneInfo(source.timezone or "UTC"), "utf-8", 1)
    encoding = source.encoding(source.time_column)

    def read(value: Any) -> int | None:
        stored = value.encode("utf-8", "replace") if isinstance(value, str) else value
        try:
            return None if stored is None else values.instant(stored, encoding).us
        except NotAnInstantError:
            return None

    return read


def _moment(us: int, timezone: str) -> dt.datetime:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)
    return moment.astimezone(ZoneInfo(timezone))
