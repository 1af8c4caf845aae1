"""The column that decides the day of a row: zone, index, rows without a day, first and last day."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import DaySpan, Finding, Inspection, Relation

_MANY = 1000
Look = tuple[str, Callable[[], Iterator[Finding]]]


def examine_time(dataset: Dataset, inspection: Inspection, relation: Relation) -> Iterator[Look]:
    """Looks by the name of their check; none when the column is absent or of a wrong type."""
    source = dataset.config.source
    name = dataset.source_name(source.time_column)
    found = relation.types.get(name)
    column = dataset.schema[source.time_column]
    if found is None or inspection.misfit(column, found, source):
        return  # said by columns or types
    if inspection.is_naive(found):
        yield "zone", lambda: _zone(dataset, name, found)
    if not relation.is_view:
        yield "index", lambda: _index(dataset, inspection, relation, name)
    yield "dayless rows", lambda: _dayless(dataset, inspection, relation, name)
    yield "days", lambda: _days(dataset, inspection, relation, name)


def _zone(dataset: Dataset, name: str, type_name: str) -> Iterator[Finding]:
    zone = dataset.config.source.timezone
    yield Finding(
        "ok", dataset.name, "zone",
        f"{name} is {type_name}; without a zone of its own it is read as {zone}",
        "If it is written in another zone, say so under `timezone:`.",
    )  # fmt: skip


def _index(
    dataset: Dataset, inspection: Inspection, relation: Relation, name: str
) -> Iterator[Finding]:
    statement = inspection.missing_index(relation, name)
    if statement is None:
        yield Finding("ok", dataset.name, "index", f"An index begins with {name}")
    else:
        yield Finding(
            "warn", dataset.name, "index",
            f"No index begins with {name}: each day reads the whole table", statement,
        )  # fmt: skip


def _dayless(
    dataset: Dataset, inspection: Inspection, relation: Relation, name: str
) -> Iterator[Finding]:
    count = inspection.dayless_rows(relation, name, dataset.config.source)
    if count == 0:
        yield Finding("ok", dataset.name, "dayless rows", f"Every row has a usable {name}")
        return
    shown = f"{_MANY} or more" if count >= _MANY else str(count)
    yield Finding(
        "warn", dataset.name, "dayless rows",
        f"Rows whose {name} is null, infinite or no date: {shown}",
        "They belong to no day and are never exported; give them a time.",
    )  # fmt: skip


def _days(
    dataset: Dataset, inspection: Inspection, relation: Relation, name: str
) -> Iterator[Finding]:
    zone = settings.timezone()
    span = inspection.span(relation, name, dataset.config.source, zone)
    if span is None:
        yield Finding("warn", dataset.name, "days", f"{relation.name} has no rows with a time", "")
        return
    yield _range(dataset.name, span, settings.start_date(), settings.end_date())
    if span.ends_in_future:
        yield Finding(
            "warn", dataset.name, "days", f"The newest row lies in the future, on {span.last}",
            "Is `timezone:` the zone in which the times were written?",
        )  # fmt: skip


def _range(dataset: str, span: DaySpan, start: str, end: str | None) -> Finding:
    message = f"Rows from {span.first} to {span.last}"
    if span.last < start or (end is not None and span.first >= end):
        return Finding(
            "warn", dataset, "days", f"{message}, none of them in the range that can be exported",
            f"Set EXPORTER_START_DATE={span.first}, and EXPORTER_END_DATE empty or after the last.",
        )  # fmt: skip
    hint = ""
    if span.first < start:
        hint = f"Earlier days than {start} need EXPORTER_START_DATE={span.first}."
    elif end is not None and span.last >= end:
        hint = f"Days from {end} on need another EXPORTER_END_DATE, or an empty one."
    return Finding("ok", dataset, "days", message, hint)
