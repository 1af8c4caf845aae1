"""Decides everything about a new dataset. Nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import DaySpan, Inspection, Relation
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.contracts.table_profile import Kind, TableProfile, TimeCandidate
from exporter_pipelines.errors import ConfigurationError, NotAnsweredError, listed, printable
from exporter_pipelines.new_datasets.keys import Key, chosen_key
from exporter_pipelines.new_datasets.naming import exported_names
from exporter_pipelines.new_datasets.remarks import Remarks, remarks_on
from exporter_pipelines.new_datasets.time_column import is_time_name, ranked_times

_MANY = 1000
_SHOWN = 5
_LISTED = 20
_DAYLESS = "{rows} without a usable {column} belong to no day and are not exported"


class UnsuitableTableError(ConfigurationError):
    """A table has no key or no time column, or this user may not read it."""


@dataclass(frozen=True)
class Zone:
    """The time zone of times that are stored without one.

    Attributes:
        name: IANA name.
        why: For a comment.
        warning: What a user should check; empty for nothing.
    """

    name: str
    why: str
    warning: str = ""


@dataclass(frozen=True)
class PlannedColumn:
    """One exported column.

    Attributes:
        name: Exported name.
        source: Name in the table.
        kind: Its type in the schema.
        nullable: Whether a row without a value is valid.
        remarks: Lines for a comment.
    """

    name: str
    source: str
    kind: Kind
    nullable: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A dataset for one table or view.

    Attributes:
        name: Of the dataset.
        relation: The table or view.
        columns: In the order of the export.
        key: What identifies a row.
        time: The time column.
        other_times: Columns that could be the time column as well.
        zone: Of times that are stored without one.
        query: Instead of `table:`; empty for none.
        unseen: Columns whose values were not read, because they may be personal.
        rows: Of the table, as text.
        basis: The rows from which types and nulls are known, as text.
        span: Its first and last day; None without rows, or if the database did not answer in time.
        warnings: What a user should know before the first export.
        like: The dataset whose schema it has; None if it gets its own.
        left_out: Columns of the table that this schema lacks.
        with_nulls: Columns that this schema requires, but of which rows have no value.
    """

    name: str
    relation: Relation
    columns: tuple[PlannedColumn, ...]
    key: Key
    time: TimeCandidate
    other_times: tuple[str, ...]
    zone: Zone
    query: str
    unseen: tuple[str, ...]
    rows: str
    basis: str
    span: DaySpan | None
    warnings: tuple[str, ...]
    like: Dataset | None = None
    left_out: tuple[str, ...] = ()
    with_nulls: tuple[str, ...] = ()

    def exported(self, source: str) -> str:
        """The exported name of a column of the table."""
        return next(column.name for column in self.columns if column.source == source)

    @property
    def like_name(self) -> str:
        """The name of the dataset whose schema it has; empty for none."""
        return self.like.name if self.like else ""

    @property
    def key_name(self) -> str:
        """The exported name of the key."""
        return self.key.joined_name or self.exported(self.key.columns[0])


def planned(
    inspection: Inspection, relation: Relation, name: str, timezone: str | None = None
) -> Plan:
    """Decide how a table or view is exported.

    Args:
        inspection: Of its database.
        relation: The table or view.
        name: Of the dataset.
        timezone: Of its times without a zone, if a user says so.

    Raises:
        UnsuitableTableError: it has no key or no time column, or this user may not read it.
        ExporterError: the database cannot be read.
    """
    require_readable(inspection, relation)
    times = ranked_times(inspection.time_candidates(relation))
    if not times:
        raise _no_time(relation)
    key = chosen_key(inspection, relation)
    if key is None:
        raise _no_key(relation)
    time, others = times[0], tuple(each.column for each in times[1:])
    profile = inspection.profile(relation)
    remarks = remarks_on(inspection, relation, profile, {*key.columns, time.column})
    columns = _columns(profile, key, time, remarks)
    zone = chosen_zone(inspection, relation, time, columns, timezone)
    span, warnings = measured(inspection, relation, time, zone)
    query = query_for(inspection, relation, key)
    said = [warning for warning in (zone.warning, key.warning, *warnings) if warning]
    rows = rows_of(inspection, relation, profile)
    return Plan(
        name, relation, columns, key, time, others, zone, query, remarks.unseen, rows,
        basis_of(profile), span, tuple(said),
    )  # fmt: skip


def require_readable(inspection: Inspection, relation: Relation) -> None:
    """Check that this user may read a table, and all of its rows.

    Raises:
        UnsuitableTableError: they may not.
    """
    if not relation.readable:
        raise UnsuitableTableError(
            f"This user has no permission to read {printable(relation.name)}.",
            f"GRANT SELECT ON {printable(relation.name)} (and USAGE on its schema) to the user.",
        )
    for concern in inspection.concerns(relation):
        if concern.level == "FAIL":
            raise UnsuitableTableError(f"{concern.message}.", concern.hint)


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
            "timestamp" if column.name == time.column else column.kind,
            nullable=column.name != time.column and _may_be_null(column.kind, column.not_null),
            remarks=remarks.lines[column.name],
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


def query_for(inspection: Inspection, relation: Relation, key: Key) -> str:
    """A query in place of `table:`, if that is not enough; otherwise empty."""
    if key.joined_name:
        return inspection.query_of(relation, key.columns, key.joined_name)
    return "" if relation.nameable else inspection.query_of(relation, (), "")


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


def _no_time(relation: Relation) -> UnsuitableTableError:
    called = [name for name in relation.types if is_time_name(name)]
    unreadable = ""
    if called:
        unreadable = f" No value of {listed(called)} can be read as a time, see docs/types.md."
    return UnsuitableTableError(
        f"{printable(relation.name)} has no time column that could decide the day of a row "
        f"(there are: {_types(relation)}).{unreadable}",
        "Create a view with a timestamp column and name the view, or write the dataset by hand "
        "with `query:`: docs/datasets.md.",
    )


def _no_key(relation: Relation) -> UnsuitableTableError:
    return UnsuitableTableError(
        f"{printable(relation.name)} has no key: no unique index on columns that are NOT NULL, and "
        f"no column that is called like a key and has distinct values "
        f"(there are: {_types(relation)}).",
        "Add a primary key, or create a view with a column that identifies a row and name the "
        "view, or write the dataset by hand with `query:`: docs/datasets.md.",
    )


def _types(relation: Relation) -> str:
    columns = [f"{name} {type_}" for name, type_ in relation.types.items()]
    more = f" and {len(columns) - _LISTED} more" if columns[_LISTED:] else ""
    return listed(columns[:_LISTED]) + more
