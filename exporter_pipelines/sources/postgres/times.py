"""How PostgreSQL columns hold instants, and the SQL that reads each kind.

Belongs here: for every type of a time column, what is an instant, what is none, and which range of
stored values a day lies in. Does not belong here: the rest of the query.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from psycopg import sql

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.sources.time_encodings import (
    EARLIEST_US,
    ISO8601,
    LATEST_US,
    OFFSET,
    UNITS_US,
    ZONE_SLACK,
    since_epoch_us,
)

NAIVE_TIMES = {"timestamp", "date"}
TEXTS = {"text", "varchar", "bpchar", "name", "citext"}
WHOLE_NUMBERS = {"int2", "int4", "int8"}
NUMBERS = WHOLE_NUMBERS | {"float4", "float8", "numeric"}

# What ISO-8601 with a four-digit year can say. Arrow's int64 microseconds reach 292,000 years
# either way, and both infinity and the year 294276 overflow it without an error.
_EARLIEST = "'0001-01-01 00:00:00+00'::timestamptz"
_LATEST = "'9999-12-31 23:59:59.999999+00'::timestamptz"


Borders = Callable[[DayWindow], tuple[sql.Composable, sql.Composable]]


@dataclass(frozen=True)
class StoredTime:
    """How one time column is read.

    Attributes:
        instant: Expression over the stored value `{v}`; a timestamptz, or null where it is none.
        value: The same, null as well where no file can say it; left out when it always is.
        borders: Of a window, as stored values: from, and before which. An index serves them.
        inner: Expression over the table's column `{ref}` that gives `{v}`.
        is_exact: The borders decide alone. Otherwise the instant has to be compared as well.
        is_ordered: Stored values sort as their instants do.
        rejected: (rule, condition over `{v}`, text over `{v}` to show for it).
        changed: (rule, condition over `{v}`).
    """

    instant: str
    borders: Borders
    value: str = ""
    inner: str = "{ref}"
    is_exact: bool = False
    is_ordered: bool = True
    rejected: tuple[tuple[str, str, str], ...] = ()
    changed: tuple[tuple[str, str], ...] = ()


def stored_time(pg_type: str, encoding: str, timezone: str | None) -> StoredTime | str:
    """How a column of `pg_type` holds instants; or, when it cannot, what would be needed.

    Args:
        pg_type: Type name as in `pg_type`.
        encoding: How numbers count, as in `encodings:` of a dataset.
        timezone: Zone of times without one, if it is known.
    """
    unit_us = UNITS_US.get(encoding)
    if unit_us and pg_type in NUMBERS:
        return _epoch(pg_type, unit_us)
    if unit_us and pg_type not in TEXTS:
        return f"a number or text, since `encodings:` says {encoding}"
    if pg_type == "timestamptz":
        return _aware()
    if pg_type not in NAIVE_TIMES | TEXTS:
        return "timestamptz, timestamp or date, ISO 8601 text, or a number with `encodings:`"
    if timezone is None:
        return "timestamptz, or this type with `timezone:` in the source of the dataset"
    return _text(timezone) if pg_type in TEXTS else _naive(timezone)


def zone_literal(timezone: str) -> sql.Literal:
    """An IANA zone as PostgreSQL must be told it.

    It reads these four names as abbreviations of a fixed offset, without summer time; since
    tzdata 2024b they are links to the cities given here.
    """
    cities = {"CET": "Brussels", "MET": "Brussels", "EET": "Athens", "WET": "Lisbon"}
    return sql.Literal(f"Europe/{cities[timezone]}" if timezone in cities else timezone)


def instant_literal(instant: dt.datetime) -> sql.Composable:
    """An instant as a timestamptz."""
    return sql.SQL("{}::timestamptz").format(sql.Literal(instant.isoformat()))


def _aware() -> StoredTime:
    outside = f"{{v}} < {_EARLIEST} OR {{v}} > {_LATEST}"
    return StoredTime(
        instant=f"CASE WHEN {outside} THEN NULL ELSE {{v}} END",
        borders=lambda window: (instant_literal(window.start), instant_literal(window.end)),
        is_exact=True,
        rejected=(("timestamp_out_of_range", outside, "{v}::text"),),
    )


def _naive(timezone: str) -> StoredTime:
    instant = f"({{v}}::timestamp AT TIME ZONE {zone_literal(timezone).as_string()})"
    # A date or timestamp far out cannot be moved to a zone, so it is compared as it is stored;
    # only within a day of either end does the zone decide.
    outside = (
        "CASE WHEN {v} BETWEEN '0001-01-02'::timestamp AND '9999-12-30'::timestamp THEN false "
        "WHEN {v} BETWEEN '0001-12-30 BC'::timestamp AND '10000-01-02'::timestamp "
        f"THEN {instant} NOT BETWEEN {_EARLIEST} AND {_LATEST} "
        "ELSE {v} IS NOT NULL END"
    )
    return StoredTime(
        instant=f"CASE WHEN {outside} THEN NULL ELSE {instant} END",
        borders=lambda window: (
            _local(window.start - ZONE_SLACK, timezone),
            _local(window.end + ZONE_SLACK, timezone),
        ),
        rejected=(("timestamp_out_of_range", outside, "{v}::text"),),
    )


def _local(instant: dt.datetime, zone: str) -> sql.Composable:
    local = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return sql.SQL("{}::timestamp").format(sql.Literal(local.isoformat()))


def _text(timezone: str) -> StoredTime:
    """ISO 8601 text. The pattern lets nothing through whose cast could fail the query."""
    readable = f"{{v}} ~ '{ISO8601}'"
    # Digits beyond the sixth are cut off; the cast would round them.
    cut = (
        "concat(substring({v} from '^[^.]*'), '.' || left(substring({v} from '[.]([0-9]+)'), 6), "
        "substring({v} from '[.][0-9]+(.*)$'))"
    )
    # Null first: concat makes an empty text of it.
    instant = (
        f"CASE WHEN ({readable}) IS NOT TRUE THEN NULL "
        f"WHEN {{v}} ~ ':[0-9][0-9].*{OFFSET}$' THEN {cut}::timestamptz "
        f"ELSE {cut}::timestamp AT TIME ZONE {zone_literal(timezone).as_string()} END"
    )
    outside = f"({instant}) NOT BETWEEN {_EARLIEST} AND {_LATEST}"
    return StoredTime(
        inner="{ref}::text",
        instant=instant,
        value=f"CASE WHEN {outside} THEN NULL ELSE {instant} END",
        borders=lambda window: (_date(window.start, -ZONE_SLACK), _date(window.end, ZONE_SLACK)),
        is_ordered=False,
        rejected=(
            ("unreadable_time", f"NOT {readable}", "left({v}, 500)"),
            ("timestamp_out_of_range", outside, "{v}"),
        ),
        changed=(("timestamp_truncated", f"{readable} AND {{v}} ~ '[.][0-9][0-9][0-9][0-9][0-9]"
                  "[0-9][0-9]*[1-9]'"),),
    )  # fmt: skip


def _date(instant: dt.datetime, slack: dt.timedelta) -> sql.Composable:
    """A date well before or after, which all text of that day sorts behind or before.

    In any collation: text begins with the digits of its date, however it goes on.
    """
    try:
        return sql.Literal((instant + 2 * slack).date().isoformat())
    except OverflowError:
        return sql.Literal("0000" if slack < dt.timedelta() else "9999-99")


def _epoch(pg_type: str, unit_us: int) -> StoredTime:
    """A count since 1970. Computed as numeric: exact, and far out it cannot overflow."""
    exact = f"({{v}}::numeric * {unit_us})"
    if pg_type.startswith("float"):
        # The digits that the number is written with are meant; infinity fails the cast.
        special = "{v} IN ('NaN', 'Infinity', '-Infinity')"
        exact = (
            f"(CASE WHEN {special} THEN 'NaN'::numeric ELSE {{v}}::text::numeric END * {unit_us})"
        )
    outside = f"floor({exact}) NOT BETWEEN {EARLIEST_US} AND {LATEST_US}"
    us = f"floor({exact})::int8"
    # In whole days and the rest: an interval of so many microseconds is computed as a double.
    instant = (
        f"'1970-01-01 00:00:00+00'::timestamptz + ({us} / 86400000000)::float8 * interval '1 day' "
        f"+ ({us} % 86400000000)::float8 * interval '1 microsecond'"
    )
    is_whole = pg_type in WHOLE_NUMBERS
    finer = f"CASE WHEN {outside} THEN false ELSE {exact} <> floor({exact}) END"
    return StoredTime(
        instant=f"CASE WHEN {outside} THEN NULL ELSE {instant} END",
        borders=lambda window: _counts(window, unit_us, slack=0 if is_whole else 1),
        is_exact=is_whole,
        rejected=(("timestamp_out_of_range", outside, "{v}::text"),),
        changed=() if is_whole else (("timestamp_truncated", finer),),
    )


def _counts(
    window: DayWindow, unit_us: int, *, slack: int
) -> tuple[sql.Composable, sql.Composable]:
    """The window in units, rounded up at both ends: a whole number is inside or not."""
    start, end = (-(-since_epoch_us(t) // unit_us) for t in (window.start, window.end))
    return sql.Literal(start - slack), sql.Literal(end + slack)
