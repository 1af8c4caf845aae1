"""Names for datasets, classes and exported columns, made from the names in a database.

A name in a database may contain anything. A dataset is a Python package and an asset of Dagster,
and an exported column is an attribute of a class and a column for every reader.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Collection, Iterable

import pandera.pandas as pandera

from exporter_pipelines.contracts.reserved_names import free_column_name
from exporter_pipelines.contracts.row_schema import NOTES_COLUMN, REASONS_COLUMN
from exporter_pipelines.defs_files.definitions import refusal_of

# Names of the module schema.py, and of the quarantine.
_NOT_FOR_COLUMNS = {"pa", "pandera", "annotated", "annotations", NOTES_COLUMN, REASONS_COLUMN}
_LONGEST_DATASET, _LONGEST_COLUMN = 40, 60


def dataset_name(table: str, taken: Collection[str] = ()) -> str:
    """A free name for a dataset: of the table, with its schema in front if that is taken."""
    schema, _, bare = table.rpartition(".")
    for text in (bare, f"{schema}_{bare}" if schema else bare):
        name = _dataset(text)
        if name not in taken:
            return name
    return next(f"{name}_{n}" for n in range(2, 10_000) if f"{name}_{n}" not in taken)


def class_name(dataset: str) -> str:
    """`app_events`: AppEventsRow."""
    return "".join(part.capitalize() for part in dataset.split("_")) + "Row"


def exported_names(columns: Iterable[str]) -> dict[str, str]:
    """Column of the table -> name under which it is exported, the same where that is possible.

    No two names differ only in case, because most readers ignore it.
    """
    columns, names, used = list(columns), dict[str, str](), set[str]()
    for column in columns:
        if _is_plain(column) and column.lower() not in used:
            names[column] = column
            used.add(column.lower())
    for number, column in enumerate(columns, 1):
        if column not in names:
            names[column] = free_column_name(_plain(column, number), used)
            used.add(names[column].lower())
    return {column: names[column] for column in columns}


def _dataset(text: str) -> str:
    name = _ascii(text).lower()[:_LONGEST_DATASET].strip("_")
    if not re.match("[a-z]", name):
        name = f"table_{name}".rstrip("_")
    return f"{name}_rows" if refusal_of(name) else name


def _is_plain(column: str) -> bool:
    """Whether a column can be exported under its own name."""
    return (
        re.fullmatch("[A-Za-z][A-Za-z0-9_]*", column) is not None
        and len(column) <= _LONGEST_COLUMN
        and not keyword.iskeyword(column)
        and column.lower() not in _NOT_FOR_COLUMNS
        and free_column_name(column, ()) == column
        and not hasattr(pandera.DataFrameModel, column)
    )


def _plain(column: str, number: int) -> str:
    name = _ascii(column)[:_LONGEST_COLUMN].strip("_")
    if not name:
        return f"column_{number}"
    if not name[0].isalpha():
        name = f"column_{name}"
    return name if _is_plain(name) else f"{name}_"


def _ascii(text: str) -> str:
    """Letters, digits and single underscores: `Größe (cm)` becomes `Grosse_cm`."""
    folded = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    kept = "".join(c for c in folded if not unicodedata.combining(c))
    return re.sub(r"[^A-Za-z0-9]+", "_", kept)
