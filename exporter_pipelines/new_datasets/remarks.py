"""Remarks on the columns of a table, for the comments of a schema: types, nulls, small value sets.

Values of rows may be personal. Only the values of text columns with few, short and frequent values
are shown, and never those of a column that looks personal.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.table_profile import ColumnProfile, TableProfile
from exporter_pipelines.errors import NotAnsweredError, listed, printable
from exporter_pipelines.new_datasets.personal import (
    are_personal_values,
    is_personal_name,
    repeat_enough,
)

_BUDGET_S = 10.0
"""Limit for reading the values of all columns of a table."""


@dataclass(frozen=True)
class Remarks:
    """What was found about the columns of a table.

    Attributes:
        lines: Column -> lines of a comment.
        values: Text column -> its values, if they are few, short and frequent.
        sampled: Those of them whose values are of a sample of the rows.
        unseen: Text columns whose values are not shown, because they may be personal.
    """

    lines: dict[str, tuple[str, ...]]
    values: dict[str, tuple[str, ...]]
    unseen: tuple[str, ...]
    sampled: frozenset[str] = frozenset()


def remarks_on(
    inspection: Inspection, relation: Relation, profile: TableProfile, without: Collection[str]
) -> Remarks:
    """Describe each column.

    Args:
        inspection: Of the database.
        relation: The table or view.
        profile: Of the table or view.
        without: Columns whose values are not listed: key and time column.
    """
    texts = [c.name for c in profile.columns if c.has_words and c.name not in without]
    personal = [name for name in texts if is_personal_name(name)]
    shown: dict[str, str] = {}
    values: dict[str, tuple[str, ...]] = {}
    sampled: set[str] = set()
    ends = time.monotonic() + _BUDGET_S
    for name in texts:
        if name in personal or time.monotonic() > ends:
            continue
        found = _values(inspection, relation, profile, name)
        if found is None:
            personal.append(name)
        elif found[0]:
            values[name], of = found
            shown[name] = listed(values[name]) + of
            if of:
                sampled.add(name)
    lines = {column.name: _lines(column, profile, shown) for column in profile.columns}
    unseen = tuple(name for name in texts if name in personal)
    return Remarks(lines, values, unseen, frozenset(sampled))


def _lines(column: ColumnProfile, profile: TableProfile, shown: dict[str, str]) -> tuple[str, ...]:
    facts = [printable(column.type_name) + (" NOT NULL" if column.not_null else "")]
    if column.note:
        facts.append(column.note)
    if column.nulls:
        of = "of" if profile.is_complete else "of a sample of"
        share = "all" if column.nulls == profile.rows else f"{column.nulls:,} {of} {profile.rows:,}"
        facts.append(f"null in {share} rows")
    line = ", ".join(facts)
    return (line, f"Values: {shown[column.name]}") if column.name in shown else (line,)


def _values(
    inspection: Inspection, relation: Relation, profile: TableProfile, name: str
) -> tuple[tuple[str, ...], str] | None:
    """The values of a column, and where they were seen.

    None if they may be personal; no values if there are too many.
    """
    try:
        found = inspection.small_values(relation, name)
    except NotAnsweredError:
        return (), ""  # the values are only for comments
    if found is None or not found.values or not repeat_enough(len(found.values), found.rows):
        return (), ""
    if are_personal_values(found.values):
        return None
    (nulls,) = (column.nulls for column in profile.columns if column.name == name)
    in_sample = found.rows < profile.rows - nulls or not profile.is_complete
    sample = f" (in a sample of {found.rows:,} rows)" if in_sample else ""
    return found.values, sample
