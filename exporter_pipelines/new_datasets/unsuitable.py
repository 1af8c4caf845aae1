"""Tables that cannot be exported as they are, and what to do about it."""

from __future__ import annotations

import shlex

from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.sql_names import quoted
from exporter_pipelines.errors import ConfigurationError, listed, printable
from exporter_pipelines.new_datasets.time_column import is_time_name

_LISTED = 20


class UnsuitableTableError(ConfigurationError):
    """A table has no key or no time column, or this user may not read it."""


def require_readable(inspection: Inspection, relation: Relation) -> None:
    """Check that this user may read a table, and all of its rows.

    Raises:
        UnsuitableTableError: they may not.
    """
    if relation.problem:
        raise UnsuitableTableError(
            f"{printable(relation.name)} cannot be read: {relation.problem}",
            "Read the tables without it, or write a `query:` by hand: docs/datasets.md.",
        )
    if not relation.readable:
        raise UnsuitableTableError(
            f"This user has no permission to read {printable(relation.name)}.",
            f"GRANT SELECT ON {printable(quoted(relation.name))} (and USAGE on its schema) "
            "to the user.",
        )
    for concern in inspection.concerns(relation):
        if concern.level == "FAIL":
            raise UnsuitableTableError(f"{concern.message}.", concern.hint)


def no_time(relation: Relation, unnamed: list[str]) -> UnsuitableTableError:
    """The error for a table without a time column.

    Args:
        relation: The table or view.
        unnamed: Its columns with numbers that look like times.
    """
    called = [name for name in relation.types if is_time_name(name)]
    unreadable = ""
    if called:
        unreadable = (
            f" What is called like a time ({listed(called)}) cannot be used for one of these "
            "reasons: it holds values of several types, most of its first values are no times, or "
            "the unit of its numbers cannot be guessed. See docs/types.md."
        )
    hint = (
        "Create a view with a timestamp column and name the view, or write the dataset by hand "
        "with `query:`: docs/datasets.md."
    )
    if unnamed:
        unreadable += f" {listed(unnamed)}: the numbers look like seconds or milliseconds since "
        unreadable += "1970, but the name does not say that they are times."
        command = _with_time_column(relation, unnamed[0])
        hint = f"If it is the time of a row: {command}. Otherwise c{hint.removeprefix('C')}"
    return UnsuitableTableError(
        f"{printable(relation.name)} has no time column that could decide the day of a row "
        f"(there are: {_types(relation)}).{unreadable}",
        hint,
    )


def not_a_time(relation: Relation, column: str) -> UnsuitableTableError:
    """The error for a time column that a user named, and that has no times."""
    return UnsuitableTableError(
        f"{printable(relation.name)} has no column {column!r} with times "
        f"(there are: {_types(relation)}).",
        "Name another one; case matters. docs/types.md lists what is read as a time.",
    )


def no_key(relation: Relation, unreadable: list[str]) -> UnsuitableTableError:
    """The error for a table without a key, or with one of columns that this user may not read."""
    if unreadable:
        table, columns = printable(relation.name), listed(unreadable)
        return UnsuitableTableError(
            f"The key of {table} needs {columns}, which this user may not read.",
            f"GRANT SELECT ({columns}) ON {printable(quoted(relation.name))} to the user, or write "
            "the dataset by hand with another key: docs/datasets.md.",
        )
    return UnsuitableTableError(
        f"{printable(relation.name)} has no key: no unique index on columns that are NOT NULL, and "
        f"no column that is called like a key and has distinct values "
        f"(there are: {_types(relation)}).",
        "Add a primary key, or create a view with a column that identifies a row and name the "
        "view, or write the dataset by hand with `query:`: docs/datasets.md.",
    )


def _with_time_column(relation: Relation, column: str) -> str:
    table, name = shlex.quote(printable(relation.name)), shlex.quote(printable(column))
    return f"exporter init {table} --time-column {name}"


def _types(relation: Relation) -> str:
    columns = [f"{name} {type_}" for name, type_ in relation.types.items()]
    more = f" and {len(columns) - _LISTED} more" if columns[_LISTED:] else ""
    return listed(columns[:_LISTED]) + more
