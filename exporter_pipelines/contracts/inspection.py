"""What the doctor asks of a database, and how it says what it found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from exporter_pipelines.contracts.dataset import SourceConfig, TimeEncoding
from exporter_pipelines.contracts.row_schema import Column

Level = Literal["ok", "warn", "FAIL"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. Never holds a secret or a cell.

    Attributes:
        level: `ok`; `warn`: exports work, but look at it; `FAIL`: exports cannot work.
        dataset: Whose it is; None when it concerns all of them.
        check: What was looked at.
        message: What was found. One sentence.
        hint: What to do; may be a block of lines to paste. Empty when there is nothing to do.
    """

    level: Level
    dataset: str | None
    check: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Relation:
    """A table or view as the database's catalog describes it.

    Attributes:
        name: As `table:` of a defs.yaml would name it; for a query its `SourceConfig.origin`.
        is_view: Has no index of its own, as a query has none.
        readable: Whether this user may read it.
        types: Column -> type name, in the order of the table; for a database that stores any value
            in any column, with the type that most of the first rows have.
        key: The column that a unique index identifies rows by; None when there is none.
        native: The database's own handle.
    """

    name: str
    is_view: bool
    readable: bool
    types: dict[str, str]
    key: str | None
    native: str


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
class Concern:
    """Something about the database, its role or a table that a user should know."""

    check: str
    message: str
    hint: str


class Inspection(Protocol):
    """Looks at a database without changing it; a context manager, closed by the caller.

    Every question is answered within seconds; one that cannot be raises an `ExporterError`, after
    which the next one may be asked.
    """

    def described(self) -> str:
        """Kind, version, place and user; never a password."""
        ...

    def find(self, source: SourceConfig) -> Relation | None:
        """What `table:` names, or what `query:` gives."""
        ...

    def relations(self) -> list[Relation]:
        """Tables and views that a dataset could be read from."""
        ...

    def misfit(self, column: Column, type_name: str, source: SourceConfig) -> str | None:
        """The types that `column` could be read from, when `type_name` is none of them."""
        ...

    def resembles(self, column: Column, type_name: str) -> bool:
        """Whether the type is one that such a column usually has (anything can be read as text)."""
        ...

    def is_naive(self, type_name: str) -> bool:
        """Whether instants of this type are stored without a zone."""
        ...

    def guessed_encoding(self, relation: Relation, column: str) -> TimeEncoding | None:
        """What a column of numbers counts, by their size; None when it holds none."""
        ...

    def missing_index(self, relation: Relation, column: str) -> str | None:
        """The statement that makes an index beginning with `column`; None when there is one."""
        ...

    def key_repeats(self, relation: Relation, column: str) -> bool | None:
        """Whether values occur twice; None when a unique index forbids it."""
        ...

    def dayless_rows(self, relation: Relation, column: str, source: SourceConfig) -> int:
        """Rows whose time is in no day (null, infinite, beyond year 9999); counted to 1,000."""
        ...

    def span(
        self, relation: Relation, column: str, source: SourceConfig, timezone: str
    ) -> DaySpan | None:
        """Days of the earliest and the latest row; None when no row has a usable time."""
        ...

    def concerns(self, relation: Relation) -> Iterator[Concern]:
        """Privileges beyond reading, and what would hide rows."""
        ...

    def __enter__(self) -> Inspection: ...

    def __exit__(self, *exc_info: object) -> None: ...
