"""Rows that belong to no day are counted in every run, five kinds apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter_pipelines.contracts.outside_days import ExportableDays
from exporter_pipelines.engine import outside_days
from exporter_pipelines.engine.export_day import DayOutcome
from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.engine.outside_days import CHECK, OutsideDays
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.databases import (
    DATABASES,
    Database,
    SqliteDatabase,
    create,
    sqlite_database,
)
from exporter_pipelines_tests.support.datasets import databases, outcome_of
from exporter_pipelines_tests.test_postgres_values import values_dataset

DAY = "2026-11-01"
DAYS = ExportableDays.of("2026-11-01", "2026-11-05", "UTC")


@pytest.fixture(params=DATABASES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind, without tables."""
    with DATABASES[request.param](request, tmp_path) as found:
        yield found


@pytest.fixture
def sqlite(tmp_path: Path) -> SqliteDatabase:
    return sqlite_database(tmp_path / "source.db")


def verdict_of(outcome: DayOutcome) -> Verdict:
    return next(verdict for verdict in outcome.verdicts if verdict.check == CHECK)


def outside(url: str, store: LocalStore, *, day: str = DAY, days: ExportableDays = DAYS,
            **source: Any) -> DayOutcome:  # fmt: skip
    exported = values_dataset(source={"timezone": "UTC", **source}, max_rejected_pct=100)
    return outcome_of(url, exported, day, store, outside_days=OutsideDays(days))


def counts(outcome: DayOutcome) -> dict[str, float]:
    numbers = verdict_of(outcome).numbers
    return {name.removeprefix("rows_"): number for name, number in numbers.items() if number}


# Type of the time column -> stored values beside one row of the day, and what is counted.
POSTGRES = {
    "timestamptz": (
        [None, None, "infinity", "-infinity", "0002-01-01 BC", "10000-02-01",
         "2026-10-31T23:59:59Z",
         "2001-01-01", "2026-11-05T00:00Z", "9999-12-31"],
        {"null": 2, "infinite": 4, "before": 2, "after": 2},
    ),
    "timestamp": (
        [None, "infinity", "0002-01-01 BC", "10000-02-01", "2026-10-31 23:59:59", "2026-11-05"],
        {"null": 1, "infinite": 3, "before": 1, "after": 1},
    ),
    "date": ([None, "infinity", "2026-10-31", "2026-11-05"],
             {"null": 1, "infinite": 1, "before": 1, "after": 1}),
    "text": (
        [None, "", "yesterday", "01/Nov/2026:09:30:00 +0000", "infinity", "2026-10-31 23:59:59",
         "20261105", "2026/11/06 1:00", "2026-11-02 25:00"],
        {"null": 1, "unreadable": 5, "before": 1, "after": 2},
    ),
    "bigint": ([None, 9_000_000_000_000_000_000, -1, 1_793_491_199, 1_793_836_800],
               {"null": 1, "infinite": 1, "before": 2, "after": 1}),
    "float8": ([None, "NaN", "Infinity", "-Infinity", 0.5, 1_793_836_800.0],
               {"null": 1, "infinite": 3, "before": 1, "after": 1}),
    "numeric": ([None, "NaN", 1e30, 0.5], {"null": 1, "infinite": 2, "before": 1}),
}  # fmt: skip


@pytest.mark.parametrize("kind", POSTGRES)
@pytest.mark.parametrize("has_index", [True, False])
def test_the_rows_of_a_postgresql_table_without_a_day_are_counted(
    empty_db: Backend, store: LocalStore, kind: str, has_index: bool
) -> None:
    stored, expected = POSTGRES[kind]
    is_number = kind in ("bigint", "float8", "numeric")
    empty_db.run(f"CREATE TABLE v (id bigint PRIMARY KEY, at {kind})")
    if has_index:
        empty_db.run("CREATE INDEX ON v (at)")
    inside = 1_793_491_200 if is_number else DAY
    for number, value in enumerate([inside, *stored]):
        empty_db.run("INSERT INTO v VALUES (%s, %s)", [number, value])
    encodings = {"encodings": {"at": "epoch_s"}} if is_number else {}
    outcome = outside(empty_db.url, store, **encodings)
    assert counts(outcome) == expected
    assert outcome.manifest is not None
    assert outcome.manifest.counts.read == 1


@pytest.mark.parametrize("encoding", ["iso8601", "epoch_ms"])
def test_the_rows_of_a_sqlite_table_without_a_day_are_counted(
    sqlite: SqliteDatabase, store: LocalStore, encoding: str
) -> None:
    sqlite.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at)")
    stored: list[object] = [DAY, None, "soon", b"\x01", "2026-10-31", "2026/11/05", "9999-12-31"]
    expected = {"null": 1, "unreadable": 2, "before": 1, "after": 2}
    if encoding == "epoch_ms":
        stored += [float("inf"), 10**17, 1_793_491_199_999, 1_793_836_800_000]
        expected = {"null": 1, "infinite": 2, "unreadable": 2, "before": 2, "after": 3}
    for number, value in enumerate(stored):
        sqlite.run("INSERT INTO v VALUES (?, ?)", [number, value])
    encodings = {"encodings": {"at": encoding}} if encoding != "iso8601" else {}
    outcome = outside(sqlite.url, store, **encodings)
    assert counts(outcome) == expected
    assert outcome.manifest is not None
    assert outcome.manifest.counts.read == 1


def test_rows_without_a_usable_time_warn_and_others_are_named_with_their_setting(
    empty: Database, store: LocalStore
) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", at="timestamp")
    empty.add("v", {"id": 1, "at": f"{DAY}T01:00Z"})
    assert verdict_of(outside(empty.url, store)).passed
    empty.add("v", {"id": 2, "at": "2026-10-31T01:00Z"}, {"id": 3, "at": "2026-11-05T01:00Z"})
    found = verdict_of(outside(empty.url, store))
    assert found.passed
    assert found.reason == (
        "In the table, 1 row before the first day, 1 row after the last day. "
        "EXPORTER_START_DATE is 2026-11-01. "
        "The last day is 2026-11-04: today, or the day before EXPORTER_END_DATE."
    )
    empty.add("v", {"id": 4, "at": None})
    found = verdict_of(outside(empty.url, store))
    assert (found.passed, found.severity) == (False, "WARN")
    assert "1 row without a time" in found.reason


@pytest.mark.parametrize("text", ["2026-11-01 25:00", "2026/11/01 noon", "20261101-9"])
def test_an_unreadable_time_that_begins_with_the_date_holds_its_day(
    empty: Database, store: LocalStore, text: str
) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", at="string")
    empty.add("v", {"id": 1, "at": DAY}, {"id": 2, "at": text}, {"id": 3, "at": "2026-11-02"})
    held = outside(empty.url, store)
    assert held.manifest is None
    assert held.reasons[0].startswith(f"1 row may belong to this day: at begins with {DAY}")
    assert verdict_of(held).numbers["rows_unreadable_of_the_day"] == 1
    assert outside(empty.url, store, day="2026-11-02").manifest is not None


@pytest.mark.parametrize("texts", [["Sun, 01 Nov 2026 09:30:00 +0000", "1793491200"], [None]])
def test_a_table_without_any_usable_time_holds_every_day(
    empty: Database, store: LocalStore, texts: list[str | None]
) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", at="string")
    empty.add("v", *({"id": n, "at": text} for n, text in enumerate(texts)))
    held = outside(empty.url, store)
    assert held.manifest is None
    assert "No row has a time in at that can be used." in held.reasons[0]
    empty.add("v", {"id": 9, "at": "1999-01-01"})
    assert outside(empty.url, store).manifest is not None


def test_a_postgresql_table_whose_times_are_all_infinite_holds_every_day(
    empty_db: Backend, store: LocalStore
) -> None:
    empty_db.run("CREATE TABLE v (id bigint PRIMARY KEY, at timestamptz)")
    assert outside(empty_db.url, store).manifest is not None
    empty_db.run("INSERT INTO v VALUES (1, 'infinity')")
    assert outside(empty_db.url, store).manifest is None


def test_a_time_in_a_blob_is_read_as_text(sqlite: SqliteDatabase, store: LocalStore) -> None:
    sqlite.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at)")
    stored = (DAY.encode(), f"{DAY} 09:30,5".encode(), b"20261101T1000Z", f"{DAY} 11:00")
    for number, value in enumerate(stored):
        sqlite.run("INSERT INTO v VALUES (?, ?)", [number, value])
    outcome = outside(sqlite.url, store)
    assert outcome.manifest is None  # the comma needs seconds before it
    assert verdict_of(outcome).numbers["rows_unreadable_of_the_day"] == 1
    sqlite.run("UPDATE v SET at = ? WHERE id = 1", [f"{DAY} 09:30:00,5".encode()])
    outcome = outside(sqlite.url, store)
    assert outcome.manifest is not None
    assert outcome.manifest.counts.read == 4


def test_the_table_is_counted_once_in_a_run(empty: Database, store: LocalStore) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", at="timestamp")
    empty.add("v", {"id": 1, "at": None})
    exported, shared = values_dataset(source={"timezone": "UTC"}), OutsideDays(DAYS)
    found = []
    with databases(empty.url) as session:
        for day in (DAY, "2026-11-02"):
            outcome = outcome_of(
                empty.url, exported, day, store, session=session, outside_days=shared
            )
            found.append(counts(outcome))
            empty.add("v", {"id": len(found) + 1, "at": None})
    assert found == [{"null": 1}] * 2


def test_a_table_that_takes_too_long_is_sampled_and_the_day_is_exported(
    empty_db: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside_days, "TIMEOUT_S", 1.0)
    empty_db.run(
        "CREATE VIEW v AS SELECT 2000::bigint * a + b AS id, CASE WHEN b % 1000 = 0 THEN 'never' "
        "ELSE '2026-11-02 01:00:00' END AS at "
        "FROM generate_series(1, 2000) AS a, generate_series(1, 2000) AS b"
    )
    outcome = outside(empty_db.url, store)
    found = verdict_of(outcome)
    assert found.numbers["rows_unreadable"] == 20
    assert "Of the first 20,000 rows of the table" in found.reason
    assert outcome.manifest is not None


def test_a_table_that_cannot_even_be_sampled_warns(
    empty_db: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside_days, "TIMEOUT_S", 0.05)
    empty_db.run(
        "CREATE TABLE v (id bigint PRIMARY KEY, at timestamptz); INSERT INTO v VALUES (1, NULL)"
    )
    slow = "SELECT id, at FROM v WHERE at IS NOT NULL OR pg_sleep(0.2) IS NOT NULL"
    outcome = outside(empty_db.url, store, table=None, query=slow)
    found = verdict_of(outcome)
    assert (found.passed, found.severity) == (False, "WARN")
    assert "Not counted" in found.reason
    assert outcome.manifest is not None
