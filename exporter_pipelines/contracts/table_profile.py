"""What `exporter init` learns about a table before it writes a dataset for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from exporter_pipelines.contracts.source_config import TimeEncoding

Kind = Literal["int64", "float64", "bool", "string", "timestamp", "json"]
"""The type of an exported column, as a schema.py declares it."""

TimeKind = Literal["aware", "naive", "date", "text", "number"]
"""How a column stores times: typed with or without zone, as a date, as text or as a number."""


@dataclass(frozen=True)
class RowCount:
    """Number of rows of a table.

    Attributes:
        number: Of rows.
        is_estimate: Whether it comes from statistics of the database.
    """

    number: int
    is_estimate: bool


@dataclass(frozen=True)
class TimeCandidate:
    """A column that may decide the day of a row, judged by its type and its first rows.

    Attributes:
        column: Its name in the table.
        kind: How it stores times.
        encoding: `iso8601`, or the likely unit of its numbers.
        is_local: Whether its times have no zone, so that `timezone:` decides their instant.
        usable: Rows whose value is an instant.
        sampled: Rows that were read.
    """

    column: str
    kind: TimeKind
    encoding: TimeEncoding
    is_local: bool
    usable: int
    sampled: int


@dataclass(frozen=True)
class ColumnProfile:
    """A column as the rows that were read show it.

    Attributes:
        name: In the table.
        type_name: As in `Relation.types`.
        not_null: Whether the database guarantees a value.
        nulls: Rows without a value.
        kind: The type that exports every value that was read.
        has_words: Whether it is a text column, and not one that is only exported as text.
        note: Why it is not the usual type of `type_name`; empty for no reason.
    """

    name: str
    type_name: str
    not_null: bool
    nulls: int
    kind: Kind
    has_words: bool = False
    note: str = ""


@dataclass(frozen=True)
class TableProfile:
    """The columns of a table, from all of its rows or from a sample.

    Attributes:
        rows: Rows that were read.
        is_complete: Whether these are all rows.
        columns: In the order of the table.
    """

    rows: int
    is_complete: bool
    columns: tuple[ColumnProfile, ...]


@dataclass(frozen=True)
class ValueSet:
    """The distinct values of a text column in some rows.

    Attributes:
        values: Sorted.
        rows: Rows with a value that were read.
    """

    values: tuple[str, ...]
    rows: int


MAX_SAMPLED_ROWS = 2000
MAX_SAMPLED_CHARS = 4000
"""Of values that are examined for personal data: rows, and characters of each value."""
MAX_VALUES = 20
MAX_VALUE_CHARS = 30
