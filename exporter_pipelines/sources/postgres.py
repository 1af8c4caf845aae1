"""One day of a PostgreSQL table, read from one snapshot."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

import pyarrow as pa
from psycopg import sql

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.contracts.source import NOTES_COLUMN, SourceInfo
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    ExporterError,
    SourceLostError,
    SourceUnavailableError,
    UnknownTableError,
)
from exporter_pipelines.sources.postgres_connection import (
    LOCK_TIMEOUT_S,
    PostgresConnection,
    PostgresStatementError,
)
from exporter_pipelines.sources.postgres_query import PostgresDayQuery, relation
from exporter_pipelines.sources.postgres_types import Projection, project

# A valid unique index over the key alone, over all rows, on a column that is never null. An index
# of a parent table does not bind the rows of its children, unless they are its partitions.
_UNIQUE_KEY = """
SELECT count(*) AS found
FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = {table}::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
  AND i.indnkeyatts = 1 AND a.attname = {key} AND a.attnotnull
  AND (c.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid))
"""
_TABLES = """
SELECT n.nspname || '.' || c.relname AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 1 LIMIT 40
"""
_INFO = """
SELECT pg_current_snapshot()::text AS snapshot, current_setting('server_version') AS version
"""
# Who holds a table so that not even a SELECT may look at it.
_LOCKED_BY = """
SELECT l.relation::regclass::text AS name, l.pid, a.usename AS role, a.application_name AS program
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'AccessExclusiveLock'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid <> pg_backend_pid()
ORDER BY l.pid LIMIT 5
"""
_SHOWN_BYTES = 500


class PostgresDaySnapshot:
    """A `contracts.source.DaySnapshot` over one PostgreSQL connection.

    The caller closes it. See `sources.open_day` for what it raises.
    """

    def __init__(self, url: str, dataset: Dataset, window: DayWindow) -> None:
        self._dataset = dataset
        self._connection = PostgresConnection(url, dataset.config.source.url)
        try:
            types = self._column_types()
            projections = self._projections(types)
            self.schema = dataset.schema.bound({p.column.name: p.column for p in projections if p})
            self._query = PostgresDayQuery(
                dataset, window, types, projections, self._key_is_unique()
            )
            self._check_sql_rules()
            self.row_count, self.repeated_keys = self._counts()
            info = self._connection.rows(_INFO)[0]
            self.info = SourceInfo(
                "postgresql", dataset.config.source.origin, info["snapshot"], info["version"]
            )
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> PostgresDaySnapshot:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.close()

    def batches(self, max_rows: int) -> Iterator[pa.RecordBatch]:
        """See `contracts.source.DaySnapshot.batches`."""
        for batch in self._connection.stream(self._query.rows()):
            for offset in range(0, batch.num_rows, max_rows):
                yield self._delivered(batch.slice(offset, max_rows))

    def _delivered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch in exactly the promised types, undecodable text taken out and noted."""
        fields = [*self.schema.arrow, pa.field(NOTES_COLUMN, pa.string())]
        columns = {field.name: batch[field.name] for field in fields}
        if self._connection.is_sql_ascii:
            columns = _decoded(columns)
        arrays = [columns[field.name].cast(field.type) for field in fields]
        return pa.RecordBatch.from_arrays(arrays, [field.name for field in fields])

    def _check_sql_rules(self) -> None:
        """Refuse an expression that the database does not understand, by its rule's name."""
        for name, expression in self._dataset.config.sql_rules:
            what = f"The SQL rule {name!r} of {self._dataset.name}"
            try:
                found = self._connection.types(self._query.rule_probe(expression))["verdict"]
            except PostgresStatementError as error:
                self._connection.execute("ROLLBACK")
                raise ConfigurationError(
                    f"{what} is refused: {error.message}",
                    "Write a boolean expression over the table's own columns.",
                ) from None
            if found != "bool":
                raise ConfigurationError(
                    f"{what} gives {found} instead of bool.",
                    "Write a comparison, as in `duration_ms >= 0`.",
                )

    def _counts(self) -> tuple[int, int]:
        try:
            counts = self._connection.rows(self._query.counts())[0]
        except SourceLostError as error:
            zone = self._dataset.config.source.timezone
            if "time zone" in error.message:
                raise ConfigurationError(
                    f"This PostgreSQL server does not know the timezone {zone!r} of "
                    f"{self._dataset.name}.",
                    "Write an older name of the zone, or update the server's time zone data.",
                ) from None
            raise
        return counts["rows"], counts["repeated"]

    def _column_types(self) -> dict[str, str]:
        quoted = relation(self._dataset.config.source).as_string(None)
        try:
            return self._connection.types(f"SELECT * FROM {quoted} AS t")  # noqa: S608 - quoted
        except PostgresStatementError as error:
            self._connection.execute("ROLLBACK")
            raise self._no_table(error) from None

    def _no_table(self, error: PostgresStatementError) -> ExporterError:
        source, name = self._dataset.config.source, self._dataset.name
        if error.sqlstate == "55P03":
            return self._locked()
        if source.query is not None:
            return ConfigurationError(
                f"The query of {name} cannot be run. {error.message}",
                "Correct `query` in its defs.yaml.",
            )
        if error.sqlstate == "42501":
            return UnknownTableError(
                f"The table {source.table!r} of {name} may not be read by this user.",
                f"GRANT SELECT ON {source.table} TO the user, or configure another table.",
            )
        if error.sqlstate in {"42P01", "3F000", "42601", "42602"}:
            tables = [row["name"] for row in self._connection.rows(_TABLES)]
            return UnknownTableError(
                f"The table {source.table!r} of {name} does not exist "
                f"(there are: {', '.join(tables) or 'none'}).",
                "Correct `table` in its defs.yaml; write schema.table for another schema.",
            )
        return error

    def _locked(self) -> ExporterError:
        holders = [
            f"{row['name']} by process {row['pid']} of {row['role']} ({row['program'] or '?'})"
            for row in self._connection.rows(_LOCKED_BY)
        ]
        return SourceUnavailableError(
            f"The rows of {self._dataset.name} stayed locked for {LOCK_TIMEOUT_S} s; locked are: "
            f"{', '.join(holders) or 'none any more'}.",
            "Wait until that is done, or end it with SELECT pg_terminate_backend(process).",
        )

    def _projections(self, types: dict[str, str]) -> list[Projection | None]:
        return [self._projection(column, types) for column in self._dataset.schema.columns]

    def _projection(self, column: Column, types: dict[str, str]) -> Projection | None:
        config = self._dataset.config
        name = self._dataset.source_name(column.name)
        where = f"of table {config.source.origin!r}"
        if name not in types:
            if not column.required and column.name not in config.source.columns:
                return None
            raise ColumnMismatchError(
                f"Column {name!r} {where}, exported as {column.name!r} of {self._dataset.name}, "
                f"does not exist (there are: {', '.join(types)}).",
                f"Map it under `columns:` in its defs.yaml, as in {column.name}: the_other_name.",
            )
        found = project(
            column,
            types[name],
            config.source.timezone,
            config.max_value_bytes,
            config.source.encoding(column.name),
        )
        if isinstance(found, str):
            raise ColumnMismatchError(
                f"Column {name!r} {where} has the type {types[name]}, but {column.name!r} of "
                f"{self._dataset.schema.model} needs {found}.",
                "Change the schema, or map another column or a view's column with a cast.",
            )
        return found

    def _key_is_unique(self) -> bool:
        source = self._dataset.config.source
        if source.query is not None:
            return False
        statement = _UNIQUE_KEY.format(
            table=_literal(relation(source).as_string(None)),
            key=_literal(self._dataset.source_name(source.key)),
        )
        return bool(self._connection.rows(statement)[0]["found"])


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


def _literal(text: str) -> str:
    return sql.Literal(text).as_string(None)
