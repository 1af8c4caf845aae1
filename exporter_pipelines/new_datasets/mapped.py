"""Decides how a table is exported with the schema of logs, anomalies or IP records."""

from __future__ import annotations

from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.contracts.table_profile import ColumnProfile, Kind
from exporter_pipelines.errors import NotAnsweredError
from exporter_pipelines.new_datasets.extent import basis_of, measured, rows_of
from exporter_pipelines.new_datasets.keys import Key, query_for
from exporter_pipelines.new_datasets.plan import Plan, PlannedColumn
from exporter_pipelines.new_datasets.shipped import Match
from exporter_pipelines.new_datasets.unsuitable import require_readable
from exporter_pipelines.new_datasets.zones import chosen_zone
from exporter_pipelines.transforms.level_aliases import LevelAliases


def planned_like(
    match: Match,
    inspection: Inspection,
    relation: Relation,
    name: str,
    timezone: str | None = None,
) -> Plan:
    """Decide how a table is exported with the schema of another dataset.

    Args:
        match: The dataset, and which column is which.
        inspection: Of the database.
        relation: The table or view.
        name: Of the new dataset.
        timezone: Of its times without a zone, if a user says so.

    Raises:
        UnsuitableTableError: this user may not read it.
        ExporterError: the database cannot be read.
    """
    require_readable(inspection, relation)
    dataset, profile = match.dataset, inspection.profile(relation)
    found = {column.name: column for column in profile.columns}
    columns = tuple(
        PlannedColumn(column.name, match.columns[column.name], _kind(column), column.nullable)
        for column in dataset.schema.columns
        if column.name in match.columns
    )
    source_key = match.columns[dataset.config.source.key]
    key = Key((source_key,), _uniqueness(inspection, relation, source_key))
    zone = chosen_zone(inspection, relation, match.time, columns, timezone)
    extent = measured(inspection, relation, match.time, zone)
    return Plan(
        name, relation, columns, key, match.time, (), zone,
        query=query_for(inspection, relation, key),
        unseen=(),
        rows=rows_of(inspection, relation, profile),
        basis=basis_of(profile),
        span=extent.span,
        days_known=extent.is_known,
        warnings=tuple(filter(None, [zone.warning, *extent.warnings])),
        like=dataset,
        left_out=tuple(c for c in relation.types if c not in match.columns.values()),
        with_nulls=tuple(
            column.name for column in columns
            if not column.nullable and column.source not in (source_key, match.time.column)
            and _may_be_null(found[column.source], is_complete=profile.is_complete)
        ),
        level_number=_level_number(match, found),
    )  # fmt: skip


def _level_number(match: Match, found: dict[str, ColumnProfile]) -> str:
    """The column whose numbers `level_aliases` maps to levels, several to one; empty for none."""
    for transform in match.dataset.config.transforms:
        level = transform.params.get("column", "level")
        source = match.columns.get(level, "")
        if transform.name == LevelAliases.name and source and found[source].kind == "int64":
            return source
    return ""


def _uniqueness(inspection: Inspection, relation: Relation, column: str) -> str:
    try:
        repeats = inspection.key_repeats(relation, column)
    except NotAnsweredError:
        return "has no unique index"
    if repeats is None:
        return "has a unique index"
    return "has repeated values" if repeats else "has no unique index, but no value is repeated"


def _may_be_null(column: ColumnProfile, *, is_complete: bool) -> bool:
    return column.nulls > 0 or not (column.not_null or is_complete)


def _kind(column: Column) -> Kind:
    if column.is_json:
        return "json"
    if column.is_timestamp:
        return "timestamp"
    kinds: dict[str, Kind] = {"int64": "int64", "double": "float64", "bool": "bool"}
    return kinds.get(str(column.type), "string")
