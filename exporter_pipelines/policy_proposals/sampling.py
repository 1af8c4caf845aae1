"""The columns of a dataset with values of its table."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.contracts.table_profile import Kind
from exporter_pipelines.policy_proposals.columns import SampledColumn


def sampled_columns(
    dataset: Dataset, inspection: Inspection, relation: Relation
) -> list[SampledColumn]:
    """The exported columns of a dataset, with values of some rows.

    Raises:
        ExporterError: the database cannot be read, or does not answer in time.
    """
    dataset = dataset.named_as_in(relation.types, relation.longest_name)
    types = inspection.extra_types(relation, dataset.config.source.timezone)
    dataset = dataset.with_extra_columns(types)
    sources = {
        c.name: dataset.source_name(c.name) for c in dataset.selected(dataset.schema).columns
    }
    texts = inspection.sampled_texts(relation, in_table(relation, sources.values()))
    return [
        SampledColumn(
            name,
            kind_of(column := dataset.schema[name]),
            texts.get(source, ()),
            is_key=name == dataset.config.source.key,
            is_time=name == dataset.config.source.time_column,
            type_name=relation.types.get(source, ""),
            is_extra=column.extra is not None,
        )
        for name, source in sources.items()
    ]


def in_table(relation: Relation, names: Iterable[str]) -> list[str]:
    """The names that are columns of a table, each once."""
    return [name for name in dict.fromkeys(names) if name in relation.types]


def kind_of(column: Column) -> Kind:
    """The type of an exported column."""
    if column.is_json:
        return "json"
    if column.is_timestamp:
        return "timestamp"
    if column.is_identifier or pa.types.is_string(column.type):
        return "string"
    if pa.types.is_integer(column.type):
        return "int64"
    return "bool" if pa.types.is_boolean(column.type) else "float64"
