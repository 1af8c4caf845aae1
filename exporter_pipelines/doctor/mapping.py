"""Proposes `table:` and `columns:` for a backend with other names.

The proposal is based on names and types. A person must confirm what the columns contain.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.doctor.synonyms import ADDRESSES, likeness
from exporter_pipelines.errors import listed

_SYNONYM = 0.8
_BY_TYPE = 0.6
_ADDRESS_TYPES = {"inet", "cidr"}
_DOCUMENT_TYPES = {"json", "jsonb"}


@dataclass(frozen=True)
class Proposal:
    """A mapping for a dataset.

    Attributes:
        columns: Exported name -> source name, if they differ.
        encodings: Time column -> encoding of its numbers, if it is not configured.
        changes: Whether the proposal differs from the configuration.
        unmatched: Required columns without a match.
        text: YAML lines to paste below `source:`.
    """

    columns: dict[str, str]
    encodings: dict[str, str]
    changes: bool
    unmatched: tuple[str, ...]
    text: str


def proposal_for(dataset: Dataset, inspection: Inspection, relation: Relation) -> Proposal:
    """Propose a mapping from the columns of a relation to those of a dataset."""
    found = matched(dataset, inspection, relation)
    encodings = dict(_encodings(dataset, inspection, relation, found))
    columns = {name: source for name, source in found.items() if name != source}
    missing = unmatched(dataset, found)
    text = _yaml(dataset, relation, columns, encodings, missing, found.values())
    changes = found != _kept(dataset, inspection, relation) or bool(encodings)
    return Proposal(columns, encodings, changes, missing, text)


def matched(dataset: Dataset, inspection: Inspection, relation: Relation) -> dict[str, str]:
    """Exported name -> source name of every column with a match, in the order of the schema."""
    kept = _kept(dataset, inspection, relation)
    found = {**kept, **_assigned(dataset, inspection, relation, kept)}
    return {
        column.name: found[column.name] for column in dataset.schema.columns if column.name in found
    }


def unmatched(dataset: Dataset, found: Collection[str]) -> tuple[str, ...]:
    """Required columns without a match."""
    return tuple(c.name for c in dataset.schema.columns if c.required and c.name not in found)


def _kept(dataset: Dataset, inspection: Inspection, relation: Relation) -> dict[str, str]:
    """The configured columns that exist and have a suitable type."""
    dataset = dataset.named_as_in(relation.types, relation.longest_name)
    names = {column.name: dataset.source_name(column.name) for column in dataset.schema.columns}
    return {
        name: source
        for name, source in names.items()
        if source in relation.types
        and not inspection.misfit(
            dataset.schema[name], relation.types[source], dataset.config.source
        )
    }


def _assigned(
    dataset: Dataset, inspection: Inspection, relation: Relation, kept: dict[str, str]
) -> dict[str, str]:
    """The most likely pairs of the remaining columns, each used once."""
    wanted = [column for column in dataset.schema.columns if column.name not in kept]
    free = [name for name in relation.types if name not in kept.values()]
    pairs = sorted(
        (
            (-_likelihood(dataset, inspection, relation, column, name), column.name, name)
            for column in wanted
            for name in free
        ),
    )
    assigned: dict[str, str] = {}
    for score, column, name in pairs:
        if score < 0 and column not in assigned and name not in assigned.values():
            assigned[column] = name
    return {
        **assigned,
        **dict(_unique_candidates(dataset, inspection, relation, {**kept, **assigned})),
    }


def _likelihood(
    dataset: Dataset, inspection: Inspection, relation: Relation, column: Column, name: str
) -> float:
    type_name = relation.types[name]
    if not _fits(dataset, inspection, column, type_name):
        return 0.0
    if type_name in _ADDRESS_TYPES and column.name not in ADDRESSES:
        return 0.0  # an address is personal data, so `origin` or `host` is not a program or a name
    score = likeness(column.name, name)
    if _is_meant_for(column, type_name) and _is_only(relation, type_name):
        score = max(score, _BY_TYPE)
    usual = inspection.resembles(column, type_name)
    if not usual and score < _SYNONYM:
        return 0.0  # any type can be read as text, so a similar name is not enough
    if score and column.name == dataset.config.source.key and name == relation.key:
        return score + 0.2
    return score if usual else score - 0.2


def _is_meant_for(column: Column, type_name: str) -> bool:
    """Whether the type alone identifies the column."""
    if column.is_json:
        return type_name in _DOCUMENT_TYPES
    return column.name in ADDRESSES and type_name in _ADDRESS_TYPES


def _is_only(relation: Relation, type_name: str) -> bool:
    group = _DOCUMENT_TYPES if type_name in _DOCUMENT_TYPES else _ADDRESS_TYPES
    return sum(found in group for found in relation.types.values()) == 1


def _unique_candidates(
    dataset: Dataset, inspection: Inspection, relation: Relation, taken: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """The key by its index and the time column by its type, if their names do not match."""
    source = dataset.config.source
    free = [name for name in relation.types if name not in taken.values()]
    if source.key not in taken and relation.key is not None and relation.key in free:
        key = dataset.schema[source.key]
        if inspection.resembles(key, relation.types[relation.key]):
            yield source.key, relation.key
    time = dataset.schema[source.time_column]
    times = [name for name in free if _fits(dataset, inspection, time, relation.types[name])]
    times = [name for name in times if inspection.resembles(time, relation.types[name])]
    if source.time_column not in taken and len(times) == 1:
        yield source.time_column, times[0]


def _fits(dataset: Dataset, inspection: Inspection, column: Column, type_name: str) -> bool:
    """Whether the type can be read, with `timezone:` and `encodings:` if needed."""
    source = dataset.config.source
    given: dict[str, Any] = {"timezone": source.timezone or "UTC"}
    numbers = source.model_copy(
        update={**given, "encodings": {column.name: "epoch_s", **source.encodings}}
    )
    usual = source.model_copy(update=given)
    return None in (
        inspection.misfit(column, type_name, usual),
        inspection.misfit(column, type_name, numbers),
    )


def _encodings(
    dataset: Dataset, inspection: Inspection, relation: Relation, found: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Encodings of numeric time columns, if they are not configured."""
    source = dataset.config.source
    for name, source_name in found.items():
        if dataset.schema[name].is_timestamp and name not in source.encodings:
            encoding = inspection.guessed_encoding(relation, source_name)
            if encoding is not None:
                yield name, encoding


def _yaml(
    dataset: Dataset,
    relation: Relation,
    columns: dict[str, str],
    encodings: dict[str, str],
    missing: Sequence[str],
    used: Collection[str],
) -> str:
    block: dict[str, Any] = {"table": relation.name} if dataset.config.source.table else {}
    block["columns"] = columns
    if encodings:
        block["encodings"] = {**dataset.config.source.encodings, **encodings}
    # YAML escapes what a terminal must not receive, but only without this option.
    is_plain = all(name.isprintable() for name in (relation.name, *columns.values()))
    text = yaml.safe_dump(block, sort_keys=False, allow_unicode=is_plain)
    unused = [name for name in relation.types if name not in used]
    for name in missing:
        text += (
            f"# {name}: no similar column; if you do not have it, write a value under `defaults:` "
            "(beside `source:`, not in it), or make it Optional in the schema\n"
        )
    if missing and unused:
        text += f"# not used: {listed(unused)}\n"
    return textwrap.indent(text.rstrip(), "    ")
