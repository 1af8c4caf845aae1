"""What SQLite and NumPy compute of times is what is read of each value, and nothing is missed."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.sources.sqlite.cells import document, is_document
from exporter_pipelines.sources.sqlite.time_columns import instants_of_integers, instants_of_texts
from exporter_pipelines.sources.sqlite.usual_times import UsualTimes, minute_of
from exporter_pipelines.sources.time_encodings import (
    NUMBERS,
    Instant,
    NotAnInstantError,
    minute_us,
    of_number,
    of_text,
    since_epoch_us,
)
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.databases import sqlite_database, with_shipped_tables
from exporter_pipelines_tests.support.datasets import dataset, export, rows

ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati", "Africa/Monrovia")
DAYS = ("2026-11-01", "2026-10-25", "2026-03-29", "2026-03-01", "1971-12-31", "0001-01-02")
_TEXTS = st.tuples(
    st.sampled_from([*DAYS, "2026-10-31", "2026-11-02", "2026-10-24", "2026-10-26", "2026-02-28",
                     "2026-02-30", "0001-01-01", "2026-3-29", "20261101", "1972-01-01",
                     "1972-01-07", "2026-1x-01", "9999-12-31"]),
    st.sampled_from(["", "T", " ", "t", "  "]),
    st.sampled_from(["", "00:00", "00:00:00", "02:30:00", "23:59:59", "23:59:60", "24:00:00",
                     "24:00:30", "29:00:00", "12:60:00", "2:30", "00:44:30", "09:30:1x"]),
    st.sampled_from(["", ".5", ".123", ".123456", ".123456789", ".999999", ",5", ".", ".1:15"]),
    st.sampled_from(["", "Z", "z", "+00:00", "+02", "-0330", " Z", "Z\0x", "\0", "+00:60"]),
).map("".join)  # fmt: skip


def _instant(text: str, zone: str) -> Instant | None:
    try:
        return of_text(text, ZoneInfo(zone))
    except NotAnInstantError:
        return None


_CLOCK_CHANGES = {
    "Europe/Berlin": ("2026-03-28", "2026-03-29", "2026-03-30", "2026-10-25", "1893-04-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),  # by half an hour
    "America/Sao_Paulo": ("2018-11-03", "2018-11-04"),  # at midnight
    "Pacific/Apia": ("2011-12-29", "2011-12-30", "2011-12-31"),  # one day was left out
    "Africa/Monrovia": ("1972-01-06", "1972-01-07"),
    "UTC": ("0001-01-01", "0001-12-31", "9999-12-31", "0000-01-01", "2026-02-29", "2026-13-01"),
    "Pacific/Kiritimati": ("0001-01-01", "9999-12-31"),
    "America/St_Johns": ("9999-12-31", "0002-01-01"),
}


def _latest_us(local: dt.datetime, zone: str) -> int:
    """The instant of a local time; if there are two, the later one."""
    both = (local.replace(tzinfo=ZoneInfo(zone), fold=fold).utcoffset() for fold in (0, 1))
    offset = min(each for each in both if each is not None)
    return since_epoch_us((local - offset).replace(tzinfo=dt.UTC))


@pytest.mark.parametrize("zone", _CLOCK_CHANGES)
def test_text_is_the_same_instant_with_separators_and_without_them(zone: str) -> None:
    minutes = [f"{n // 60:02}:{n % 60:02}" for n in range(24 * 60)]
    clocks = [
        *(f"{minute}:{second}" for minute in minutes for second in ("00", "59.25")),
        "23:59:60", "24:00:00", "24:00:01", "12:60:00", "00:00:00Z", "23:30:00.000001Z",
        "12:00:00.1234567", "12:00:00+05:30",
    ]  # fmt: skip
    for day in _CLOCK_CHANGES[zone]:
        for clock in clocks:
            expected = _instant(f"{day} {clock}", zone)
            if expected is not None and clock[:5] in minutes and clock[6:] in ("00", "59.25"):
                local = dt.datetime.fromisoformat(f"{day} {clock}{'0' * (len(clock) > 8)}")
                assert expected.us == _latest_us(local, zone), (day, clock)
            date, digits = day.replace("-", ""), clock.replace(":", "")
            for between in ("T", " ", ""):
                assert _instant(f"{date}{between}{digits}", zone) == expected, (day, clock, between)


@pytest.fixture(scope="module", params=["utf-8", "utf-16le"])
def texts(request: pytest.FixtureRequest) -> Iterator[tuple[sqlite3.Connection, str]]:
    """A database with a table of texts, and its encoding."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"PRAGMA encoding = '{request.param}'")
        connection.execute("CREATE TABLE v (t TEXT)")
        yield connection, request.param


@settings(max_examples=80)
@given(written=st.lists(_TEXTS, min_size=1, max_size=40), day=st.sampled_from(DAYS),
       zone=st.sampled_from(ZONES), of_day=st.sampled_from(ZONES))  # fmt: skip
def test_sqlite_computes_the_instants_that_are_read(
    texts: tuple[sqlite3.Connection, str], written: list[str], day: str, zone: str, of_day: str
) -> None:
    connection, encoding = texts
    window = DayWindow.of(day, of_day)
    usual = UsualTimes(window, ZoneInfo(zone), encoding)
    connection.execute("DELETE FROM v")
    connection.executemany("INSERT INTO v VALUES (?)", [(text,) for text in written])
    found = connection.execute(
        f"SELECT t, {usual.instant('t', 'iso8601', repr('read'))}, {usual.of_other_days('t')}, "
        f"{usual.dates('t')}, {minute_of('t', encoding)} FROM v"
    )
    start_us, end_us = since_epoch_us(window.start), since_epoch_us(window.end)
    for text, computed, is_of_another_day, has_date, minute in found:
        instant = _instant(text, zone)
        inside = instant is not None and start_us <= instant.us < end_us
        if computed != "read":
            assert instant == Instant(computed)
            assert not inside or has_date
        assert not (inside and is_of_another_day)
        if minute is not None and (begins_us := minute_us(minute, ZoneInfo(zone))) is not None:
            assert instant is not None
            assert begins_us <= instant.us < begins_us + 60_000_000


@settings(max_examples=80)
@given(written=st.lists(st.none() | _TEXTS, min_size=1, max_size=40), zone=st.sampled_from(ZONES))
def test_a_column_of_texts_has_the_instants_that_are_read(
    written: list[str | None], zone: str
) -> None:
    values = [None if text is None else text.encode() for text in written]
    us, known = instants_of_texts(values, ZoneInfo(zone))
    for text, found_us, is_known in zip(written, us.tolist(), known.tolist(), strict=True):
        if is_known:
            assert text is not None
            assert _instant(text, zone) == Instant(found_us)


def test_most_spellings_are_read_at_once() -> None:
    written = [b"2026-11-01 09:30:00", b"2026-11-01T09:30:00.5", b"2026-11-01T09:30:00.123456Z",
               b"2026-11-01 09:30:00.123-03:30"]  # fmt: skip
    assert instants_of_texts(written, ZoneInfo("Europe/Berlin"))[1].all()


@settings(max_examples=200)
@given(unit=st.sampled_from(sorted(NUMBERS)),
       numbers=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)
                        | st.integers(-(2**45), 2**55), min_size=1))  # fmt: skip
def test_whole_numbers_have_the_instants_that_are_read(
    texts: tuple[sqlite3.Connection, str], unit: str, numbers: list[int | None]
) -> None:
    us, known = instants_of_integers(numbers, NUMBERS[unit])
    usual = UsualTimes(DayWindow.of(DAYS[0], "UTC"), ZoneInfo("UTC"), "utf-8")
    for number, found_us, is_known in zip(numbers, us.tolist(), known.tolist(), strict=True):
        computed = texts[0].execute(
            f"SELECT {usual.instant('t', unit, repr('read'))} FROM (SELECT ? AS t)", [number]
        )
        (in_sql,) = computed.fetchone()
        assert (in_sql == "read") == (not is_known)
        if is_known:
            assert number is not None
            assert of_number(number, NUMBERS[unit]) == Instant(found_us) == Instant(in_sql)


_DOCUMENTS = st.recursive(
    st.sampled_from(["null", "true", "1", "-0", "1e999", "9" * 400, '"\\ud800"', '"\\u0041"', "NaN",
                     "-Infinity", "01", "1.", "+1", '"\n"', '"\x01"', "", "tru", '"a', "'a'"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda each: f"[{','.join(each)}]")
    | st.tuples(inner, inner).map(lambda two: f'{{"a":{two[0]},"a": {two[1]}}}')
    | inner.map(lambda each: each + "]") | inner.map(lambda each: f"{each},"),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=300)
@given(text=_DOCUMENTS | st.text(max_size=5))
@example("[" * 150 + "]" * 150)
@example("[" * 990 + "]" * 990)
@example("[" * 100_000 + "]" * 100_000)
@example("\ufeff1")
def test_no_document_is_accepted_that_is_none(text: str) -> None:
    written = text.encode("utf-8", "surrogatepass")
    if is_document(written):
        assert json.loads(document(written, False)) == json.loads(text)


def test_a_column_with_a_few_odd_documents_loses_none_of_the_others(tmp_path: Path) -> None:
    database = with_shipped_tables(sqlite_database(tmp_path / "app.db"))
    written = ['{"a": 1}', None, ' {"a":\n2} ', "{'a': 3}", '"\\ud800"', "[1e999]"]
    for number, attributes in enumerate(written):
        database.add("logs", {
            "id": number, "timestamp": "2026-11-01 09:30:00", "level": "INFO", "message": "m",
            "source": "s", "attributes": attributes,
        })  # fmt: skip
    store = LocalStore(tmp_path / "exports")
    exported = dataset(source={"timezone": "UTC"}, max_rejected_pct=100)
    manifest = export(database.url, exported, "2026-11-01", store)
    assert [row["id"] for row in rows(store, manifest)][:3] == [0, 1, 2]
    assert rows(store, manifest)[2]["attributes"] == {"a": 2}
    assert manifest.counts.read == len(written)


@pytest.mark.parametrize("unusual", ["2026-11-01T23:30:00-01:00", "20261101T120000", "1.11"])
def test_usual_and_unusual_times_of_one_day_are_both_read(tmp_path: Path, unusual: str) -> None:
    database = with_shipped_tables(sqlite_database(tmp_path / "app.db"))
    for number, time in enumerate(["2026-11-01 12:00:00", "2026-11-02 09:00:00Z", unusual]):
        database.add("logs", {
            "id": number, "timestamp": time, "level": "INFO", "message": "m", "source": "s",
        })  # fmt: skip
    store = LocalStore(tmp_path / "exports")
    exported = dataset(source={"timezone": "UTC"})
    found = [
        row["id"]
        for day in ("2026-11-01", "2026-11-02")
        for row in rows(store, export(database.url, exported, day, store))
    ]
    assert sorted(found) == ([0, 1] if unusual == "1.11" else [0, 1, 2])
