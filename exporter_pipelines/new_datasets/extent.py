"""How many rows a table has, and of which days."""

from __future__ import annotations

from exporter_pipelines import settings
from exporter_pipelines.contracts.inspection import DaySpan, Inspection, Relation
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.contracts.table_profile import TableProfile, TimeCandidate
from exporter_pipelines.errors import NotAnsweredError, printable
from exporter_pipelines.new_datasets.plan import Zone

_MANY = 1000
_DAYLESS = "Without a usable {column}: {rows}, in no day and never exported"


def measured(
    inspection: Inspection, relation: Relation, time: TimeCandidate, zone: Zone
) -> tuple[DaySpan | None, list[str]]:
    """First and last day of a table, and warnings about its times."""
    source = source_of(relation, time, zone)
    warnings = []
    span = None
    try:
        span = inspection.span(relation, time.column, source, settings.timezone())
        count = inspection.dayless_rows(relation, time.column, source)
        if count:
            shown = f"{_MANY:,} or more rows" if count >= _MANY else counted(count)
            warnings.append(_DAYLESS.format(rows=shown, column=printable(time.column)))
    except NotAnsweredError:
        warnings.append(
            f"{printable(time.column)} could not be examined in time. Most likely no index starts "
            "with it; then each day reads the whole table"
        )
    if span and span.ends_in_future:
        warnings.append(f"The newest row is in the future, on {span.last}. Check `timezone:`")
    return span, warnings


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
