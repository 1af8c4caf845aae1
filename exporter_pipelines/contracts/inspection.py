"""The doctor's interface to a database, and the form of its findings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from exporter_pipelines.contracts.column_settings import SourceType
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.contracts.source_config import SourceConfig, TimeEncoding
from exporter_pipelines.contracts.table_profile import (
    RowCount,
    TableProfile,
    TimeCandidate,
    ValueSet,
)
from exporter_pipelines.errors import printable_lines

Level = Literal["ok", "warn", "FAIL"]


@dataclass(frozen=True)
class Finding:
    """The result of one check. Never contains a secret or a value from a row.

    Attributes:
        level: `ok`; `warn`: exports work, but need attention; `FAIL`: exports cannot work.
        dataset: The dataset that was checked; None for a check of all datasets.
        check: What was checked.
        message: What was found. One sentence.
        hint: What to do; may be a block of lines to paste. Empty when there is nothing to do.

    Control characters are escaped in message and hint, because names come from a database.
    """

    level: Level
    dataset: str | None
    check: str
    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", printable_lines(self.message))
        object.__setattr__(self, "hint", printable_lines(self.hint))


@dataclass(frozen=True)
class Relation:
    """A table or view as the database's catalog describes it.

    Attributes:
        name: As written in `table:` of a defs.yaml; for a query its `SourceConfig.origin`.
        is_view: Whether it has no index of its own; true for a query as well.
        readable: Whether this user may read it.
        types: Column -> type name, in the order of the table. Where any column may hold any value
            (SQLite), with the type that most of the first rows have.
        key: The column that a unique index identifies rows by, one of `types`; None when there is
            none.
        native: The database's own handle.
        nameable: Whether `table:` can name it; otherwise it needs a `query:`.
        longest_name: Bytes of a column name that the database keeps; None if it keeps all.
        problem: Why nobody can read it, such as a function that the database lacks; empty for no
            such reason. It is then not `readable`.
    """

    name: str
    is_view: bool
    readable: bool
    types: dict[str, str]
    key: str | None
    native: str
    nameable: bool = True
    longest_name: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class DaySpan:
    """First and last day that have rows, in the zone of the exports.

    Attributes:
        first: `YYYY-MM-DD`.
        last: `YYYY-MM-DD`.
        ends_in_future: Whether the newest row is later than the database's clock.
    """

    first: str
    last: str
    ends_in_future: bool


@dataclass(frozen=True)
class TimeForms:
    """The times of the first rows of a table.

    Attributes:
        sampled: Number of rows.
        unusable: Form -> rows whose time cannot be used; the form shows no content: digits are 9,
            letters a or A. Also `null` and `a number`.
    """

    sampled: int
    unusable: dict[str, int]


@dataclass(frozen=True)
class Concern:
    """Something about the database, its role or a table that a user should know."""

    check: str
    message: str
    hint: str
    level: Level = "warn"


class Inspection(Protocol):
    """Examines a database without changing it; a context manager, closed by the caller.

    Every method returns within seconds or raises an `ExporterError`; the other methods can still
    be called after an error.
    """

    def described(self) -> str:
        """Kind, version, place and user; never a password."""
        ...

    def find(self, source: SourceConfig) -> Relation | None:
        """The table of `table:`, or the result of `query:`; None when the table does not exist."""
        ...

    def relations(self, schema: str | None = None) -> list[Relation]:
        """Tables and views that a dataset could be read from; of one schema or of all."""
        ...

    def misfit(self, column: Column, type_name: str, source: SourceConfig) -> str | None:
        """The types that `column` can be read from; None when `type_name` is one of them."""
        ...

    def resembles(self, column: Column, type_name: str) -> bool:
        """Whether the type is one that such a column usually has (anything can be read as text)."""
        ...

    def is_naive(self, type_name: str) -> bool:
        """Whether this type stores times without a time zone."""
        ...

    def utc_offsets(self, timezone: str, instants: Sequence[dt.datetime]) -> list[int] | None:
        """The zone's offset from UTC at each instant by the database's rules, in seconds.

        None if times without a zone are not converted by the database.
        """
        ...

    def guessed_encoding(self, relation: Relation, column: str) -> TimeEncoding | None:
        """The likely encoding of numbers in a time column, by their size; None without numbers."""
        ...

    def missing_index(self, relation: Relation, column: str) -> str | None:
        """The statement that creates an index starting with `column`; None when one exists."""
        ...

    def key_repeats(self, relation: Relation, column: str) -> bool | None:
        """Whether a value occurs more than once; None when a unique index forbids it."""
        ...

    def dayless_rows(self, relation: Relation, column: str, source: SourceConfig) -> int:
        """Rows without a usable time (null, infinite, beyond year 9999), counted up to 1,000."""
        ...

    def time_forms(self, relation: Relation, column: str, source: SourceConfig) -> TimeForms:
        """The forms of the times of the first 10,000 rows that cannot be used."""
        ...

    def span(
        self, relation: Relation, column: str, source: SourceConfig, timezone: str
    ) -> DaySpan | None:
        """Days of the earliest and the latest row; None when no row has a usable time."""
        ...

    def concerns(self, relation: Relation) -> Iterator[Concern]:
        """Privileges beyond reading, and settings that hide rows."""
        ...

    def row_count(self, relation: Relation) -> RowCount | None:
        """Rows of a table; None if they can be neither counted in time nor estimated."""
        ...

    def unique_keys(self, relation: Relation) -> list[tuple[str, ...]]:
        """Columns of each unique index on columns that are never null, the primary key first.

        They may be columns that this user may not read, which `Relation.types` lacks.
        """
        ...

    def keys_without_null(self, relation: Relation) -> list[str]:
        """Columns with a unique index that may be null, and that no row is null in.

        SQLite's primary keys are such columns, unless they are declared NOT NULL. A column that
        takes too long to look at is left out.
        """
        ...

    def time_candidates(self, relation: Relation) -> list[TimeCandidate]:
        """Columns that may hold times, judged by the first rows, in the order of the table."""
        ...

    def profile(self, relation: Relation) -> TableProfile:
        """Nulls and types of each column: of all rows, or of a sample if that takes too long."""
        ...

    def small_values(self, relation: Relation, column: str) -> ValueSet | None:
        """The values of a text column; None for more than `MAX_VALUES`, or for longer ones."""
        ...

    def sampled_texts(
        self, relation: Relation, columns: Sequence[str]
    ) -> dict[str, list[str | None]]:
        """Values as text, of `MAX_SAMPLED_ROWS` rows of all parts of the table at most.

        Longer ones are cut off after `MAX_SAMPLED_CHARS`; binary ones are null.
        """
        ...

    def extra_types(self, relation: Relation, timezone: str | None) -> dict[str, SourceType]:
        """Column -> the type in which it is exported if no schema names it.

        Args:
            relation: The table or view.
            timezone: Of its times without a zone; None if it is not known.
        """
        ...

    def query_of(self, relation: Relation, key: tuple[str, ...], name: str) -> str:
        """A SELECT of all columns and, of several key columns, of their text as a column `name`."""
        ...

    def __enter__(self) -> Inspection: ...

    def __exit__(self, *exc_info: object) -> None: ...
