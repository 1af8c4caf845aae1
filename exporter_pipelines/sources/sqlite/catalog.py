"""Declared types and indexes of a SQLite table. Used by the export and by the doctor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

# With generated columns (2 and 3), without the hidden ones of virtual tables (1), which only a
# statement that names them can read.
_COLUMNS = 'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?, ?) WHERE hidden <> 1'
# An index over an expression has columns without a name.
_INDEXES = """
SELECT i."unique" AND (SELECT count(*) FROM pragma_index_info(i.name, ?)) = 1
FROM pragma_index_list(?, ?) AS i
WHERE NOT i.partial
  AND (SELECT name FROM pragma_index_info(i.name, ?) WHERE seqno = 0) = ?
"""
_PRIMARY_INDEX = "SELECT 1 FROM pragma_index_list(?, ?) WHERE origin = 'pk'"

Ask = Callable[[str, Sequence[Any]], list[Any]]
"""Runs a statement with parameters, and returns its rows with decoded text."""


class DeclaredColumn(NamedTuple):
    """A column as CREATE TABLE declares it; `declared_type` is empty for most expressions."""

    name: str
    declared_type: str
    not_null: int
    primary_key: int


class SqliteCatalog:
    """The catalog of one table or view, from PRAGMAs.

    Args:
        ask: Runs the queries.
        table: Its name. If it does not exist, it has no columns and no indexes.

    Attributes:
        columns: In order.
    """

    def __init__(self, ask: Ask, table: str) -> None:
        self._ask = ask
        self._place = table, "main"
        self.columns = [DeclaredColumn(*row) for row in ask(_COLUMNS, self._place)]

    def is_unique(self, column: str) -> bool:
        """Whether no two rows can have the same value in a column that is never null.

        True for the rowid, and for a column with a unique index on it alone, over all rows.
        """
        if self._is_rowid(column):
            return True
        never_null = any(c.not_null for c in self.columns if c.name == column)
        return never_null and self.has_unique_index(column)

    def has_unique_index(self, column: str) -> bool:
        """Whether there is one on this column alone, over all rows; nulls may repeat in it."""
        return any(unique for (unique,) in self._indexes(column))

    def begins_an_index(self, column: str) -> bool:
        """Whether rows can be found by this column without reading the whole table."""
        return self._is_rowid(column) or bool(self._indexes(column))

    def _indexes(self, column: str) -> list[Any]:
        """Per index on all rows that starts with the column: is it unique on this column alone."""
        schema = self._place[1]
        return self._ask(_INDEXES, (schema, *self._place, schema, column))

    def _is_rowid(self, column: str) -> bool:
        """Whether a column is an alias of the rowid, which is never null and has no index.

        An INTEGER PRIMARY KEY is one, except with DESC or in a table WITHOUT ROWID.
        """
        keys = [c for c in self.columns if c.primary_key]
        if [(c.name, c.declared_type.upper()) for c in keys] != [(column, "INTEGER")]:
            return False
        return not self._ask(_PRIMARY_INDEX, self._place)
