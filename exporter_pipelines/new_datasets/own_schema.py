"""Decides how a table is exported with a schema of its own. Nothing is written here."""

from __future__ import annotations

from dataclasses import replace

from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.table_profile import Kind, TableProfile, TimeCandidate
from exporter_pipelines.errors import listed
from exporter_pipelines.new_datasets.extent import basis_of, measured, rows_of
from exporter_pipelines.new_datasets.keys import Key, chosen_key, query_for, unreadable_key
from exporter_pipelines.new_datasets.naming import exported_names
from exporter_pipelines.new_datasets.plan import Plan, PlannedColumn
from exporter_pipelines.new_datasets.proposed_rules import address_columns
from exporter_pipelines.new_datasets.remarks import Remarks, remarks_on
from exporter_pipelines.new_datasets.time_column import preferred_times, unnamed_times
from exporter_pipelines.new_datasets.unsuitable import (
    no_key,
    no_time,
    not_a_time,
    require_readable,
)
from exporter_pipelines.new_datasets.zones import chosen_zone

_NO_TIME = "rows without a usable time belong to no day"


def planned(
    inspection: Inspection,
    relation: Relation,
    name: str,
    timezone: str | None = None,
    time_column: str | None = None,
) -> Plan:
    """Decide how a table or view is exported.

    Args:
        inspection: Of its database.
        relation: The table or view.
        name: Of the dataset.
        timezone: Of its times without a zone, if a user says so.
        time_column: Which one, if a user says so.

    Raises:
        UnsuitableTableError: it has no key or no time column, or this user may not read it.
        ExporterError: the database cannot be read.
    """
    require_readable(inspection, relation)
    times = _times(inspection, relation, time_column)
    key = chosen_key(inspection, relation)
    if key is None:
        raise no_key(relation, unreadable_key(inspection, relation))
    time, others = times[0], tuple(each.column for each in times[1:])
    profile = _with_time(inspection.profile(relation), time)
    remarks = remarks_on(inspection, relation, profile, {*key.columns, time.column})
    columns = _columns(profile, key, time, remarks)
    zone = chosen_zone(inspection, relation, time, columns, timezone)
    extent = measured(inspection, relation, time, zone)
    query = query_for(inspection, relation, key)
    said = [warning for warning in (zone.warning, key.warning, *extent.warnings) if warning]
    rows = rows_of(inspection, relation, profile)
    return Plan(
        name, relation, columns, key, time, others, zone, query, remarks.unseen, rows,
        basis_of(profile), extent.span, tuple(said), days_known=extent.is_known,
        addresses=address_columns(inspection, relation, columns),
    )  # fmt: skip


def _times(inspection: Inspection, relation: Relation, chosen: str | None) -> list[TimeCandidate]:
    """Columns that can be the time column: the one to use, then the others."""
    candidates = inspection.time_candidates(relation)
    times = preferred_times(inspection, relation, candidates)
    if chosen is not None:
        named = [each for each in candidates if each.column == chosen]
        if not named:
            raise not_a_time(relation, chosen)
        return named + [each for each in times if each.column != chosen]
    if not times:
        raise no_time(relation, unnamed_times(candidates))
    return times


def _with_time(profile: TableProfile, time: TimeCandidate) -> TableProfile:
    """The profile with the time column as it is exported: as a time, whatever some values are."""
    columns = tuple(
        replace(column, kind="timestamp", note=_NO_TIME if column.note else "")
        if column.name == time.column
        else column
        for column in profile.columns
    )
    return replace(profile, columns=columns)


def _columns(
    profile: TableProfile, key: Key, time: TimeCandidate, remarks: Remarks
) -> tuple[PlannedColumn, ...]:
    joined = key.joined_name
    sources = [column.name for column in profile.columns]
    names = exported_names([joined, *sources] if joined else sources)
    columns = [
        PlannedColumn(
            names[column.name],
            column.name,
            column.kind,
            nullable=column.name != time.column and _may_be_null(column.kind, column.not_null),
            remarks=remarks.lines[column.name],
            values=remarks.values.get(column.name, ()),
            has_sampled_values=column.name in remarks.sampled,
        )
        for column in profile.columns
    ]
    if joined:
        said = (f"{listed(key.columns)}, joined by `query:`",)
        columns.insert(0, PlannedColumn(joined, joined, "string", False, said))
    return tuple(columns)


def _may_be_null(kind: Kind, not_null: bool) -> bool:
    """A number may be NaN and a document may be `null`: both are written as null."""
    return not not_null or kind in {"float64", "json"}
