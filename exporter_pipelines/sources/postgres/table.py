"""Maps a PostgreSQL table to the columns of a dataset; raises an error if it does not fit."""

from __future__ import annotations

from psycopg import sql

from exporter_pipelines.contracts.dataset import Dataset, cut_off
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.contracts.sql_names import quoted
from exporter_pipelines.errors import ColumnMismatchError, ConfigurationError, listed
from exporter_pipelines.sources.postgres.column_types import ColumnTypes, column_types
from exporter_pipelines.sources.postgres.connection import PostgresConnection
from exporter_pipelines.sources.postgres.errors import PostgresStatementError
from exporter_pipelines.sources.postgres.proven_guards import texts_are_small
from exporter_pipelines.sources.postgres.query import LONGEST_NAME, PostgresDayQuery, relation
from exporter_pipelines.sources.postgres.questions import INDEX, RESOLVED, UNIQUE
from exporter_pipelines.sources.postgres.times import SORTS_BY_DIGITS, TEXTS
from exporter_pipelines.sources.postgres.types import Projection, project, type_of
from exporter_pipelines.sources.postgres.unreadable import why_unreadable


class PostgresTable:
    """The table or query of a dataset.

    Attributes:
        types: Column -> type, of the columns that the user may read, see `ColumnTypes`.
        columns: Their names as the dataset writes them, which may be longer than in the database.
        key_has_no_order: Whether values of the key can only be compared as text.

    Raises:
        UnknownTableError: the table does not exist, or the user may not read it.
        SourceUnavailableError: the table stays locked.
        ConfigurationError: PostgreSQL refuses the query.
        ColumnMismatchError: two columns of the dataset are one column of the database.
    """

    def __init__(self, connection: PostgresConnection, dataset: Dataset) -> None:
        self._connection, self._dataset = connection, dataset
        found = self._column_types()
        self.types, self._unreadable = found.names, found.unreadable
        self._dataset = dataset.named_as_in([*self.types, *self._unreadable], LONGEST_NAME)
        written = _names_as_written(self._dataset, dataset)
        self.columns = tuple(written.get(name, name) for name in self.types)
        key = self._dataset.source_name(dataset.config.source.key)
        self.key_has_no_order = key in found.unordered
        timezone = dataset.config.source.timezone
        self._dataset = self._dataset.with_extra_columns(
            {name: type_of(found, timezone) for name, found in self.types.items()}
        )

    @property
    def dataset(self) -> Dataset:
        """With the names of the database, and the columns that `extra_columns: keep` adds."""
        return self._dataset

    def projections(self) -> list[Projection | None]:
        """How each exported column is read; None for an optional one that the table lacks.

        Raises:
            ColumnMismatchError: a column is missing, or has a type that does not fit.
        """
        if (updated := self._dataset.config.source.updated_column) in self._unreadable:
            raise self._no_permission(str(updated))
        self._dataset.config.source.require_updated_column(self.types)
        return [self._projection(column) for column in self._dataset.schema.columns]

    def _projection(self, column: Column) -> Projection | None:
        config = self._dataset.config
        name = self._dataset.source_name(column.name)
        where = f"of table {config.source.origin!r}"
        if name in self._unreadable:
            raise self._no_permission(name)
        if name not in self.types:
            if not column.required and column.name not in config.source.needed:
                return None
            raise ColumnMismatchError(
                f"Column {name!r} {where}, exported as {column.name!r} of {self._dataset.name}, "
                f"does not exist (there are: {listed(self.types)}).",
                f"Map it under `columns:` in its defs.yaml, as in {column.name}: the_other_name.",
            )
        found = project(
            column,
            self.types[name],
            config.source.timezone,
            config.max_value_bytes,
            config.source.encoding(column.name),
        )
        if isinstance(found, str):
            raise ColumnMismatchError(
                f"Column {name!r} {where} has the type {self.types[name]}, but {column.name!r} of "
                f"{self._dataset.schema.model} needs {found}.",
                "Change the schema, map another column, or cast the column in a view.",
            )
        return found

    def _no_permission(self, column: str) -> ColumnMismatchError:
        source, name = self._dataset.config.source, sql.Identifier(column).as_string(None)
        return ColumnMismatchError(
            f"Column {column!r} of table {source.origin!r} may not be read by this user.",
            f"GRANT SELECT ({name}) ON {quoted(source.table or '')} TO the user. Or leave the "
            f"column out of {self._dataset.schema.model}.",
        )

    def resolved(self) -> str:
        """A query for one value: the table as `schema.table`, or the origin of a query."""
        source = self._dataset.config.source
        if source.query is not None:
            return f"SELECT {_literal(source.origin)}::text"
        return RESOLVED.format(oid=self._oid())

    def key_is_unique(self) -> bool:
        """Whether a unique index guarantees it; False for a query, where this is not known."""
        source = self._dataset.config.source
        if source.query is not None:
            return False
        statement = UNIQUE.format(
            oid=self._oid(),
            column=_literal(self._dataset.source_name(source.key)),
        )
        return bool(self._connection.rows(statement)[0]["found"])

    def is_indexed(self, column: str) -> bool:
        """Whether an index begins with a column; False for a query, where this is not known."""
        if self._dataset.config.source.query is not None:
            return False
        statement = INDEX.format(oid=self._oid(), column=_literal(column))
        return bool(self._connection.rows(statement)[0]["found"])

    def time_sorts_by_digits(self) -> bool:
        """See `SORTS_BY_DIGITS`; True for a time column that is not text."""
        source = self._dataset.config.source
        name = self._dataset.source_name(source.time_column)
        if self.types[name] not in TEXTS:
            return True
        statement = sql.SQL(SORTS_BY_DIGITS).format(
            column=sql.Identifier("t", name), table=relation(source)
        )
        return bool(self._connection.rows(statement.as_string(None))[0]["found"])

    def texts_are_small(self) -> bool:
        """Whether no text of the table can be larger than `max_value_bytes`."""
        config = self._dataset.config
        return config.source.query is None and texts_are_small(
            self._connection, self._oid(), config.max_value_bytes
        )

    def _oid(self) -> str:
        return f"{_literal(relation(self._dataset.config.source).as_string(None))}::regclass"

    def check_sql_rules(self, query: PostgresDayQuery) -> None:
        """Refuse SQL rules that the database cannot run.

        Raises:
            ConfigurationError: a rule is refused, or is not boolean; the message names it.
        """
        for name, expression in self._dataset.config.sql_rules:
            what = f"The SQL rule {name!r} of {self._dataset.name}"
            try:
                found = self._connection.types(query.rule_probe(expression))["verdict"]
            except PostgresStatementError as error:
                if error.retryable:
                    raise
                self._connection.execute("ROLLBACK")
                hint = "Write a boolean expression over the table's own columns."
                if error.sqlstate == "42501":
                    table = quoted(self._dataset.config.source.table or "the_table")
                    hint = (
                        f"GRANT SELECT (column) ON {table} TO the user for each column of the "
                        "rule, or write the rule without them."
                    )
                raise ConfigurationError(f"{what} is refused: {error.message}", hint) from None
            if found != "bool":
                raise ConfigurationError(
                    f"{what} returns {found} instead of bool.",
                    "Write a comparison, as in `duration_ms >= 0`.",
                )

    def _column_types(self) -> ColumnTypes:
        source = self._dataset.config.source
        table = relation(source)
        try:
            return column_types(
                self._connection,
                table,
                keys=[cut_off(self._dataset.source_name(source.key), LONGEST_NAME)],
                table=table if source.query is None else None,
            )
        except PostgresStatementError as error:
            if error.retryable:
                raise
            self._connection.execute("ROLLBACK")
            raise why_unreadable(self._connection, self._dataset, error) from None


def _names_as_written(found: Dataset, dataset: Dataset) -> dict[str, str]:
    """Name in the database -> the same as the dataset writes it.

    Raises:
        ColumnMismatchError: two different names are one for PostgreSQL.
    """
    names: dict[str, str] = {}
    for column in dataset.schema.names:
        name, written = found.source_name(column), dataset.source_name(column)
        if names.setdefault(name, written) != written:
            raise ColumnMismatchError(
                f"The columns {names[name]!r} and {written!r} of {dataset.name} are the same for "
                f"PostgreSQL, which reads the first {LONGEST_NAME} bytes of a name.",
                "Map one of them to another column under `columns:` in its defs.yaml, or remove it "
                f"from {dataset.schema.model}.",
            )
    return names


def _literal(text: str) -> str:
    return sql.Literal(text).as_string(None)
