"""Finds the table that was probably meant, if the configured one does not exist."""

from __future__ import annotations

from collections.abc import Sequence

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.doctor.mapping import matched, unmatched
from exporter_pipelines.doctor.synonyms import alike, likeness


def ranked_tables(
    dataset: Dataset, inspection: Inspection, relations: Sequence[Relation]
) -> list[Relation]:
    """Relations that may be the configured table, the most likely first: by name and columns."""
    scored = [(_suitability(dataset, inspection, relation), relation) for relation in relations]
    ordered = sorted(scored, key=lambda pair: -pair[0])
    return [relation for suitability, relation in ordered if suitability > 0]


def _suitability(dataset: Dataset, inspection: Inspection, relation: Relation) -> float:
    found = matched(dataset, inspection, relation)
    missing = unmatched(dataset, found)
    required = sum(column.required for column in dataset.schema.columns)
    covered = 1 - len(missing) / required
    if covered < 0.5 or dataset.config.source.time_column in missing:
        return 0.0
    named = sum(likeness(name, source_name) for name, source_name in found.items())
    name = relation.name.rpartition(".")[2]
    table = dataset.config.source.origin.rpartition(".")[2]
    like_it = max(alike(name, table), alike(name, dataset.name))
    return covered + named / len(dataset.schema.names) + like_it
