"""What a SQLite file says about a table: declared types and indexes.

The export and the doctor ask here, each over its own connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_COLUMNS = 'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?, ?)'
# An index over an expression has columns without a name.
_INDEXES = """
SELECT i."unique" AND (SELECT count(*) FROM pragma_index_info(i.name, ?)) = 1
FROM pragma_index_list(?, ?) AS i
WHERE NOT i.partial
  AND (SELECT name FROM pragma_index_info(i.name, ?) WHERE seqno = 0) = ?
"""
_PRIMARY_INDEX = "SELECT 1 FROM pragma_index_list(?, ?) WHERE origin = 'pk'"

Ask = Callable[[str, Sequence[Any]], list[Any]]
"""Runs a statement with its parameters and returns its rows, text decoded."""


class DeclaredColumn(NamedTuple):
    """A column as CREATE TABLE declares it; `declared_type` is empty for most expressions."""

    name: str
    declared_type: str
    not_null: int
    primary_key: int


class SqliteCatalog:
    """The catalog of one table or view, from PRAGMAs.

    Args:
        ask: Runs the questions.
        table: `name` or `schema.name`. A name that the file lacks has no columns and no indexes.

    Attributes:
        columns: In order.
    """

    def __init__(self, ask: Ask, table: str) -> None:
        self._ask = ask
        schema, _, name = table.rpartition(".")
        self._place = name, schema or "main"
        self.columns = [DeclaredColumn(*row) for row in ask(_COLUMNS, self._place)]

    def is_unique(self, column: str) -> bool:
        """Whether no two rows can have the same value in a column that is never null.

        That takes the rowid, or a unique index over this column alone and over all rows.
        """
        if self._is_rowid(column):
            return True
        never_null = any(c.not_null for c in self.columns if c.name == column)
        return never_null and any(unique for (unique,) in self._indexes(column))

    def begins_an_index(self, column: str) -> bool:
        """Whether rows are found by a value of the column without reading the whole table."""
        return self._is_rowid(column) or bool(self._indexes(column))

    def _indexes(self, column: str) -> list[Any]:
        """For each index over all rows that begins with the column, whether it is unique alone."""
        schema = self._place[1]
        return self._ask(_INDEXES, (schema, *self._place, schema, column))

    def _is_rowid(self, column: str) -> bool:
        """INTEGER PRIMARY KEY is the row's own number: never null, and without an index.

        With DESC, or in a table WITHOUT ROWID, it is a column like any other and has one.
        """
        keys = [c for c in self.columns if c.primary_key]
        if [(c.name, c.declared_type.upper()) for c in keys] != [(column, "INTEGER")]:
            return False
        return not self._ask(_PRIMARY_INDEX, self._place)
