"""Maps a SQLite table to the columns of a dataset; raises an error if it does not fit."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    UnknownTableError,
    listed,
)
from exporter_pipelines.sources.sqlite.catalog import SqliteCatalog
from exporter_pipelines.sources.sqlite.connection import SqliteConnection, SqliteStatementError
from exporter_pipelines.sources.sqlite.query import (
    MOST_COLUMNS,
    quoted,
    relation,
    rule_probe,
    table_name,
    written_name,
)
from exporter_pipelines.sources.sqlite.types import type_of
from exporter_pipelines.sources.time_encodings import NUMBERS


class SqliteTable:
    """The table or query of a dataset.

    Attributes:
        names: Its columns, in order.

    Raises:
        UnknownTableError: the table does not exist.
        ConfigurationError: SQLite refuses the query.
    """

    def __init__(self, connection: SqliteConnection, dataset: Dataset) -> None:
        self._connection, self._dataset = connection, dataset
        self._unreadable: dict[str, str] = {}
        self.names = self._columns()
        self._catalog = SqliteCatalog(connection.rows, table_name(dataset.config.source))
        declared = self._declared_types()
        self._dataset = dataset.with_extra_columns(
            {name: type_of(declared.get(name, "")) for name in self.names}
        )

    @property
    def dataset(self) -> Dataset:
        """With the columns that `extra_columns: keep` adds."""
        return self._dataset

    def check(self) -> None:
        """Check that the dataset can be read.

        Raises:
            ColumnMismatchError: a column is missing, or the time column holds numbers without a
                unit in `encodings:`.
            ConfigurationError: SQLite refuses an SQL rule, or there are too many of them.
        """
        self._check_columns()
        self._dataset.config.source.require_updated_column(self.names)
        self._check_encoding()
        self._check_sql_rules()
        self._check_width()

    @property
    def resolved(self) -> str:
        """The table as `main.name`, in lower case as SQLite compares names; or a query's origin."""
        source = self._dataset.config.source
        if source.table is None:
            return source.origin
        return f"main.{table_name(source).lower()}"

    def bound(self) -> dict[str, Column]:
        """The columns with the types that this table delivers."""
        return {column.name: self._bound(column) for column in self._dataset.schema.columns}

    def key_is_unique(self) -> bool:
        """Whether the rowid or a unique index guarantees it."""
        return self._catalog.is_unique(self._dataset.source_name(self._dataset.config.source.key))

    def _declared_types(self) -> dict[str, str]:
        return {column.name: column.declared_type for column in self._catalog.columns}

    def _columns(self) -> list[str]:
        source = self._dataset.config.source
        try:
            return self._connection.columns(f"SELECT * FROM {relation(self._dataset)}")  # noqa: S608
        except SqliteStatementError as error:
            if source.query is not None:
                raise ConfigurationError(
                    f"SQLite refuses the query of {self._dataset.name}: {error}.",
                    "Correct `query` in its defs.yaml.",
                ) from None
            return self._readable_columns(str(error))

    def _readable_columns(self, refusal: str) -> list[str]:
        """The columns that can be read one by one; the others need a function of the application.

        Raises:
            UnknownTableError: there is no such table.
            ConfigurationError: no column can be read; `refusal` says why.
        """
        source, readable = self._dataset.config.source, []
        name = table_name(source)
        found = self._connection.rows(
            "SELECT type FROM sqlite_schema "
            "WHERE type IN ('table', 'view') AND lower(name) = lower(?)",
            (name,),
        )
        if not found:
            raise self._no_table()
        columns = SqliteCatalog(self._connection.rows, name).columns if ("table",) in found else []
        for column in columns:
            reference = quoted("t", column.name)
            try:
                self._connection.columns(f"SELECT {reference} FROM {relation(self._dataset)}")  # noqa: S608
                readable.append(column.name)
            except SqliteStatementError as error:
                self._unreadable[column.name] = str(error)
        if not readable:
            raise ConfigurationError(
                f"{source.table!r} of {self._dataset.name} cannot be read: {refusal}.",
                "It needs what does not exist, or what only its application has. Read other "
                "tables, or write a `query` without it.",
            )
        return readable

    def _no_table(self) -> UnknownTableError:
        tables = self._connection.rows(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') "
            "AND name NOT LIKE 'sqlite@_%' ESCAPE '@' ORDER BY name LIMIT 40"
        )
        return UnknownTableError(
            f"The table {self._dataset.config.source.table!r} of {self._dataset.name} does not "
            f"exist (there are: {listed(written_name(name) for (name,) in tables)}).",
            "Correct `table` in its defs.yaml.",
        )

    def _check_columns(self) -> None:
        source = self._dataset.config.source
        for column in self._dataset.schema.columns:
            name = self._dataset.source_name(column.name)
            if name in self._unreadable:
                raise ColumnMismatchError(
                    f"Column {name!r} of {source.origin!r} cannot be read: "
                    f"{self._unreadable[name]}.",
                    "Only its application has what the column needs. Leave it out of "
                    f"{self._dataset.schema.model}.",
                )
            if name not in self.names and (column.required or column.name in source.needed):
                raise ColumnMismatchError(
                    f"Column {name!r} of {source.origin!r}, exported as {column.name!r} of "
                    f"{self._dataset.name}, does not exist (there are: {listed(self.names)}).",
                    f"Map it under `columns:` in its defs.yaml, as in {column.name}: "
                    "the_other_name.",
                )

    def _check_encoding(self) -> None:
        """Refuse a time column with numbers of an unknown unit: all its days would be empty."""
        source = self._dataset.config.source
        if source.encoding(source.time_column) in NUMBERS:
            return
        time = quoted("t", self._dataset.source_name(source.time_column))
        # Numbers sort before all text, so with an index this reads one row.
        found = self._connection.rows(
            f"SELECT typeof({time}) FROM {relation(self._dataset)} "  # noqa: S608
            f"WHERE {time}{self._connection.binary} < '' LIMIT 1"
        )
        if found:
            raise ColumnMismatchError(
                f"The time column {time} of {self._dataset.name} holds numbers ({found[0][0]}).",
                f"Set their unit, as in `encodings: {{{source.time_column}: epoch_s}}`. Units are "
                f"{', '.join(NUMBERS)}.",
            )

    def _check_sql_rules(self) -> None:
        """Refuse SQL rules that SQLite cannot run; the message names the rule."""
        for name, expression in self._dataset.config.sql_rules:
            probe = rule_probe(self._dataset, expression)
            refusal = ""
            try:
                self._connection.columns(probe)
            except SqliteStatementError as error:
                refusal = str(error)
            if not refusal and self._connection.rows(probe):
                refusal = "an aggregate without OVER (...) turns the whole day into one row"
            if refusal:
                raise ConfigurationError(
                    f"The SQL rule {name!r} of {self._dataset.name} is refused: {refusal}.",
                    "Write a boolean expression over the table's own columns.",
                )

    def _check_width(self) -> None:
        """Refuse more columns and SQL rules than a result can have."""
        columns = [
            self._dataset.source_name(column.name) for column in self._dataset.schema.columns
        ]
        exported = sum(name in self.names for name in columns)
        rules = len(self._dataset.config.sql_rules)
        if rules and exported + rules > MOST_COLUMNS:
            noun = "SQL rule" if rules == 1 else "SQL rules"
            raise ConfigurationError(
                f"{self._dataset.name} has {exported:,} columns and {rules:,} {noun}, but "
                f"SQLite reads at most {MOST_COLUMNS:,} columns and rules together.",
                "Export fewer columns, or write the rules as Pandera checks: docs/rules.md.",
            )

    def _bound(self, column: Column) -> Column:
        """An identifier is an integer or text, see `_is_integer`."""
        name = self._dataset.source_name(column.name)
        if not column.is_identifier or name not in self.names or self._is_integer(name):
            return column
        return replace(column, type=pa.string())

    def _is_integer(self, name: str) -> bool:
        """Whether a column has integers: by its declared type or, if unclear, its first value.

        https://www.sqlite.org/datatype3.html#determination_of_column_affinity
        """
        declared = self._declared_types().get(name, "").upper()
        if "INT" in declared:
            return True
        if any(word in declared for word in ("CHAR", "CLOB", "TEXT", "BLOB", "REAL", "FLOA")):
            return False
        column = quoted("t", name)
        first = self._connection.rows(
            f"SELECT typeof({column}) FROM {relation(self._dataset)} "  # noqa: S608
            f"WHERE {column} IS NOT NULL LIMIT 1"
        )
        return not first or first[0][0] == "integer"
