"""What a SQLite file says about a table: declared types and unique indexes."""

from __future__ import annotations

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.sources.sqlite.connection import SqliteConnection
from exporter_pipelines.sources.sqlite.query import quoted, relation

_COLUMNS = 'SELECT name, upper(type), "notnull", pk FROM pragma_table_xinfo(?, ?)'
# Over one plain column and over all rows.
_UNIQUE = """
SELECT i.origin FROM pragma_index_list(?, ?) AS i
WHERE i."unique" AND NOT i.partial
  AND (SELECT group_concat(ifnull(c.name, ''), '.') FROM pragma_index_info(i.name, ?) AS c) = ?
"""
_PRIMARY_INDEX = "SELECT 1 FROM pragma_index_list(?, ?) WHERE origin = 'pk'"


class SqliteCatalog:
    """Answers from PRAGMAs; of a query it knows nothing but what its rows show."""

    def __init__(self, connection: SqliteConnection, dataset: Dataset) -> None:
        self._connection, self._relation = connection, relation(dataset)
        schema, _, table = (dataset.config.source.table or "").rpartition(".")
        self._place = (table, schema or "main")
        found = connection.rows(_COLUMNS, self._place) if table else []
        self._columns = {name: (declared, notnull, pk) for name, declared, notnull, pk in found}

    def is_unique(self, column: str) -> bool:
        """Whether no two rows can have the same value in a column that is never null."""
        declared, notnull, pk = self._columns.get(column, ("", 0, 0))
        if self._is_rowid(declared, pk):
            return True
        schema = self._place[1]
        found = self._connection.rows(_UNIQUE, (*self._place, schema, column))
        return bool(notnull and found)

    def is_integer(self, column: str) -> bool:
        """Whether a column is declared, or where nothing clear is declared begins, with integers.

        https://www.sqlite.org/datatype3.html#determination_of_column_affinity
        """
        declared = self._columns.get(column, ("", 0, 0))[0]
        if "INT" in declared:
            return True
        if any(word in declared for word in ("CHAR", "CLOB", "TEXT", "BLOB", "REAL", "FLOA")):
            return False
        name = quoted("t", column)
        first = self._connection.rows(
            f"SELECT typeof({name}) FROM {self._relation} "  # noqa: S608
            f"WHERE {name} IS NOT NULL LIMIT 1"
        )
        return not first or first[0][0] == "integer"

    def _is_rowid(self, declared: str, pk: int) -> bool:
        """INTEGER PRIMARY KEY is the row's own number: never null, and without an index."""
        only = sum(bool(other) for _, _, other in self._columns.values()) == 1
        if not (pk and only and declared == "INTEGER"):
            return False
        return not self._connection.rows(_PRIMARY_INDEX, self._place)
