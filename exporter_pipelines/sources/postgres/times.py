"""SQL that reads the time column, for each type that it may have.

Belongs here: for every type, which values are an instant, which are rejected, and which range of
stored values contains a day. Does not belong here: the rest of the query.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from psycopg import sql

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.sources.time_encodings import (
    DATE_SLACK,
    EARLIEST_US,
    ISO8601,
    LATEST_US,
    NUMBERS,
    OFFSET,
    ZONE_SLACK,
    Unit,
    since_epoch_us,
)
from exporter_pipelines.sources.time_spellings import DATE_SEPARATORS, PATTERN

NAIVE_TIMES = {"timestamp", "date"}
TEXTS = {"text", "varchar", "bpchar", "name", "citext"}
WHOLE_NUMBERS = {"int2", "int4", "int8"}
NUMERIC_TYPES = WHOLE_NUMBERS | {"float4", "float8", "numeric"}

# The range of ISO 8601 with a four-digit year. It must be checked in SQL: Arrow's int64
# microseconds cover 292,000 years each way, and infinity and the year 294276 overflow them without
# an error.
EARLIEST = "'0001-01-01 00:00:00+00'::timestamptz"
LATEST = "'9999-12-31 23:59:59.999999+00'::timestamptz"


Range = tuple[sql.Composable, sql.Composable]

# Rewrites `{v}` as `time_spellings.iso8601_of` does. The groups of the pattern are its elements.
_RESPELLED = f"""
concat(m[1], '-', coalesce(m[2], m[4], m[6]), '-', coalesce(m[3], m[5], m[7]),
    ' ' || lpad(coalesce(m[8], m[12]), 2, '0') || ':' || coalesce(m[9], m[13], '00')
        || ':' || coalesce(m[10], m[14], '00'),
    '.' || coalesce(m[11], m[15]),
    CASE WHEN m[16] IS NOT NULL THEN 'Z' ELSE m[17] || ':' || coalesce(m[18], '00') END
) COLLATE "C" AS c FROM (SELECT regexp_match({{v}}, '{PATTERN}') AS m OFFSET 0) AS p
"""


@dataclass(frozen=True)
class StoredTime:
    """How one time column is read.

    Attributes:
        instant: Expression on the stored value `{v}`: a timestamptz, or null if it is no instant.
        value: Like `instant`, but also null outside of the years 1 to 9999. Empty if `instant` is
            null there already.
        ranges: Window -> ranges of stored values, each with its first value and the first one after
            it. They hold all rows of the window. They are compared with the stored column, so that
            PostgreSQL can use an index.
        inner: Expression on the table's column `{ref}` that gives `{v}`.
        is_exact: Whether the ranges decide alone. Otherwise they are wider than the window, and the
            instant is compared as well.
        limits: Stored values below the first and above the second may be no instant; all others,
            except null, are. None if any value may be none.
        is_ordered: Whether stored values sort like their instants.
        rejected: (rule, condition on `{v}`, text of `{v}` for the quarantine).
        changed: (rule, condition on `{v}`).
    """

    instant: str
    ranges: Callable[[DayWindow], Sequence[Range]]
    value: str = ""
    inner: str = "{ref}"
    is_exact: bool = False
    limits: tuple[str, str] | None = None
    is_ordered: bool = True
    rejected: tuple[tuple[str, str, str], ...] = ()
    changed: tuple[tuple[str, str], ...] = ()

    def roughly(self, column: sql.Composable, window: DayWindow) -> sql.Composable:
        """A condition on the stored column that holds for all rows of a window."""
        return sql.SQL("({})").format(
            sql.SQL(" OR ").join(
                sql.SQL("({column} >= {start} AND {column} < {end})").format(
                    column=column, start=start, end=end
                )
                for start, end in self.ranges(window)
            )
        )


# Whether text sorts by its digits in the collation of a column. In some (ICU with `kn-true`) a row
# of digits is one number. LIMIT 0 reads no row; it only gives the collation.
SORTS_BY_DIGITS = """
SELECT bool_and(coalesce((SELECT {column} FROM {table} AS t LIMIT 0)::text, a) < b) AS found
FROM (VALUES ('20261030', '20261101093000'), ('20261101093000.5', '20261103'),
    ('2026-10-30', '2026-11-01 9:30'), ('2026-11-01T23:59:59,999', '2026-11-03'),
    ('2026/10/30', '2026/11/01'), ('2026/11/01 9:30', '2026/11/03')) AS pairs(a, b)
"""


def stored_time(pg_type: str, encoding: str, timezone: str | None) -> StoredTime | str:
    """How to read a time column of type `pg_type`; or, if this is not possible, what is needed.

    Args:
        pg_type: Type name as in `pg_type`.
        encoding: Unit of numbers, as in `encodings:` of a dataset.
        timezone: Zone of times without an offset, if it is known.
    """
    unit = NUMBERS.get(encoding)
    if unit and pg_type in NUMERIC_TYPES:
        return _number(pg_type, unit)
    if unit and pg_type not in TEXTS:
        return f"a number or text, because `encodings:` is {encoding}"
    if pg_type == "timestamptz":
        return _aware()
    if pg_type not in NAIVE_TIMES | TEXTS:
        return "timestamptz, timestamp or date, text with a time, or a number with `encodings:`"
    if timezone is None:
        return "timestamptz, or this type with `timezone:` in the source of the dataset"
    return _text(timezone) if pg_type in TEXTS else _naive(timezone)


def zone_literal(timezone: str) -> sql.Literal:
    """An IANA zone for PostgreSQL.

    PostgreSQL reads four of the names as abbreviations with a fixed offset, without summer time.
    Since tzdata 2024b these names are links to the cities that are used here instead.
    """
    cities = {"CET": "Brussels", "MET": "Brussels", "EET": "Athens", "WET": "Lisbon"}
    return sql.Literal(f"Europe/{cities[timezone]}" if timezone in cities else timezone)


def instant_literal(instant: dt.datetime) -> sql.Composable:
    """An instant as a timestamptz."""
    return sql.SQL("{}::timestamptz").format(sql.Literal(instant.isoformat()))


def _aware() -> StoredTime:
    outside = f"{{v}} < {EARLIEST} OR {{v}} > {LATEST}"
    return StoredTime(
        instant=f"CASE WHEN {outside} THEN NULL ELSE {{v}} END",
        ranges=lambda window: [(instant_literal(window.start), instant_literal(window.end))],
        is_exact=True,
        limits=(EARLIEST, LATEST),
        rejected=(("timestamp_out_of_range", outside, "{v}::text"),),
    )


def _naive(timezone: str) -> StoredTime:
    instant = f"({{v}}::timestamp AT TIME ZONE {zone_literal(timezone).as_string()})"
    # AT TIME ZONE fails for dates near the limits of the type. So values are compared as they are
    # stored, and the zone is applied only within a day of the first and the last valid instant.
    outside = (
        "CASE WHEN {v} BETWEEN '0001-01-02'::timestamp AND '9999-12-30'::timestamp THEN false "
        "WHEN {v} BETWEEN '0001-12-30 BC'::timestamp AND '10000-01-02'::timestamp "
        f"THEN {instant} NOT BETWEEN {EARLIEST} AND {LATEST} "
        "ELSE {v} IS NOT NULL END"
    )
    return StoredTime(
        instant=f"CASE WHEN {outside} THEN NULL ELSE {instant} END",
        ranges=lambda window: [
            (
                _local(window.start - ZONE_SLACK, timezone),
                _local(window.end + ZONE_SLACK, timezone),
            )
        ],
        limits=("'0001-01-02'::timestamp", "'9999-12-30'::timestamp"),
        rejected=(("timestamp_out_of_range", outside, "{v}::text"),),
    )


def _local(instant: dt.datetime, zone: str) -> sql.Composable:
    local = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return sql.SQL("{}::timestamp").format(sql.Literal(local.isoformat()))


def _text(timezone: str) -> StoredTime:
    """Text. One failed cast would fail the whole query; the pattern excludes such text."""
    readable = f"{{v}} ~ '{ISO8601}'"
    respelled = (
        f"(SELECT CASE WHEN c ~ '{ISO8601}' THEN {_cast('c', timezone)} END "  # noqa: S608
        f"FROM (SELECT {_RESPELLED} OFFSET 0) AS s)"
    )
    instant = (
        f"CASE WHEN {readable} THEN {_cast('{v}', timezone)} "
        f"WHEN {{v}} ~ '{PATTERN}' THEN {respelled} END"
    )
    outside = f"({instant}) NOT BETWEEN {EARLIEST} AND {LATEST}"
    unreadable = f"CASE WHEN {{v}} IS NULL OR {readable} THEN false ELSE ({instant}) IS NULL END"
    # In the spelling of Go, the monotonic clock after `=` has a fraction, too.
    finer = "'^[^.,=]*[.,][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*[1-9]'"
    return StoredTime(
        # No other collation lets every text be matched with a pattern.
        inner='({ref}::text COLLATE "C")',
        instant=instant,
        value=f"CASE WHEN {outside} THEN NULL ELSE {instant} END",
        ranges=lambda window: [
            (
                _date(window.start, -ZONE_SLACK, separator),
                _date(window.end, DATE_SLACK, separator),
            )
            for separator in DATE_SEPARATORS
        ],
        is_ordered=False,
        rejected=(
            ("unreadable_time", unreadable, "left({v}, 500)"),
            ("timestamp_out_of_range", outside, "{v}"),
        ),
        changed=(
            (
                "timestamp_truncated",
                f"CASE WHEN {{v}} ~ {finer} THEN ({instant}) IS NOT NULL ELSE false END",
            ),
        ),
    )


def _cast(text: str, timezone: str) -> str:
    """The instant of a text that matches `ISO8601`."""
    # Digits after the sixth are cut off, because the cast would round them.
    cut = (
        f"concat(substring({text} from '^[^.]*'), "
        f"'.' || left(substring({text} from '[.]([0-9]+)'), 6), "
        f"substring({text} from '[.][0-9]+(.*)$'))"
    )
    return (
        f"CASE WHEN {text} ~ ':[0-9][0-9].*{OFFSET}$' THEN {cut}::timestamptz "
        f"ELSE {cut}::timestamp AT TIME ZONE {zone_literal(timezone).as_string()} END"
    )


def _date(instant: dt.datetime, slack: dt.timedelta, separator: str) -> sql.Composable:
    """A date before or after all text of a day in the sort order, in any collation.

    Text starts with the digits of its date, so a date that is far enough away is a safe border.
    """
    try:
        date = (instant + 2 * slack).date().isoformat()
    except OverflowError:
        date = "0000" if slack < dt.timedelta() else "9999-99"
    return sql.Literal(date.replace("-", separator))


def _number(pg_type: str, unit: Unit) -> StoredTime:
    """A number. Computed as numeric, which is exact and does not overflow."""
    exact = f"({{v}}::numeric * {unit.us} + {unit.origin_us})"
    if pg_type.startswith("float"):
        # The shortest decimal text of the float counts. Infinity cannot be cast, so it becomes NaN.
        special = "{v} IN ('NaN', 'Infinity', '-Infinity')"
        number = f"CASE WHEN {special} THEN 'NaN'::numeric ELSE {{v}}::text::numeric END"
        exact = f"(({number}) * {unit.us} + {unit.origin_us})"
    if unit.step_us > 1:
        exact = f"(floor({exact} / {unit.step_us} + 0.5) * {unit.step_us})"
    outside = f"floor({exact}) NOT BETWEEN {EARLIEST_US} AND {LATEST_US}"
    us = f"floor({exact})::int8"
    # As days and a rest: PostgreSQL multiplies intervals in double precision, which would round
    # such a large number of microseconds.
    instant = (
        f"'1970-01-01 00:00:00+00'::timestamptz + ({us} / 86400000000)::float8 * interval '1 day' "
        f"+ ({us} % 86400000000)::float8 * interval '1 microsecond'"
    )
    finer = f"CASE WHEN {outside} THEN false ELSE {exact} <> floor({exact}) END"
    # Whole numbers of whole microseconds.
    is_whole = pg_type in WHOLE_NUMBERS and unit.us % 1 == 0
    return StoredTime(
        instant=f"CASE WHEN {outside} THEN NULL ELSE {instant} END",
        ranges=lambda window: [_numbers(window, unit, slack=0 if is_whole else 1)],
        is_exact=is_whole,
        limits=_limits(unit),
        rejected=(("timestamp_out_of_range", outside, "{v}::text"),),
        changed=() if is_whole else (("timestamp_truncated", finer),),
    )


def _limits(unit: Unit) -> tuple[str, str]:
    """The first and last number of the years 1 to 9999; at most those of a bigint."""
    low, high = math.ceil(unit.of_us(EARLIEST_US)), math.floor(unit.of_us(LATEST_US))
    return str(max(low, -(2**63) + 1)), str(min(high, 2**63 - 1))


def _numbers(window: DayWindow, unit: Unit, *, slack: int) -> Range:
    """The window in units, rounded up at both ends, which is exact for integers."""
    start, end = (math.ceil(unit.of_us(since_epoch_us(t))) for t in (window.start, window.end))
    return sql.Literal(start - slack), sql.Literal(end + slack)
