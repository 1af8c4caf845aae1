"""Rules that `exporter init` proposes for a schema of its own, and their text in `schema.py`.

They are comments: a value that was not seen yet would otherwise hold a day. Removing `# ` is enough
to use one, because the later of two definitions of a column counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.errors import NotAnsweredError
from exporter_pipelines.new_datasets.plan import PlannedColumn

_MIN_ADDRESSES = 20
_ADDRESS_TYPE = "inet"
_ADDRESSES = """
    # A rule, proposed from types and sampled values. It rejects networks such as 10.0.0.0/24.
    # To use it, remove `# ` from the lines below.
    # @pandera.check({columns}, name="valid_address")
    # def _valid_address(cls, addresses):
    #     from exporter_pipelines.contracts.rules import parses_as_address
    #
    #     return parses_as_address(addresses)
"""


def address_columns(
    inspection: Inspection, relation: Relation, columns: Sequence[PlannedColumn]
) -> tuple[str, ...]:
    """The exported names of the columns for addresses, and of texts that all are in a sample.

    PostgreSQL's type `inet` also stores addresses with the mask of their network.

    Raises:
        ExporterError: the database cannot be read.
    """
    types = relation.types  # without a joined key
    texts = [column for column in columns if column.kind == "string" and column.source in types]
    names = [c.source for c in texts if types[c.source] != _ADDRESS_TYPE]
    try:
        sampled = inspection.sampled_texts(relation, names) if names else {}
    except NotAnsweredError:
        sampled = {}
    return tuple(
        column.name
        for column in texts
        if types[column.source] == _ADDRESS_TYPE or _are_addresses(sampled.get(column.source, ()))
    )


def values_rule(values: Sequence[str]) -> str:
    """The argument of a field that allows these values and no others."""
    return f"isin=[{', '.join(map(_literal, values))}]"


def addresses_rule(columns: Sequence[str]) -> str:
    """The end of a class: a rule for columns with addresses; empty without columns."""
    return _ADDRESSES.format(columns=", ".join(map(_literal, columns))) if columns else ""


def _are_addresses(texts: Iterable[str | None]) -> bool:
    # Only here: pandas takes long to import.
    import pandas as pd

    from exporter_pipelines.contracts.rules import parses_as_address

    found = [text for text in texts if text is not None]
    return len(found) >= _MIN_ADDRESSES and bool(parses_as_address(pd.Series(found)).all())


def _literal(text: str) -> str:
    """Text as a Python literal on one line."""
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else ascii(text)
