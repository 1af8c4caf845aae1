"""Names that a dataset or an exported column cannot have.

A reader adds columns of its own, or takes two names for one. It then replaces values, or fails,
depending on its version and options, so such names are refused when definitions are loaded.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Collection, Sequence

from exporter_pipelines.errors import ConfigurationError

EXPORT_REPORT = "export_report"
"""The asset key of the export report, which no dataset can have."""

_OF_DAGSTER = {
    "context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict", "output_arg_dict",
    "int", "str", "float", "bool", "input", "output", "type",
}  # fmt: skip
_OF_JOBS = {"all_exports", "prune", "repair"}
"""The project has a job `<name>_job` of its own."""

_ADDED = {
    "date": "readers add a column of that name from the folders `date=<day>`",
    "__filename": "pyarrow adds a column of that name",
    "__fragment_index": "pyarrow adds a column of that name",
    "__batch_index": "pyarrow adds a column of that name",
    "__last_in_fragment": "pyarrow adds a column of that name",
}
"""Name in lower case -> why it is refused."""
_INDEX = re.compile(r"__index_level_\d+__")
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


def refused_dataset_name(name: str) -> str:
    """Why Dagster would refuse an asset or a job of this name; empty if it would not.

    One such name would take down all datasets of the project.
    """
    if name in _OF_DAGSTER or keyword.iskeyword(name):
        return "has a meaning of its own in Dagster or Python"
    return f"is taken: {name}_job is a job of the project" if name in _OF_JOBS else ""


def check_column_names(names: Sequence[str], origin: str) -> None:
    """Check that every reader finds all columns of these names, and nothing else under them.

    Args:
        names: Of the exported columns.
        origin: Where they come from: the dotted path of the schema, or a table.

    Raises:
        ConfigurationError: a name is empty or cannot be written, is one that readers add, or
            differs from another one only in case or in how Unicode composes its characters.
    """
    seen: dict[str, str] = {}
    for name in names:
        reason = _problem(name)
        if reason:
            raise ConfigurationError(
                f"{origin} exports a column {name!r}, but {reason}.", _rename(name)
            )
        other = seen.setdefault(as_readers_compare(name), name)
        if other != name:
            raise ConfigurationError(
                f"{origin} exports the columns {other!r} and {name!r}, but readers such as DuckDB "
                "take names for the same that differ only in case or Unicode form.",
                _rename(name),
            )


def as_readers_compare(name: str) -> str:
    """The name as a reader compares it that ignores case and Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())


def free_column_name(name: str, taken: Collection[str]) -> str:
    """The name, with underscores after it until it is one that `check_column_names` allows.

    Args:
        name: Of a column in a database.
        taken: Other names, from `as_readers_compare`.
    """
    name = _UNWRITABLE.sub("_", name)
    while _problem(name) or as_readers_compare(name) in taken:
        name += "_"
    return name


def _problem(name: str) -> str:
    """Why a single name is refused; empty when it is not."""
    folded = as_readers_compare(name)
    if not name.strip():
        return "a column needs a name"
    if _UNWRITABLE.search(name):
        return "the name has a character that no file can hold"
    if _INDEX.fullmatch(folded):
        return "pandas takes a column of that name for an index"
    return _ADDED.get(folded, "")


def _rename(name: str) -> str:
    source = name if name.strip() else "..."
    return (
        "Give it another name in the schema and map that to the column of the database: "
        f"`columns: {{other_name: {source!r}}}`."
    )
