"""Tables that hold what a dataset of the project exports: logs, anomalies or IP records.

Such a table needs no schema of its own, only the names of its columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.table_profile import TimeCandidate
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.doctor.mapping import matched, unmatched
from exporter_pipelines.doctor.synonyms import likeness
from exporter_pipelines.errors import ConfigurationError, listed

_NAMES = ("logs", "anomalies", "ips")
_MIN_LIKENESS = 0.7
# Names that say little about what a column holds.
_VAGUE = {"content", "data", "description", "info", "name", "number", "text", "value", "weight"}


@dataclass(frozen=True)
class Match:
    """A dataset of the project that a table can be exported as.

    Attributes:
        dataset: The dataset.
        columns: Exported name -> name in the table, of all columns that the table has.
        time: The time column of the table.
        likeness: From 0 to 1.
    """

    dataset: Dataset
    columns: dict[str, str]
    time: TimeCandidate
    likeness: float


@dataclass(frozen=True)
class Resemblance:
    """A dataset of the project that a table is like, but cannot be exported as.

    Attributes:
        dataset: The dataset.
        lacks: Exported names of the required columns that no column of the table is like.
    """

    dataset: Dataset
    lacks: tuple[str, ...]

    def __str__(self) -> str:
        return f"like {self.dataset.name}, but without {listed(self.lacks)}"


def shipped_datasets(definitions: Definitions) -> list[Dataset]:
    """The datasets of the project that are still there."""
    found = []
    for name in _NAMES:
        try:
            dataset = definitions.named(name)
        except ConfigurationError:
            continue  # removed, or being edited
        if has_shipped_schema(dataset, (name,)):
            found.append(dataset)
    return found


def has_shipped_schema(dataset: Dataset, names: tuple[str, ...] = _NAMES) -> bool:
    """Whether a dataset or preset has the schema of one that is part of the project."""
    schema = dataset.config.row_schema
    return schema.startswith(tuple(f"exporter_pipelines.defs.{name}.schema." for name in names))


def best_match(datasets: list[Dataset], inspection: Inspection, relation: Relation) -> Match | None:
    """The dataset that a table is most like; None if none has all its required columns there."""
    times = {each.column: each for each in inspection.time_candidates(relation)}
    matches = [
        match
        for dataset in datasets
        for match in _matches(dataset, inspection, relation, times)
        if match.likeness >= _MIN_LIKENESS
    ]
    return max(matches, key=lambda match: match.likeness, default=None)


def resembled(
    datasets: list[Dataset], inspection: Inspection, relation: Relation
) -> Resemblance | None:
    """The dataset that a table is most like, if required columns are missing; None if none is."""
    found: list[tuple[float, Resemblance]] = []
    for dataset in datasets:
        blank = _without_names(dataset, relation)
        columns = matched(blank, inspection, relation)
        lacks = unmatched(blank, columns)
        scores = [
            _likeness_of(name, columns[name]) for name in _telling(dataset) if name in columns
        ]
        is_half = scores and 2 * len(scores) >= len(_telling(dataset))
        has_time = dataset.config.source.time_column in columns
        if lacks and has_time and is_half and sum(scores) / len(scores) >= _MIN_LIKENESS:
            found.append((sum(scores) / len(_telling(dataset)), Resemblance(dataset, lacks)))
    return max(found, key=lambda each: each[0], default=(0.0, None))[1]


def _matches(
    dataset: Dataset, inspection: Inspection, relation: Relation, times: dict[str, TimeCandidate]
) -> Iterator[Match]:
    blank = _without_names(dataset, relation)
    columns = matched(blank, inspection, relation)
    time = times.get(columns.get(dataset.config.source.time_column, ""))
    if time and not unmatched(blank, columns):
        yield Match(dataset, columns, time, _likeness(dataset, columns))


def _without_names(dataset: Dataset, relation: Relation) -> Dataset:
    """The dataset as shipped: without names of another table."""
    source = dataset.config.source.model_copy(
        update={
            "table": relation.name, "query": None, "columns": {}, "encodings": {},
            "timezone": "UTC",
        }
    )  # fmt: skip
    return replace(dataset, config=dataset.config.model_copy(update={"source": source}))


def _likeness(dataset: Dataset, columns: dict[str, str]) -> float:
    """Mean over the columns that say what a row is."""
    scores = [_likeness_of(name, columns[name]) for name in _telling(dataset)]
    return sum(scores) / len(scores)


def _telling(dataset: Dataset) -> list[str]:
    """The columns that say what a row is: not key, not time, not optional."""
    source = dataset.config.source
    return [
        column.name
        for column in dataset.schema.columns
        if column.required and column.name not in (source.key, source.time_column)
    ]


def _likeness_of(exported: str, name: str) -> float:
    return 0.5 if name.lower() in _VAGUE else likeness(exported, name)
