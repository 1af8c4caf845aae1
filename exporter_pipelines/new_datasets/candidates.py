"""The tables of a database, and how `exporter init` would export each of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import DaySpan, Inspection, Relation
from exporter_pipelines.errors import ExporterError, NotAnsweredError, listed
from exporter_pipelines.new_datasets.extent import rows_of, source_of
from exporter_pipelines.new_datasets.keys import chosen_key, unreadable_key
from exporter_pipelines.new_datasets.plan import Zone
from exporter_pipelines.new_datasets.shipped import Resemblance, best_match, resembled
from exporter_pipelines.new_datasets.time_column import preferred_times, unnamed_times
from exporter_pipelines.new_datasets.unsuitable import require_readable

BUDGET_S = 60.0
"""Limit for all tables together. Those that are left are listed by name."""


@dataclass(frozen=True)
class Candidate:
    """A table or view in the list.

    Attributes:
        relation: The table or view.
        rows: Number of rows, as text.
        span: First and last day; None if it has none, or they are unknown.
        key: Columns of the key, as text.
        time: The time column.
        like: The name of the shipped dataset whose schema fits; empty for none.
        resembles: The shipped dataset that it is like, and what it lacks; None if it is like none.
        problem: Why it cannot be exported as it is; empty for no reason.
    """

    relation: Relation
    rows: str = ""
    span: DaySpan | None = None
    key: str = ""
    time: str = ""
    like: str = ""
    resembles: Resemblance | None = None
    problem: str = ""


def candidates(
    inspection: Inspection, relations: Sequence[Relation], shipped: list[Dataset]
) -> Iterator[Candidate]:
    """Each table as soon as it is known."""
    ends = time.monotonic() + BUDGET_S
    for relation in relations:
        if time.monotonic() > ends:
            yield Candidate(relation, problem=f"not examined: {BUDGET_S:g} s are over; name it")
        else:
            try:
                yield _examined(inspection, relation, shipped)
            except ExporterError as error:
                yield Candidate(relation, problem=error.message)


def _examined(inspection: Inspection, relation: Relation, shipped: list[Dataset]) -> Candidate:
    require_readable(inspection, relation)
    rows = rows_of(inspection, relation)
    if match := best_match(shipped, inspection, relation):
        key, found = match.columns[match.dataset.config.source.key], match.time
    else:
        found_times = inspection.time_candidates(relation)
        times = preferred_times(inspection, relation, found_times)
        if not times:
            problem = "no time column"
            if unnamed := unnamed_times(found_times):
                problem += f", but {listed(unnamed)} looks like one: name the table"
            return Candidate(relation, rows, problem=problem)
        found = times[0]
        identified = chosen_key(inspection, relation)
        if identified is None:
            problem = "no key"
            if hidden := unreadable_key(inspection, relation):
                problem = f"its key needs {listed(hidden)}, which this user may not read"
            return Candidate(relation, rows, problem=problem)
        key = listed(identified.columns)
    try:
        source = source_of(relation, found, Zone(settings.timezone(), ""))
        span = inspection.span(relation, found.column, source, settings.timezone())
    except NotAnsweredError:
        span = None
    if match:
        return Candidate(relation, rows, span, key, found.column, match.dataset.name)
    near = resembled(shipped, inspection, relation)
    return Candidate(relation, rows, span, key, found.column, resembles=near)
