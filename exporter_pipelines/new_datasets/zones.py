"""Chooses the zone of times that are stored without one."""

from __future__ import annotations

from exporter_pipelines import settings
from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.table_profile import TimeCandidate
from exporter_pipelines.errors import listed
from exporter_pipelines.new_datasets.plan import PlannedColumn, Zone

_SHOWN = 5


def chosen_zone(
    inspection: Inspection,
    relation: Relation,
    time: TimeCandidate,
    columns: tuple[PlannedColumn, ...],
    given: str | None,
) -> Zone:
    """The time zone for `timezone:`."""
    if given is not None:
        return Zone(given, "of times that are stored without one; from --timezone")
    local = [
        column.source
        for column in columns
        if column.kind == "timestamp"
        and (time.is_local if column.source == time.column
             else inspection.is_naive(relation.types[column.source]))
    ]  # fmt: skip
    shown = listed(local[:_SHOWN])
    if local[_SHOWN:]:
        shown += f" and {len(local) - _SHOWN} more columns"
    zone = settings.timezone()
    if local == [time.column] and time.kind == "date":
        return Zone(zone, "a date begins at midnight here")
    if not local:
        return Zone("UTC", "of times that are stored without one; here are none")
    return Zone(
        zone, f"CHECK THIS: the times in {shown} have no zone, and EXPORTER_TIMEZONE is a guess",
        f"The times in {shown} have no time zone and are read as {zone}, like EXPORTER_TIMEZONE. "
        "If they are in another zone, run this again with --timezone ZONE --force",
    )  # fmt: skip
