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
_ADDRESSES = """
    # A rule, proposed from sampled values. To use it, remove `# ` from the lines below.
    # @pandera.check({columns}, name="valid_address")
    # def _valid_address(cls, addresses):
    #     from exporter_pipelines.contracts.rules import parses_as_address
    #
    #     return parses_as_address(addresses)
"""


def address_columns(
    inspection: Inspection, relation: Relation, columns: Sequence[PlannedColumn]
) -> tuple[str, ...]:
    """The exported names of the text columns in which every sampled value is an IP address.

    A column of PostgreSQL's type `inet` needs no rule.

    Raises:
        ExporterError: the database cannot be read.
    """
    types = {name: type_ for name, type_ in relation.types.items() if type_ != "inet"}
    texts = [column for column in columns if column.kind == "string" and column.source in types]
    if not texts:
        return ()
    try:
        sampled = inspection.sampled_texts(relation, [c.source for c in texts])
    except NotAnsweredError:
        return ()
    return tuple(c.name for c in texts if _are_addresses(sampled.get(c.source, ())))


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
