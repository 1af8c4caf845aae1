"""How many rows a table has, and of which days."""

from __future__ import annotations

from dataclasses import dataclass

from exporter_pipelines import settings
from exporter_pipelines.contracts.inspection import DaySpan, Inspection, Relation
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.contracts.table_profile import TableProfile, TimeCandidate
from exporter_pipelines.errors import NotAnsweredError, printable
from exporter_pipelines.new_datasets.plan import Zone

_MANY = 1000
_DAYLESS = "Without a usable {column}: {rows}, in no day and never exported"


@dataclass(frozen=True)
class Extent:
    """The days of a table.

    Attributes:
        span: First and last day; None without rows, or if they are not known.
        is_known: False if the database did not answer in time.
        warnings: About the times.
    """

    span: DaySpan | None
    is_known: bool
    warnings: list[str]


def measured(inspection: Inspection, relation: Relation, time: TimeCandidate, zone: Zone) -> Extent:
    """First and last day of a table, and warnings about its times."""
    source = source_of(relation, time, zone)
    column = printable(time.column)
    try:
        span = inspection.span(relation, time.column, source, settings.timezone())
    except NotAnsweredError as error:
        return Extent(None, False, [_unread(f"The first and last day of {column}", error)])
    warnings = []
    try:
        count = inspection.dayless_rows(relation, time.column, source)
        if count:
            shown = f"{_MANY:,} or more rows" if count >= _MANY else counted(count)
            warnings.append(_DAYLESS.format(rows=shown, column=column))
    except NotAnsweredError as error:
        warnings.append(_unread(f"The number of rows without a usable {column}", error))
    if span and span.ends_in_future:
        warnings.append(f"The newest row is in the future, on {span.last}. Check `timezone:`")
    return Extent(span, True, warnings)


def _unread(what: str, error: NotAnsweredError) -> str:
    return f"{what} could not be read: {error.message}. {error.hint.rstrip('.')}"


def source_of(relation: Relation, time: TimeCandidate, zone: Zone) -> SourceConfig:
    """The part of `source:` that says how times are read; columns under their own names."""
    encodings = {time.column: time.encoding} if time.kind == "number" else {}
    return SourceConfig(
        table=relation.name, key=time.column, time_column=time.column, timezone=zone.name,
        encodings=encodings,
    )  # fmt: skip


def rows_of(inspection: Inspection, relation: Relation, profile: TableProfile | None = None) -> str:
    """The number of rows, as text; of a complete profile without another query."""
    if profile and profile.is_complete:
        return counted(profile.rows)
    found = inspection.row_count(relation)
    if found is None:
        return "an unknown number of rows"
    return f"{'about ' if found.is_estimate else ''}{counted(found.number)}"


def counted(rows: int) -> str:
    """A number of rows, as text."""
    return "1 row" if rows == 1 else f"{rows:,} rows"


def basis_of(profile: TableProfile) -> str:
    """The rows that a profile was made from, as text."""
    if profile.is_complete and profile.rows == 1:
        return "its only row"
    return f"{'all' if profile.is_complete else 'a sample of'} {counted(profile.rows)}"
