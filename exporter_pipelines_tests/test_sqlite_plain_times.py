"""Times that are stored alike are read as a range of an index, with the same rows as without."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.outside_days import ExportableDays
from exporter_pipelines.sources.sqlite.connection import SqliteConnection
from exporter_pipelines.sources.sqlite.plain_table import PlainTable
from exporter_pipelines.sources.sqlite.query import SqliteDayQuery
from exporter_pipelines.sources.time_encodings import MOST_OFFSET, NotAnInstantError, of_text
from exporter_pipelines_tests.support.databases import SqliteDatabase, sqlite_database
from exporter_pipelines_tests.support.datasets import databases, open_day
from exporter_pipelines_tests.test_postgres_values import values_dataset

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")
DAYS = ("2026-10-31", "2026-11-01", "2026-11-02", "2026-11-03")
_KEYS = {
    "INTEGER PRIMARY KEY": lambda number: number,
    "TEXT NOT NULL UNIQUE": lambda number: f"{number * 7919 % 100:02}",
    "": lambda number: (None, 1, 1.0, "1", b"1")[number % 5],
}
_DATES = st.sampled_from(["2026-10-29", "2026-10-30", *DAYS, "2026-11-04", "2026-02-30"])
_CLOCKS = st.sampled_from(
    ["00:00:00", "00:00:01", "10:59:59", "11:00:00", "13:00:00", "22:59:59", "23:00:00", "23:59:59"]
)
_ODD = st.sampled_from([
    "2026-11-01T23:30:00-01:00", "2026-11-01 24:00:00", "2026-10-31 24:00:00", "2026-11-01",
    "2026-11-01 23:59:60", "2026/11/01 12:00:00", "20261101T120000", "2026-11-01 noon", "soon", "",
    "2026-11-01 12:00:00\0", "2026-11-0: 12:00:00", "2026-11-01 29:00:00", 1_793_534_400, None,
    b"2026-11-01 12:00:00", "2026-11-01 12:00:00 ", "2026-11-01 12:00:00.5", "2026-10-30T12:00:00",
])  # fmt: skip


@st.composite
def _written(draw: st.DrawFn) -> list[object]:
    """Times that one program wrote, and in some cases a few others."""
    separator, suffix = draw(st.sampled_from(" T")), draw(st.sampled_from(["", "Z", "+00:00"]))
    fractions = draw(st.sampled_from([[""], [".123456"], ["", ".000000", ".000001"], [".000", ""]]))
    plain = st.builds(
        lambda date, clock, fraction: f"{date}{separator}{clock}{fraction}{suffix}",
        _DATES, _CLOCKS, st.sampled_from(fractions),
    )  # fmt: skip
    numbers = st.builds(lambda day, second: day * 86_400 + second, st.integers(20_755, 20_761),
                        st.sampled_from([-1, 0, 1, 3_600, 10_800, 39_600]))  # fmt: skip
    stored = draw(st.sampled_from([plain, plain, numbers]))
    times: list[object] = [*draw(st.lists(stored, min_size=1, max_size=12))]
    return draw(st.permutations(times + draw(st.lists(_ODD, max_size=1))))


def _filled(
    folder: Path, times: list[object], key: str = "INTEGER PRIMARY KEY", encoding: str = "UTF-8"
) -> SqliteDatabase:
    """A new file with the times in a table `v` without an index."""
    database = sqlite_database(folder / "app.db")
    database.path.unlink(missing_ok=True)
    with closing(sqlite3.connect(database.path)) as connection, connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute(f"CREATE TABLE v (id {key}, at, text)")
        connection.executemany(
            "INSERT INTO v VALUES (?, ?, ?)",
            [(_KEYS[key](number), time, str(-number)) for number, time in enumerate(times)],
        )
    return database


def _read(database: SqliteDatabase, exported: Dataset, window: DayWindow) -> list[Any]:
    """All that is read of a day."""
    with open_day(database.url, exported, window) as day:
        rows = [row for batch in day.batches(3) for row in batch.to_pylist()]
        outside = day.rows_outside(ExportableDays.of(*DAYS[1:3], "UTC"), timeout_s=30)
        return [
            rows, day.row_count, day.repeated_keys, day.unreadable_times, day.info.fingerprint,
            outside,
        ]  # fmt: skip


def _counts(database: SqliteDatabase, exported: Dataset, zone: str) -> dict[str, int]:
    windows = [DayWindow.of(day, zone) for day in DAYS]
    with databases(database.url) as session:
        return session.count_days(exported, windows, timeout_s=30)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=_written(), key=st.sampled_from(sorted(_KEYS)), zone=st.sampled_from(ZONES),
       of_day=st.sampled_from(ZONES), encoding=st.sampled_from(["UTF-8", "UTF-16le"]))  # fmt: skip
@example(["2026-11-01 12:00:00", "2026-11-01 12:00:00.000000", "2026-11-01 12:00:00"],
         "TEXT NOT NULL UNIQUE", "UTC", "UTC", "UTF-8")  # fmt: skip
@example([1_793_491_199, 1_793_491_200, 1_793_577_599, 1_793_577_600], "INTEGER PRIMARY KEY", "UTC",
         "UTC", "UTF-8")  # fmt: skip
def test_an_index_changes_nothing_that_is_read(
    tmp_path: Path, times: list[object], key: str, zone: str, of_day: str, encoding: str
) -> None:
    database = _filled(tmp_path, times, key, encoding)
    exported = values_dataset(source={"timezone": zone, "encodings": {"at": "epoch_s"}})
    windows = [DayWindow.of(day, of_day) for day in DAYS[1:3]]
    expected = [_read(database, exported, window) for window in windows]
    counts = _counts(database, exported, of_day)
    for window, (_, row_count, *_) in zip(windows, expected, strict=True):
        assert counts[window.day] == row_count
    database.run("CREATE INDEX by_time ON v (at)")
    assert [_read(database, exported, window) for window in windows] == expected
    assert _counts(database, exported, of_day) == counts


NOON = "2026-11-01 12:00:00"


@pytest.mark.parametrize(
    ("times", "zone", "is_plain"),
    [
        ([NOON], "UTC", True),
        ([NOON, f"{NOON}.5"], "UTC", False),
        ([NOON, f"{NOON}.123456", "2026-11-02 00:00:00"], "Europe/Berlin", True),
        ([f"{NOON}Z", f"{NOON}+00:00"], "Europe/Berlin", True),
        ([NOON, f"{NOON}Z"], "UTC", False),
        ([NOON, NOON.replace(" ", "T")], "UTC", False),
        ([NOON, "2026-10-31 12:00:00-12:00"], "UTC", False),
        ([NOON, "2026-10-31 24:00:00"], "UTC", False),
        ([NOON, "2026-10-31 23:59:60"], "UTC", False),
        ([NOON, "2026-11-01 noon"], "UTC", False),
        ([NOON, "2026/11/01 12:00:00"], "UTC", False),
        ([NOON, "20261101T120000"], "UTC", False),
        ([NOON, NOON.encode()], "UTC", False),
        ([NOON, 1_793_534_400], "UTC", False),
        ([NOON, f"{NOON}\0"], "UTC", False),
        (["2026-10-25 12:00:00", NOON, None, "soon", 7], "UTC", True),  # far from the day
        (["2026-11-01T12:00:00-05:00"], "UTC", False),
        ([1_793_534_400, 1_793_534_401], "UTC", True),
        ([1_793_534_400, 1_793_534_400.5], "UTC", False),
        ([1_793_534_400, "2026/11/01"], "UTC", False),
        ([], "UTC", True),
    ],
)
def test_only_times_that_sort_by_time_are_plain(
    tmp_path: Path, times: list[object], zone: str, is_plain: bool
) -> None:
    database = _filled(tmp_path, times)
    exported = values_dataset(source={"timezone": zone, "encodings": {"at": "epoch_s"}})
    window = DayWindow.of("2026-11-01", "UTC")
    with _table(database, exported) as table:
        assert table.times(window) is None, "without an index"
    database.run("CREATE INDEX by_time ON v (at)")
    with _table(database, exported) as table:
        assert (table.times(window) is not None) == is_plain


@pytest.mark.parametrize(
    ("encoding", "number", "is_plain"),
    [("epoch_us", 1_793_534_400_000_000, True), ("core_data", 815_227_200, True),
     ("epoch_ns", 1_793_534_400_000_000_000, False), ("julian_day", 2_461_346, False)],
)  # fmt: skip
def test_only_numbers_of_whole_microseconds_are_plain(
    tmp_path: Path, encoding: str, number: int, is_plain: bool
) -> None:
    database = _filled(tmp_path, [number - 1, number, number + 1])
    exported = values_dataset(source={"timezone": "UTC", "encodings": {"at": encoding}})
    window = DayWindow.of("2026-11-01", "UTC")
    expected = _read(database, exported, window)
    assert 1 <= expected[1] <= 3
    database.run("CREATE INDEX by_time ON v (at)")
    with _table(database, exported) as table:
        assert (table.times(window) is not None) == is_plain
    assert _read(database, exported, window) == expected


def test_local_times_are_not_plain_where_the_clock_changes(tmp_path: Path) -> None:
    database = _filled(tmp_path, ["2026-10-25 12:00:00", NOON])
    database.run("CREATE INDEX by_time ON v (at)")
    with _table(database, values_dataset(source={"timezone": "Europe/Berlin"})) as table:
        days = ("2026-10-25", "2026-11-01")
        assert [table.times(DayWindow.of(day, "UTC")) is None for day in days] == [True, False]


@contextmanager
def _table(database: SqliteDatabase, exported: Dataset) -> Iterator[PlainTable]:
    with closing(SqliteConnection(database.url, "URL")) as connection:
        yield PlainTable(connection, exported)


@pytest.mark.parametrize("other", ["2026-11-0: 12:00:00", "2026-11-09 24:00:00"])
def test_dates_that_do_not_exist_are_in_no_day(tmp_path: Path, other: str) -> None:
    database = _filled(tmp_path, ["2026-02-28 12:00:00", "2026-02-30 12:00:00",
                                  "2026-11-09 12:00:00", other])  # fmt: skip
    database.run("CREATE INDEX by_time ON v (at)")
    exported = values_dataset(source={"timezone": "UTC"})
    days = ("2026-02-28", "2026-11-09")
    windows = [DayWindow.of(day, "UTC") for day in days]
    for window in windows:
        rows, row_count, *_ = _read(database, exported, window)
        assert (len(rows), row_count) == (1, 1)
    with databases(database.url) as session:
        assert session.count_days(exported, windows, timeout_s=30) == dict.fromkeys(days, 1)
    exportable = ExportableDays.of("2026-01-01", "2026-12-01", "UTC")
    with open_day(database.url, exported, windows[0]) as day:
        outside = day.rows_outside(exportable, timeout_s=30)
    assert outside.counts["unreadable"] == (1 if "24:00" in other else 2)


def test_no_clock_is_sixteen_hours_from_utc() -> None:
    for name in available_timezones():
        for year in (1, 1700, 1850, 1900, 1950, 2026):
            offset = dt.datetime(year, 1, 1, tzinfo=ZoneInfo(name)).utcoffset()
            assert offset is not None
            assert abs(offset) < MOST_OFFSET, name
    assert of_text(f"{NOON}-15:59", ZoneInfo("UTC"))
    with pytest.raises(NotAnInstantError):
        of_text(f"{NOON}-16:00", ZoneInfo("UTC"))


def test_plain_rows_are_not_sorted(tmp_path: Path) -> None:
    database = _filled(tmp_path, [f"{NOON}.000001", f"{NOON}.000000"])
    database.run("CREATE INDEX by_time ON v (at)")
    exported = values_dataset(source={"timezone": "UTC"})
    window = DayWindow.of("2026-11-01", "UTC")
    with _table(database, exported) as table:
        plain = table.times(window)
    names = ("id", "at", "text")
    query = SqliteDayQuery(exported, window, names, exported.schema, True, "utf-8")
    statement = query.rows(plain=plain, is_sorted=True)
    plan = [step for *_, step in database.run(f"EXPLAIN QUERY PLAN {statement}")]
    assert plan == ["SEARCH t USING INDEX by_time (at>? AND at<?)"]
