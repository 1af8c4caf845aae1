"""Every instant belongs to exactly one day, whatever the zones, and a day is found by its index."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import psycopg
import pytest

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.sources.postgres.query import PostgresDayQuery
from exporter_pipelines.sources.postgres.times import zone_literal
from exporter_pipelines.sources.time_encodings import NotAnInstantError, of_text
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import databases, dataset, export, rows
from exporter_pipelines_tests.test_postgres_values import set_oddly

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",  # +05:30
    "Asia/Kathmandu",  # +05:45
    "Australia/Lord_Howe",  # its summer time is half an hour
    "America/St_Johns",  # -03:30, once changed its clock at 00:01
    "America/Havana",  # midnight is skipped in spring and repeated in autumn
    "America/Sao_Paulo",  # midnight was skipped
    "Pacific/Apia",  # 2011-12-30 did not exist
    "Pacific/Kwajalein",  # 1993-08-21 did not exist
    "Pacific/Kiritimati",  # +14
    "Etc/GMT+12",  # -12
)
MICROSECOND = dt.timedelta(microseconds=1)


def days(first: str, count: int) -> list[str]:
    start = dt.date.fromisoformat(first)
    return [(start + dt.timedelta(days=n)).isoformat() for n in range(count)]


# The arithmetic


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("first", ["1993-01-01", "2007-01-01", "2011-01-01", "2026-01-01"])
def test_days_tile_the_line(zone: str, first: str) -> None:
    windows = [DayWindow.of(day, zone) for day in days(first, 400)]
    assert all(one.end == other.start for one, other in pairwise(windows))
    assert all(window.start <= window.end for window in windows)
    assert all(window.start.tzinfo is dt.UTC for window in windows)


# Days of 2024: a country can still change the rules of this year, and then its time zone data.
@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2024-03-31", "Europe/Berlin", 23),
        ("2024-10-27", "Europe/Berlin", 25),
        ("2024-03-10", "America/New_York", 23),
        ("2024-11-03", "America/New_York", 25),
        ("2024-04-07", "Australia/Lord_Howe", 24.5),
        ("2024-10-06", "Australia/Lord_Howe", 23.5),
        ("2024-03-10", "America/Havana", 23),
        ("2024-11-03", "America/Havana", 25),
        ("2011-12-30", "Pacific/Apia", 0),
        ("2011-12-31", "Pacific/Apia", 24),
        ("2026-11-01", "UTC", 24),
    ],
)
def test_a_day_is_as_long_as_its_clocks_made_it(day: str, zone: str, hours: float) -> None:
    window = DayWindow.of(day, zone)
    assert window.end - window.start == dt.timedelta(hours=hours)


@pytest.mark.parametrize("zone", ZONES)
def test_the_local_date_of_an_instant_is_its_day(zone: str) -> None:
    for day in days("2026-01-01", 365):
        window = DayWindow.of(day, zone)
        for instant in (window.start, window.end - MICROSECOND):
            local = instant.astimezone(ZoneInfo(zone))
            assert local.date().isoformat() == day
            assert instant in window


# Rows at the borders


@pytest.fixture
def instants(empty_db: Backend) -> Backend:
    """A database with a table `at` of ids and instants, and one column for each stored type."""
    empty_db.run(
        "CREATE TABLE instants (id int PRIMARY KEY, aware timestamptz, naive timestamp, day date)"
    )
    return empty_db


def instants_dataset(column: str, zone: str = "UTC") -> Dataset:
    return dataset(
        "logs",
        schema="exporter_pipelines_tests.test_postgres_values.ValueRow",
        source={
            "table": "instants",
            "key": "id",
            "time_column": "at",
            "columns": {"at": column},
            "timezone": zone,
        },
        transforms=[],
        compression="none",
    )


def found(backend: Backend, store: LocalStore, exported: Dataset, *windows: DayWindow) -> list[str]:
    """`id day` of every exported row, in order of id."""
    found = []
    for window, manifest in zip(windows, manifests(backend, store, exported, windows), strict=True):
        assert manifest.data_quality_metrics["rows_outside_window"] == 0
        found += [f"{row['id']} {window.day}" for row in rows(store, manifest)]
    return sorted(found)


def manifests(
    backend: Backend, store: LocalStore, exported: Dataset, windows: Sequence[DayWindow]
) -> list[Manifest]:
    """Export the days over one connection."""
    with databases(backend.url) as session:
        return [
            export(backend.url, exported, w.day, store, timezone=w.timezone, session=session)
            for w in windows
        ]


def insert(backend: Backend, column: str, moments: Iterable[dt.datetime]) -> None:
    """Rows with the ids 0, 1, ..."""
    with psycopg.connect(backend.url) as connection:
        connection.cursor().executemany(
            f"INSERT INTO instants (id, {column}) VALUES (%s, %s)", list(enumerate(moments))
        )


BORDERS = [
    ("UTC", "2026-11-01"),
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("Asia/Kathmandu", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("America/Havana", "2024-03-10"),
    ("America/Havana", "2024-11-03"),
    ("America/St_Johns", "2007-11-04"),
    ("Pacific/Apia", "2011-12-30"),
    ("Pacific/Apia", "2011-12-31"),
]


@pytest.mark.parametrize(("zone", "day"), BORDERS)
def test_an_aware_row_at_a_border_is_found_in_one_day(
    instants: Backend, store: LocalStore, zone: str, day: str
) -> None:
    windows = _with_neighbours(day, zone)
    borders = list(_around_borders(windows))
    insert(instants, "aware", [instant for instant, _ in borders])
    expected = sorted(f"{number} {day}" for number, (_, day) in enumerate(borders))
    assert found(instants, store, instants_dataset("aware"), *windows) == expected


@pytest.mark.parametrize(("zone", "day"), BORDERS)
@pytest.mark.parametrize("stored_in", ["UTC", "Asia/Tokyo", "Pacific/Honolulu"])
def test_a_naive_row_at_a_border_is_found_in_one_day(
    instants: Backend, store: LocalStore, zone: str, day: str, stored_in: str
) -> None:
    windows = _with_neighbours(day, zone)
    borders = list(_around_borders(windows))
    stored = ZoneInfo(stored_in)
    insert(instants, "naive", [at.astimezone(stored).replace(tzinfo=None) for at, _ in borders])
    expected = sorted(f"{number} {day}" for number, (_, day) in enumerate(borders))
    exported = instants_dataset("naive", stored_in)
    assert found(instants, store, exported, *windows) == expected


def _with_neighbours(day: str, zone: str) -> list[DayWindow]:
    before = dt.date.fromisoformat(day) - dt.timedelta(days=1)
    return [DayWindow.of(each, zone) for each in days(before.isoformat(), 3)]


def _around_borders(windows: list[DayWindow]) -> Iterator[tuple[dt.datetime, str]]:
    """Instants at and beside each border, with the day that each belongs to."""
    for window in windows:
        if window.start < window.end:
            for instant in (window.start, window.start + MICROSECOND, window.end - MICROSECOND):
                yield instant, window.day


# Naive times in the hours that a change of the clock repeats or skips


@pytest.mark.parametrize(
    ("zone", "naive", "instant"),
    [
        ("Europe/Berlin", "2026-03-29 01:59:59.999999", "2026-03-29T00:59:59.999999Z"),
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29T01:30:00.000000Z"),
        ("Europe/Berlin", "2026-03-29 03:00", "2026-03-29T01:00:00.000000Z"),
        ("Europe/Berlin", "2026-10-25 01:59:59.999999", "2026-10-24T23:59:59.999999Z"),
        ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25T01:30:00.000000Z"),
        ("Europe/Berlin", "2026-10-25 03:00", "2026-10-25T02:00:00.000000Z"),
        ("America/Havana", "2024-03-10 00:30", "2024-03-10T05:30:00.000000Z"),
        ("America/Havana", "2024-11-03 00:30", "2024-11-03T05:30:00.000000Z"),
        ("CET", "2026-07-01 12:00", "2026-07-01T10:00:00.000000Z"),
        ("EET", "2026-07-01 12:00", "2026-07-01T09:00:00.000000Z"),
    ],
)
@pytest.mark.parametrize("day_zone", ["own", "UTC"])
def test_a_naive_time_is_one_instant_and_found_in_its_day(
    instants: Backend, store: LocalStore, zone: str, naive: str, instant: str, day_zone: str
) -> None:
    instants.run("INSERT INTO instants (id, naive) VALUES (1, %s)", [naive])
    day = naive[:10]
    windows = _with_neighbours(day, zone if day_zone == "own" else "UTC")
    exported = instants_dataset("naive", zone)
    exports = manifests(instants, store, exported, windows)
    times = [row["at"] for manifest in exports for row in rows(store, manifest)]
    assert times == [instant]


def test_every_zone_means_the_same_to_python_and_to_the_server(empty_db: Backend) -> None:
    zones = sorted(available_timezones() - {"localtime", "Factory"})
    pairs = ", ".join(f"('{zone}', {zone_literal(zone).as_string(None)})" for zone in zones)
    for text in ("2000-07-20 12:00", "2011-01-20 12:00", "2019-01-20 12:00", "2019-07-20 12:00"):
        naive = dt.datetime.fromisoformat(text)
        instants = empty_db.run(
            f"SELECT zone, %s::timestamp AT TIME ZONE server FROM (VALUES {pairs}) z(zone, server)",
            [naive],
        )
        assert [
            zone for zone, instant in instants if instant != naive.replace(tzinfo=ZoneInfo(zone))
        ] == []


# Dates


@pytest.mark.parametrize(
    ("zone", "day_zone", "expected"),
    [
        ("UTC", "UTC", ["1 2026-10-31", "2 2026-11-01", "3 2026-11-02"]),
        ("Europe/Berlin", "Europe/Berlin", ["1 2026-10-31", "2 2026-11-01", "3 2026-11-02"]),
        # A date is its first instant, which in Tokyo comes before midnight UTC.
        ("Asia/Tokyo", "UTC", ["2 2026-10-31", "3 2026-11-01"]),
        ("America/New_York", "UTC", ["1 2026-10-31", "2 2026-11-01", "3 2026-11-02"]),
    ],
)
def test_a_date_is_found_in_one_day(
    instants: Backend, store: LocalStore, zone: str, day_zone: str, expected: list[str]
) -> None:
    instants.run(
        "INSERT INTO instants (id, day) VALUES (1, '2026-10-31'), (2, '2026-11-01'), "
        "(3, '2026-11-02'), (4, 'infinity'), (5, '-infinity'), (6, '5874897-12-31'), (7, NULL)"
    )
    windows = _with_neighbours("2026-11-01", day_zone)
    assert found(instants, store, instants_dataset("day", zone), *windows) == expected


# The server's own settings


@pytest.mark.parametrize("column", ["aware", "naive"])
def test_settings_of_the_database_do_not_matter(
    instants: Backend, store: LocalStore, column: str
) -> None:
    instants.run(
        "INSERT INTO instants (id, aware, naive) VALUES "
        "(1, '2026-10-31 23:59:59.999999+00', '2026-10-31 23:59:59.999999'), "
        "(2, '2026-11-01 00:00+00', '2026-11-01'), "
        "(3, '2026-11-01 23:59:59.999999+00', '2026-11-01 23:59:59.999999'), "
        "(4, '2026-11-02 00:00+00', '2026-11-02')"
    )
    window = DayWindow.of("2026-11-01", "UTC")
    exported = instants_dataset(column)
    plain = export(instants.url, exported, window.day, store).files[0].sha256
    set_oddly(instants)
    assert found(instants, store, exported, window) == ["2 2026-11-01", "3 2026-11-01"]
    assert export(instants.url, exported, window.day, store).files[0].sha256 == plain


# The index


@pytest.mark.parametrize(
    ("column", "pg_type"),
    [("aware", "timestamptz"), ("naive", "timestamp"), ("day", "date")],
)
def test_one_day_of_many_is_read_through_the_index(
    instants: Backend, column: str, pg_type: str
) -> None:
    instants.run(
        f"INSERT INTO instants (id, {column}) "
        f"SELECT n, ('2026-01-01'::timestamp + n * interval '9 minutes')::{pg_type} "
        "FROM generate_series(1, 50000) n"
    )
    instants.run(f"CREATE INDEX by_time ON instants ({column})")
    instants.run("ANALYZE instants")
    query = PostgresDayQuery(
        instants_dataset(column, "Europe/Berlin"),
        DayWindow.of("2026-07-01", "Europe/Berlin"),
        {"id": "int4", column: pg_type},
        [],
        key_is_unique=True,
    )
    for statement in (query.counts(with_fingerprint=True), query.rows()):
        plan = "\n".join(line for (line,) in instants.run(f"EXPLAIN {statement}"))
        assert "by_time" in plan
        assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("pg_type", "stored", "encoding"),
    [
        ("text", 'to_char({at}, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')', "iso8601"),
        ("varchar(40)", "{at}::text", "iso8601"),
        ("integer", "extract(epoch FROM {at})", "epoch_s"),
        ("bigint", "extract(epoch FROM {at}) * 1000", "epoch_ms"),
        ("double precision", "extract(epoch FROM {at})", "epoch_s"),
        ("numeric", "extract(epoch FROM {at}) * 1000000", "epoch_us"),
    ],
)
def test_a_day_of_text_or_numbers_is_read_through_the_index(
    empty_db: Backend, store: LocalStore, pg_type: str, stored: str, encoding: str
) -> None:
    expression = stored.format(at="('2026-01-01'::timestamp + n * interval '9 minutes')")
    empty_db.run(
        f"CREATE TABLE instants AS SELECT n AS id, ({expression})::{pg_type} AS stored "
        "FROM generate_series(1, 50000) n"
    )
    empty_db.run("CREATE INDEX by_time ON instants (stored)")
    empty_db.run("ANALYZE instants")
    plain = instants_dataset("stored", "UTC")
    source = {**plain.config.source.model_dump(), "encodings": {"at": encoding}}
    exported = dataset("logs", schema=plain.config.row_schema, source=source, transforms=[])
    window = DayWindow.of("2026-07-01", "UTC")
    assert export(empty_db.url, exported, window.day, store).record_count == 160
    types = {"id": "int4", "stored": PG_NAMES[pg_type]}
    query = PostgresDayQuery(exported, window, types, [], key_is_unique=True)
    for statement in (query.counts(with_fingerprint=True), query.rows()):
        plan = "\n".join(line for (line,) in empty_db.run(f"EXPLAIN {statement}"))
        assert "by_time" in plan
        assert "Seq Scan" not in plan


PG_NAMES = {"text": "text", "varchar(40)": "varchar", "integer": "int4", "bigint": "int8",
            "double precision": "float8", "numeric": "numeric"}  # fmt: skip


# Some of these clocks changed in the middle of a minute.
@pytest.mark.parametrize(
    ("zone", "minute"),
    [
        ("Europe/Berlin", "2025-10-26T02:30"),
        ("Europe/Berlin", "2025-03-30 02:59"),
        ("Pacific/Apia", "2011-12-30 12:00"),
        ("Asia/Manila", "1844-12-31 16:08"),
        ("Europe/Amsterdam", "1937-07-01 00:00"),
        ("Africa/Monrovia", "1972-01-07 00:44"),
        ("America/New_York", "1883-11-18 12:03"),
        ("UTC", "9999-12-31 23:59"),
        ("America/New_York", "0001-01-01 00:00"),
        ("UTC", "2025-02-29 00:00"),
        ("UTC", "2025-02-28 24:00"),
    ],
)
@pytest.mark.parametrize("offset", ["", "Z", " +0530", "-15:59", "+16:00"])
def test_usual_text_is_the_same_instant_as_text_with_more_digits(
    zone: str, minute: str, offset: str
) -> None:
    """Usual text is read by its minute, text with seven digits of a second as a whole."""
    for second in range(61):
        for fraction in ("000000", "000001", "999999"):
            usual = f"{minute}:{second:02}.{fraction}{offset}"
            assert instant_or_rule(usual, zone) == instant_or_rule(
                usual.replace(fraction, f"{fraction}0"), zone
            )


def instant_or_rule(text: str, zone: str) -> object:
    try:
        return of_text(text, ZoneInfo(zone))
    except NotAnInstantError as error:
        return error.rule
