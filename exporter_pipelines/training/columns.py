"""Which columns a set needs from its datasets, and which ones its examples have."""

from __future__ import annotations

from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.training.inputs import Inputs


def compared_columns(config: TrainingSetConfig) -> list[str]:
    """The columns of the rows that the build itself compares, each once."""
    wanted = (
        *(ours for source in config.labels for ours in source.by.values()),
        *config.dedup.exact,
        config.sample.by if config.sample else None,
        config.windows.group if config.windows else None,
        config.split.groups,
    )
    return list(dict.fromkeys(name for name in wanted if name))


def columns_of_rows(config: TrainingSetConfig, inputs: Inputs) -> list[str]:
    """The columns that the rows need in their work files, in the order of the dataset."""
    rows = inputs.rows
    needed = {rows.key, rows.time_column, config.message, *compared_columns(config)}
    needed |= set(rows.columns if config.features is None else config.features)
    return [name for name in rows.columns if name in needed]


def columns_of_labels(config: TrainingSetConfig, inputs: Inputs, dataset: str) -> list[str]:
    """The columns that a label dataset needs in its work files."""
    labels = inputs.labels[dataset]
    sources = [source for source in config.labels if source.dataset == dataset]
    needed = {labels.time_column, *(column for source in sources for column in source.by)}
    needed |= {each.column for source in sources for each in source.when}
    return [name for name in labels.columns if name in needed]


def feature_columns(config: TrainingSetConfig, inputs: Inputs) -> list[str]:
    """The columns of the rows that examples have, key and time column among them."""
    wanted = set(inputs.rows.columns if config.features is None else config.features)
    wanted |= {inputs.rows.key, inputs.rows.time_column}
    return [name for name in inputs.rows.columns if name in wanted]
