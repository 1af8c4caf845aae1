"""Chooses the column, or makes one of several, that identifies a row."""

from __future__ import annotations

from dataclasses import dataclass

from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.reserved_names import as_readers_compare, free_column_name
from exporter_pipelines.doctor.synonyms import likeness
from exporter_pipelines.errors import NotAnsweredError, listed

_TRIED = 4
_JOINED_NAME = "row_key"


@dataclass(frozen=True)
class Key:
    """What identifies a row.

    Attributes:
        columns: Of the table; several are joined by a `query:`.
        why: For a comment, such as `unique index`.
        warning: What a user should know; empty for nothing.
        joined_name: The exported name of several joined columns; empty for one column.
    """

    columns: tuple[str, ...]
    why: str
    warning: str = ""
    joined_name: str = ""


def chosen_key(inspection: Inspection, relation: Relation) -> Key | None:
    """The key of a table or view; None if nothing identifies its rows."""
    if relation.key is not None:
        return Key((relation.key,), "has a unique index")
    keys = inspection.unique_keys(relation)
    if not keys and (nullable := inspection.keys_without_null(relation)):
        return Key((nullable[0],), "has a unique index, and no row is null in it")
    composite = next((key for key in keys if not _unreadable(relation, key)), ())
    unproved = None
    for column in _candidates(relation, composite):
        try:
            if not inspection.key_repeats(relation, column):
                return Key((column,), "has no unique index, but no value is repeated")
        except NotAnsweredError:
            unproved = unproved or column
    if len(composite) > 1:
        taken = {as_readers_compare(name) for name in relation.types}
        name = free_column_name(_JOINED_NAME, taken)
        return Key(composite, f"the primary key is {listed(composite)}", joined_name=name)
    if unproved:
        warning = f"{unproved} has no unique index, and its values could not be compared in time"
        return Key((unproved,), "not verified: has no unique index", warning)
    return None


def unreadable_key(inspection: Inspection, relation: Relation) -> list[str]:
    """Columns of the first key that this user may not read; empty if there is no such key."""
    keys = (_unreadable(relation, key) for key in inspection.unique_keys(relation))
    return next(filter(None, keys), [])


def _unreadable(relation: Relation, key: tuple[str, ...]) -> list[str]:
    return [column for column in key if column not in relation.types]


def query_for(inspection: Inspection, relation: Relation, key: Key) -> str:
    """A query in place of `table:`, if that is not enough; otherwise empty."""
    if key.joined_name:
        return inspection.query_of(relation, key.columns, key.joined_name)
    return "" if relation.nameable else inspection.query_of(relation, (), "")


def _candidates(relation: Relation, composite: tuple[str, ...]) -> list[str]:
    """Columns that are called like a key, the most likely first."""
    scored = [(_keylike(name, relation), name) for name in relation.types]
    likely = sorted((pair for pair in scored if pair[0] >= 0.65), key=lambda pair: -pair[0])
    likely = [pair for pair in likely if not composite or pair[1] in composite]
    return [name for _, name in likely[:_TRIED]]


def _keylike(name: str, relation: Relation) -> float:
    table = relation.name.rpartition(".")[2].lower().rstrip("s")
    if name.lower() in {f"{table}_id", f"{table}id", f"{table}_uuid", f"{table}_no"}:
        return 0.95
    is_id = name.lower().endswith(("_id", "_uuid", "_no", "_nr", "id"))
    return max(likeness("id", name), 0.65 if is_id else 0.0)
