"""The contract of a source: every database that is read keeps it."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.source import NOTES_COLUMN
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    ExporterError,
    UnknownTableError,
)
from exporter_pipelines.sources import SOURCES, kind_of, open_inspection
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.databases import (
    DATABASES,
    Database,
    create,
    with_shipped_tables,
)
from exporter_pipelines_tests.support.datasets import (
    databases,
    dataset,
    export,
    open_day,
    parse,
    rejected,
    rows,
)
from exporter_pipelines_tests.test_postgres_values import values_dataset

DAY = "2026-11-01"
NOON = f"{DAY}T12:00:00Z"


@pytest.fixture(params=DATABASES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind, without tables."""
    with DATABASES[request.param](request, tmp_path) as found:
        yield found


@pytest.fixture
def database(empty: Database) -> Database:
    """The same with the tables of the three datasets."""
    return with_shipped_tables(empty)


def log(number: int, time: str = NOON, **columns: Any) -> dict[str, Any]:
    return {"id": number, "timestamp": time, "level": "INFO", "message": "hello", "source": "app",
            **columns}  # fmt: skip


def changes(manifest: Manifest) -> dict[str, int]:
    """Rule -> values changed, without zeros."""
    metrics = manifest.data_quality_metrics
    return {k.removeprefix("changed."): int(v) for k, v in metrics.items() if "changed." in k and v}


# The time limit of a day

_ENDLESS = f"""
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000000)
SELECT i AS id, '{NOON}' AS timestamp, 'INFO' AS level, 'hello' AS message, 'app' AS source FROM n
"""


def test_a_day_with_a_time_limit_ends_and_the_next_one_can_be_read(database: Database) -> None:
    database.add("logs", log(1))
    window, began = DayWindow.of(DAY, "UTC"), time.monotonic()
    endless = dataset(source={"table": None, "query": _ENDLESS})
    with databases(database.url) as session:
        with pytest.raises(ExporterError), session.day(endless, window, timeout_s=0.4) as snapshot:
            for _ in snapshot.batches(50_000):
                pass
        assert time.monotonic() - began < 20
        with session.day(dataset(), window, timeout_s=60) as snapshot:
            assert sum(batch.num_rows for batch in snapshot.batches(10)) == 1


# The registry


def test_every_registered_source_is_judged_by_this_contract() -> None:
    judged = {name.partition("-")[0] for name in DATABASES}
    assert [source for source in SOURCES if not judged & set(source.schemes)] == []


def test_no_two_sources_read_the_same_url() -> None:
    schemes = [scheme for source in SOURCES for scheme in source.schemes]
    assert len(set(schemes)) == len(schemes)
    assert [kind_of(source.example) for source in SOURCES] == [source.kind for source in SOURCES]


@pytest.mark.parametrize("url", ["mysql://user:hunter2@host/db", "hunter2", "Demo", "://hunter2"])
def test_a_url_that_no_source_reads_is_answered_with_those_that_are_read(
    url: str, store: LocalStore
) -> None:
    assert kind_of(url) is None
    messages = []
    with pytest.raises(ConfigurationError) as caught:
        export(url, dataset(), DAY, store)
    messages.append(str(caught.value))
    with pytest.raises(ConfigurationError) as caught:
        open_inspection(url, "EXPORTER_SOURCE_URL")
    messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert messages[0].startswith("The value of EXPORTER_SOURCE_URL is not the URL of a supported")
    assert "hunter2" not in messages[0]
    assert all(source.example in messages[0] for source in SOURCES)


# The three datasets


def test_logs_arrive_as_they_were_stored(database: Database, store: LocalStore) -> None:
    database.add(
        "logs",
        log(1, "2026-11-01 00:00:00.000001+00", level="warn", ip="2001:db8::1", device=""),
        log(2, "2026-11-01T13:00:00+02:00", message='a\n"b"\\ \u2028', attributes={"a": [1, {}]}),
        log(3, "2026-11-01T23:59:59.999999Z", ip="not an address"),
    )
    manifest = export(database.url, dataset(), DAY, store)
    assert rows(store, manifest) == [
        {"id": 1, "timestamp": "2026-11-01T00:00:00.000001Z", "level": "WARNING",
         "message": "hello", "source": "app", "device": "", "ip": "2001:db8::1",
         "attributes": None},
        {"id": 2, "timestamp": "2026-11-01T11:00:00.000000Z", "level": "INFO",
         "message": 'a\n"b"\\ \u2028', "source": "app", "device": None, "ip": None,
         "attributes": {"a": [1, {}]}},
    ]  # fmt: skip
    assert [(r["id"], r["rejections"][0]["rule"]) for r in rejected(store, manifest)] == [
        (3, "valid_address")
    ]


def test_anomalies_and_addresses_arrive_as_they_were_stored(
    database: Database, store: LocalStore
) -> None:
    database.add(
        "anomalies",
        {"id": 1, "timestamp": NOON, "type": "spike", "score": 0.1, "log_id": 2**63 - 1,
         "ip": "10.0.0.1", "details": {"z": 1, "a": None}},
        {"id": 2, "timestamp": NOON, "type": "spike", "score": math.inf, "details": {}},
    )  # fmt: skip
    database.add(
        "ip_addresses",
        {"id": 7, "address": "::1", "first_seen": "2026-10-01", "last_seen": NOON,
         "risk_score": 100.0, "labels": ["a", "b"]},
    )  # fmt: skip
    anomalies = export(database.url, dataset("anomalies"), DAY, store)
    assert rows(store, anomalies) == [
        {"id": 1, "timestamp": "2026-11-01T12:00:00.000000Z", "type": "spike", "score": 0.1,
         "severity": None, "status": None, "log_id": 2**63 - 1, "ip": "10.0.0.1",
         "details": {"z": 1, "a": None}}
    ]  # fmt: skip
    assert anomalies.counts.rejected == 1
    (address,) = rows(store, export(database.url, dataset("ips"), DAY, store))
    assert (address["first_seen"], address["labels"]) == (
        "2026-10-01T00:00:00.000000Z",
        ["a", "b"],
    )


def test_the_manifest_names_the_source(database: Database, store: LocalStore) -> None:
    database.add("logs", log(1))
    source = export(database.url, dataset(), DAY, store).source
    assert source.table == "logs"
    assert all([source.kind, source.snapshot, source.server_version])


def test_columns_that_are_not_exported_are_named(database: Database, store: LocalStore) -> None:
    database.run("ALTER TABLE logs ADD COLUMN session_token varchar(20)")
    database.run("ALTER TABLE logs RENAME COLUMN source TO process")
    row = log(1)
    database.add("logs", {"process": row.pop("source"), **row})
    exported = dataset(source={"columns": {"source": "process"}})
    assert export(database.url, exported, DAY, store).source.columns_not_exported == [
        "session_token"
    ]
    chosen = dataset(
        source={"columns": {"source": "process"}}, select=["id", "timestamp", "source", "level"]
    )
    manifest = export(database.url, chosen, DAY, store)
    assert manifest.source.columns_not_exported == [
        "message", "device", "ip", "attributes", "session_token"
    ]  # fmt: skip


def test_an_empty_day_has_every_column_and_no_rows(database: Database, store: LocalStore) -> None:
    database.add("logs", log(1, "2026-11-02T00:00:00Z"))
    manifest = export(database.url, dataset(), DAY, store)
    assert (manifest.record_count, manifest.counts.read, manifest.files) == (0, 0, [])
    assert [c.name for c in manifest.columns] == list(dataset().schema.names)


# Windows


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("UTC", "2026-11-01"),
        ("Europe/Berlin", "2026-10-25"),
        ("America/Havana", "2026-11-01"),
        ("Asia/Kathmandu", "2026-11-01"),
        ("Pacific/Apia", "2011-12-30"),
    ],
)
def test_a_row_at_a_border_is_found_in_one_day(
    database: Database, store: LocalStore, zone: str, day: str
) -> None:
    first = dt.date.fromisoformat(day) - dt.timedelta(days=1)
    windows = [DayWindow.of(str(first + dt.timedelta(days=n)), zone) for n in range(3)]
    tick, expected = dt.timedelta(microseconds=1), {}
    for window in windows:
        instants = (window.start, window.start + tick, window.end - tick)
        for instant in instants if window.start < window.end else ():
            expected[len(expected)] = window.day
            database.add("logs", log(len(expected) - 1, instant.isoformat()))
    found = {}
    for window in windows:
        manifest = export(database.url, dataset(), window.day, store, timezone=zone)
        assert manifest.data_quality_metrics["rows_outside_window"] == 0
        found |= {row["id"]: window.day for row in rows(store, manifest)}
    assert found == expected


# (stored value, instant on 2026-11-01 in UTC) of a column of each encoding
TEXTS = [
    ("2026-11-01", "00:00:00.000000"),
    ("2026-11-01 01:00", "01:00:00.000000"),
    ("2026-11-01T02:00:00", "02:00:00.000000"),
    ("2026-11-01 03:00:00.5", "03:00:00.500000"),
    ("2026-11-01T04:00:00.123456789", "04:00:00.123456"),
    ("2026-11-01T05:00:00Z", "05:00:00.000000"),
    ("2026-11-01t06:00:00.000001z", "06:00:00.000001"),
    ("2026-11-01 09:00:00+02", "07:00:00.000000"),
    ("2026-11-01T10:30:00.1+0230", "08:00:00.100000"),
    ("2026-11-01 05:30:00 -03:30", "09:00:00.000000"),
    ("2026-11-02T01:00:00.999999999+14:00", "11:00:00.999999"),
    ("2026-10-31T13:30-12", "01:30:00.000000"),
    ("2026-11-01T23:59:59.9999999Z", "23:59:59.999999"),
    # Python's logging, Java's log4j
    ("2026-11-01 12:00:00,5", "12:00:00.500000"),
    # Go
    ("2026-11-01 12:00:00.000000001 +0000 UTC", "12:00:00.000000"),
    ("2026-11-01 13:00:00.25 +0100 CET m=+0.0000000017", "12:00:00.250000"),
    ("2026-11-01 09:00:00 -0300 -03", "12:00:00.000000"),
    # Java
    ("2026-11-01T13:00:00.1+01:00[Europe/Paris]", "12:00:00.100000"),
    ("2026-11-01T12:00:00.2Z[UTC]", "12:00:00.200000"),
    # BigQuery, Ruby
    ("2026-11-01 12:00:00.3 UTC", "12:00:00.300000"),
    ("2026-11-01 12:00:00.4 GMT", "12:00:00.400000"),
    # nginx
    ("2026/11/01 12:00:00", "12:00:00.000000"),
    ("2026/11/01", "00:00:00.000000"),
    # One digit for the hour
    ("2026-11-01 9:00", "09:00:00.000000"),
    ("2026/11/01  9:00:00,750", "09:00:00.750000"),
    # ISO 8601: basic format, hours alone, the end of a day, a leap second
    ("20261101", "00:00:00.000000"),
    ("20261101T120000Z", "12:00:00.000000"),
    ("20261101T1330+0130", "12:00:00.000000"),
    ("20261101120001.5", "12:00:01.500000"),
    ("2026-11-01T15", "15:00:00.000000"),
    ("2026-10-31T24:00:00", "00:00:00.000000"),
    ("20261101T22:59:60", "23:00:00.000000"),
    # char(n)
    ("2026-11-01 12:00:00   ", "12:00:00.000000"),
]  # fmt: skip
UNREADABLE = [
    "", "now", "1793491200", "2026-02-29", "2026-13-01", "2026-11-31", "2026/11/31",
    "01.11.2026", "11/01/2026", " 2026-10-02", "0000-01-01", "infinity", "\uff12026-11-01",
    "Sun Nov  1 12:00:00 2026", "01/Nov/2026:12:00:00 +0000", "2026-W44-7", "2026-305", "2026-11",
]  # fmt: skip
# Text that begins with the date of the day, so that it might be one of its rows.
NEARLY = [
    "2026-11-01T", "2026-11-01T12:60", "2026-11-01T12:00:61", "2026-11-01T24:00:01",
    "2026-11-01T12:00:00+16:00", "2026-11-01\n", "2026-11-01+02:00", "2026-11-01 12:00 PM",
    "2026-11-01 12:00:00 Europe/Berlin", "2026-11-01_12:00", "2026/11/01 12:00:00 CET",
    "20261101T1", "2026/11-01",
]  # fmt: skip


def times_dataset(**source: Any) -> Dataset:
    return values_dataset(
        source={"columns": {"at": "t", "moment": "t"}, "timezone": "UTC", **source},
        max_rejected_pct=100,
    )


def test_text_of_every_spelling_is_found_in_its_day(empty: Database, store: LocalStore) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", t="string")
    stored = [text for text, _ in TEXTS] + UNREADABLE
    shuffled = random.Random(1).sample(range(len(stored)), len(stored))
    empty.add("v", *({"id": shuffled[n], "t": text} for n, text in enumerate(stored)))
    manifest = export(empty.url, times_dataset(), DAY, store)
    expected = sorted(f"{DAY}T{clock}Z" for _, clock in TEXTS)
    assert [row["at"] for row in rows(store, manifest)] == expected
    # `at` and `moment` are the same column.
    assert changes(manifest) == {"timestamp_truncated": 2 * 4}


def test_unreadable_text_beside_the_time_column_is_rejected(
    empty: Database, store: LocalStore
) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", at="string", moment="string")
    outside = ["0001-01-01T00:00:00+01", "9999-12-31T23:00:00-01"]
    unreadable = [*UNREADABLE, *NEARLY]
    stored = [None, "2026-11-01", *outside, *unreadable, "x" * 10_000]
    empty.add("v", *({"id": n, "at": DAY, "moment": text} for n, text in enumerate(stored)))
    manifest = export(
        empty.url, values_dataset(source={"timezone": "UTC"}, max_rejected_pct=100), DAY, store
    )
    assert [row["moment"] for row in rows(store, manifest)] == [None, "2026-11-01T00:00:00.000000Z"]
    reasons = [row["rejections"][0] for row in rejected(store, manifest)]
    assert [reason["rule"] for reason in reasons] == [
        *["timestamp_out_of_range"] * 2, *["unreadable_time"] * (len(unreadable) + 1)
    ]  # fmt: skip
    assert [reason["value"] for reason in reasons[2:-1]] == unreadable
    assert len(reasons[-1]["value"]) <= 500


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Havana", "Australia/Lord_Howe"])
def test_local_text_is_the_later_instant_of_a_changed_clock(
    empty: Database, store: LocalStore, zone: str
) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", t="string")
    changed = {"Europe/Berlin": ("2026-03-29", "2026-10-25"),
               "America/Havana": ("2024-03-10", "2024-11-03"),
               "Australia/Lord_Howe": ("2026-04-05", "2026-10-04")}[zone]  # fmt: skip
    texts = [f"{day}T{hour:02}:{minute:02}" for day in changed for hour in range(5)
             for minute in (0, 15, 30, 45)]  # fmt: skip
    empty.add("v", *({"id": n, "t": text} for n, text in enumerate(texts)))
    found = {}
    for day in changed:
        exported = times_dataset(timezone=zone)
        for row in rows(store, export(empty.url, exported, day, store, timezone=zone)):
            found[row["id"]] = row["at"]
    assert found == {n: later_instant(text, zone) for n, text in enumerate(texts)}


def later_instant(local: str, zone: str) -> str:
    naive = dt.datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))
    instant = max(naive.replace(fold=fold).astimezone(dt.UTC) for fold in (0, 1))
    return f"{instant:%Y-%m-%dT%H:%M:%S.%f}Z"


@pytest.mark.parametrize(
    ("encoding", "kind", "stored"),
    [
        ("epoch_s", "int64", [0, 1, 86_399]),
        ("epoch_s", "float64", [0.0, 0.000001, 86_399.999999]),
        ("epoch_ms", "int64", [0, 1, 86_399_999]),
        ("epoch_ms", "float64", [0.0, 0.001, 86_399_999.999]),
        ("epoch_us", "int64", [0, 1, 86_399_999_999]),
    ],
)
@pytest.mark.parametrize("day", [DAY, "1969-12-31", "1970-01-01"])
def test_numbers_are_found_in_their_day_to_the_microsecond(
    empty: Database, store: LocalStore, encoding: str, kind: str, stored: list[float], day: str
) -> None:
    per_s = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}[encoding]
    base = (dt.date.fromisoformat(day) - dt.date(1970, 1, 1)).days * 86_400 * per_s
    create(empty, "v", id="int64 PRIMARY KEY", t=kind)
    tick = 1 if kind == "int64" else 1 / per_s
    around = [base - tick, *(base + value for value in stored), base + 86_400 * per_s, None]
    empty.add("v", *({"id": n, "t": value} for n, value in enumerate(around)))
    encodings = {"at": encoding, "moment": encoding}
    manifest = export(empty.url, times_dataset(encodings=encodings), day, store)
    read = rows(store, manifest)
    # Near today, doubles of milliseconds are 0.0002 apart: the digits they are written with count.
    assert [row["at"] for row in read] == [instant_text(value, per_s) for value in around[1:-2]]
    assert all(row["moment"] == row["at"] for row in read)


def instant_text(number: float, per_s: int) -> str:
    us = math.floor(Decimal(repr(number)) * 1_000_000 / per_s)
    instant = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=us)  # noqa: DTZ001
    return f"{instant.isoformat(timespec='microseconds')}Z"


def test_numbers_beyond_what_can_be_said_are_rejected_and_finer_ones_cut(
    empty: Database, store: LocalStore
) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", at="timestamp", moment="float64")
    numbers = [0.1234567, -0.1234567, 1e300, math.inf, -math.inf, -62_135_596_800.0, -1e12, None]
    empty.add("v", *({"id": n, "at": NOON, "moment": x} for n, x in enumerate(numbers)))
    exported = values_dataset(
        source={"encodings": {"moment": "epoch_s"}, "timezone": "UTC"}, max_rejected_pct=100
    )
    manifest = export(empty.url, exported, DAY, store)
    assert [row["moment"] for row in rows(store, manifest)] == [
        "1970-01-01T00:00:00.123456Z", "1969-12-31T23:59:59.876543Z",
        "0001-01-01T00:00:00.000000Z", None,
    ]  # fmt: skip
    assert changes(manifest) == {"timestamp_truncated": 2}
    rules = Counter(r["rejections"][0]["rule"] for r in rejected(store, manifest))
    assert rules == {"timestamp_out_of_range": 4}


# Keys and order


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("int64", [2**53 + 1, -1, 2**63 - 1, 0]),
        ("string", ["b", "B", "ä", "a", "10", "9"]),
        (
            "string",
            ["ffffffff-0000-4000-8000-000000000001", "00000000-0000-4000-8000-0000000000ab"],
        ),
    ],
)
def test_rows_come_in_the_order_of_time_and_key(
    empty: Database, store: LocalStore, kind: str, keys: list[Any]
) -> None:
    create(empty, "v", id=f"{kind} PRIMARY KEY NOT NULL", at="timestamp")
    empty.add("v", *({"id": key, "at": NOON} for key in keys))
    manifest = export(empty.url, values_dataset(), DAY, store)
    assert [row["id"] for row in rows(store, manifest)] == sorted(
        keys, key=lambda key: key.encode() if isinstance(key, str) else key
    )
    assert manifest.data_quality_metrics["repeated_keys"] == 0


def test_repeated_keys_are_counted_and_their_order_is_fixed(
    empty: Database, store: LocalStore
) -> None:
    create(empty, "v", id="int64", at="timestamp", text="string", doc="json")
    stored = [{"id": n % 7, "at": NOON, "text": f"{n % 5}", "doc": {"n": n % 11}}
              for n in range(100)]  # fmt: skip
    hashes = set()
    for seed in range(3):
        empty.run("DELETE FROM v")
        empty.add("v", *random.Random(seed).sample(stored, len(stored)))
        manifest = export(empty.url, values_dataset(), DAY, store, batch_rows=13)
        hashes.add(manifest.files[0].sha256)
        assert manifest.data_quality_metrics["repeated_keys"] == 93
    assert len(hashes) == 1


# A query instead of a table


def test_a_query_is_read_as_a_table_is(database: Database, store: LocalStore) -> None:
    database.add("logs", log(1), log(2), log(3, "2026-11-02T00:00:00Z"))
    database.run("CREATE TABLE names (id INTEGER, name TEXT)")
    database.add("names", {"id": 1, "name": "{one} %s"}, {"id": 2, "name": "two"})
    query = (
        "SELECT l.*, n.name AS who FROM logs AS l JOIN names AS n ON n.id = l.id "
        "WHERE level <> '%s {x}' -- the end"
    )
    exported = dataset(source={"table": None, "query": query, "columns": {"device": "who"}})
    manifest = export(database.url, exported, DAY, store)
    assert [(row["id"], row["device"]) for row in rows(store, manifest)] == [
        (1, "{one} %s"), (2, "two")
    ]  # fmt: skip
    assert manifest.source.table.startswith("query ")
    assert len(manifest.source.table) == len("query ") + 12


@pytest.mark.parametrize("query", ["SELECT nothing FROM logs", "no SELECT", "SELECT 1) AS a, ("])
def test_a_query_that_the_database_refuses_is_named(
    database: Database, store: LocalStore, query: str
) -> None:
    exported = dataset(source={"table": None, "query": query})
    with pytest.raises(ConfigurationError, match="query of logs") as caught:
        export(database.url, exported, DAY, store)
    assert "Correct `query`" in caught.value.hint


@pytest.mark.parametrize("given", [{"query": "SELECT 1"}, {"table": None}])
def test_exactly_one_of_table_and_query_is_given(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="exactly one of `table` and `query`"):
        dataset(source=given)


# Rules in SQL


def test_a_rule_in_sql_sees_the_columns_of_the_table_and_the_whole_day(
    database: Database, store: LocalStore
) -> None:
    database.add("logs", *(log(n, ip=f"10.0.0.{n % 2}") for n in range(5)), log(9))
    database.add("logs", log(10, "2026-11-02T00:00:00Z", ip="10.0.0.1"))
    rules = [
        {"name": "quiet", "sql": "count(*) OVER (PARTITION BY ip) <= 2 -- a day"},
        {"name": "not_null", "sql": "ip <> '%s {}'"},
    ]
    manifest = export(database.url, dataset(rules=rules, max_rejected_pct=100), DAY, store)
    assert [row["id"] for row in rows(store, manifest)] == [1, 3, 9]
    assert [(row["id"], row["rejections"]) for row in rejected(store, manifest)] == [
        (n, [{"rule": "quiet", "column": None, "value": None}]) for n in (0, 2, 4)
    ]


@pytest.mark.parametrize("sql", ["nothing > 0", "id >", "count(*) < 5"])
def test_a_rule_in_sql_that_the_database_refuses_is_named(
    database: Database, store: LocalStore, sql: str
) -> None:
    with pytest.raises(ConfigurationError, match="SQL rule 'mine' of logs is refused"):
        export(database.url, dataset(rules=[{"name": "mine", "sql": sql}]), DAY, store)


# What does not fit


def test_an_unknown_table_is_answered_with_those_that_exist(
    database: Database, store: LocalStore
) -> None:
    with pytest.raises(
        UnknownTableError, match=r"'lgos' of logs does not exist \(there are: "
    ) as e:
        export(database.url, dataset(source={"table": "lgos"}), DAY, store)
    assert "ip_addresses" in e.value.message


def test_an_unknown_column_is_answered_with_those_that_exist(
    database: Database, store: LocalStore
) -> None:
    database.run("ALTER TABLE logs RENAME level TO severity")
    with pytest.raises(ColumnMismatchError, match=r"'level'.*there are: id, timestamp, severity"):
        export(database.url, dataset(), DAY, store)
    database.run("ALTER TABLE logs RENAME severity TO level")
    with pytest.raises(ColumnMismatchError, match="'hostname'"):
        export(database.url, dataset(source={"columns": {"device": "hostname"}}), DAY, store)


def test_names_of_the_database_send_no_control_characters_to_a_terminal(
    database: Database, store: LocalStore
) -> None:
    database.run('ALTER TABLE logs RENAME level TO "\x1b[31mred\x1b]0;title\x07\nFAIL\u202e"')
    database.run('CREATE TABLE "\x1b[2J\nwiped" (id INTEGER)')
    with pytest.raises(ColumnMismatchError) as missing:
        export(database.url, dataset(), DAY, store)
    with pytest.raises(UnknownTableError) as unknown:
        export(database.url, dataset(source={"table": "lgos"}), DAY, store)
    for shown in (str(missing.value), str(unknown.value), *missing.value.args):
        assert shown.isprintable(), repr(shown)
    assert r"\x1b[31mred" in missing.value.message
    assert r"\x1b[2J\nwiped" in unknown.value.message


def test_a_key_is_needed_even_where_the_schema_leaves_it_open(
    database: Database, store: LocalStore
) -> None:
    database.run("ALTER TABLE logs DROP COLUMN device")
    with pytest.raises(ColumnMismatchError, match="'device'"):
        export(database.url, dataset(source={"key": "device"}), DAY, store)


def test_an_optional_column_that_the_table_lacks_is_null(
    database: Database, store: LocalStore
) -> None:
    database.run("ALTER TABLE logs DROP COLUMN device")
    database.add("logs", log(1))
    (row,) = rows(store, export(database.url, dataset(), DAY, store))
    assert row["device"] is None


def test_a_value_above_the_limit_is_cut_off_and_rejected(
    database: Database, store: LocalStore
) -> None:
    fits, too_large = "é" * 500, "é" * 5_000
    database.add("logs", log(1, message=fits), log(2, message=too_large),
                 log(3, attributes={"a": too_large}))  # fmt: skip
    manifest = export(
        database.url, dataset(max_value_bytes=1_000, max_rejected_pct=100), DAY, store
    )
    assert [row["message"] for row in rows(store, manifest)] == [fits]
    reasons = [row["rejections"] for row in rejected(store, manifest)]
    assert [[(r["rule"], r["column"]) for r in row] for row in reasons] == [
        [("value_too_large", "message")], [("value_too_large", "attributes")]
    ]  # fmt: skip
    assert too_large.startswith(reasons[0][0]["value"])


# The days of a session


def test_each_day_of_a_session_is_read_as_it_is_then(database: Database, store: LocalStore) -> None:
    unknown = dataset(source={"table": "lgos"})
    with databases(database.url) as session:
        for number in range(3):
            database.add("logs", log(number))
            manifest = export(database.url, dataset(), DAY, store, session=session)
            assert [row["id"] for row in rows(store, manifest)] == list(range(number + 1))
            with pytest.raises(UnknownTableError):
                export(database.url, unknown, DAY, store, session=session)


def test_a_day_that_was_not_read_to_its_end_does_not_cost_the_next(
    database: Database, store: LocalStore
) -> None:
    database.add("logs", *(log(n) for n in range(20)))
    window = DayWindow.of(DAY, "UTC")
    with databases(database.url) as session:
        with session.day(dataset(), window) as snapshot:
            assert next(snapshot.batches(3)).num_rows == 3
        with session.day(dataset(), window) as snapshot:
            assert snapshot.row_count == 20
        assert export(database.url, dataset(), DAY, store, session=session).record_count == 20
    session.close()  # harmless when called twice


# One snapshot, in batches


def test_counts_and_rows_are_of_one_moment(database: Database) -> None:
    database.add("logs", *(log(n) for n in range(20)))
    with open_day(database.url, dataset(), DayWindow.of(DAY, "UTC")) as snapshot:
        database.add("logs", log(100))
        database.run("DELETE FROM logs WHERE id < 5")
        read = [row for batch in snapshot.batches(7) for row in batch["id"].to_pylist()]
    assert (snapshot.row_count, read) == (20, list(range(20)))


def test_a_day_is_whole_while_another_connection_writes(
    database: Database, store: LocalStore
) -> None:
    # Units move between two rows; their sum is the same at every moment.
    database.add("logs", log(1, message="500"), log(2, message="500"))
    done = threading.Event()

    def move() -> None:
        moved = 0
        while not done.is_set():
            moved = (moved + 7) % 500
            database.run(f"UPDATE logs SET message = 500 + (id * 2 - 3) * {moved}")

    writer = threading.Thread(target=move)
    writer.start()
    try:
        for _ in range(8):
            read = rows(store, export(database.url, dataset(), DAY, store))
            assert sum(int(row["message"]) for row in read) == 1000
    finally:
        done.set()
        writer.join()


def test_batches_have_the_promised_columns_and_no_more_rows_than_asked_for(
    database: Database,
) -> None:
    database.add("logs", *(log(n) for n in range(10)))
    with open_day(database.url, dataset(), DayWindow.of(DAY, "UTC")) as snapshot:
        batches = list(snapshot.batches(4))
        expected = [(field.name, field.type) for field in snapshot.schema.arrow]
    assert max(batch.num_rows for batch in batches) == 4
    assert sum(batch.num_rows for batch in batches) == 10
    for batch in batches:
        assert batch.schema.names[-1] == NOTES_COLUMN
        assert [(field.name, field.type) for field in batch.schema][:-1] == expected


def test_a_batch_ends_by_bytes_as_well(database: Database) -> None:
    database.add("logs", *(log(n, message="x" * 1_000_000) for n in range(30)))
    with open_day(database.url, dataset(), DayWindow.of(DAY, "UTC")) as snapshot:
        sizes = [batch.num_rows for batch in snapshot.batches(50_000)]
    assert sum(sizes) == 30
    assert max(sizes) <= 10


# Anything


_TEXTS = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=30
)
_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=8,
)
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | _TEXTS,
            "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
            "number": st.none() | st.floats(allow_nan=False),
            "moment": st.none()
            | st.datetimes(timezones=st.just(dt.UTC)).map(dt.datetime.isoformat),
            "doc": st.none() | _DOCUMENTS,
        }
    ),
    min_size=1,
    max_size=20,
)


@pytest.fixture(scope="module", params=[name for name in DATABASES if "-" not in name])
def any_values(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with a table for any row."""
    with DATABASES[request.param](request, tmp_path_factory.mktemp("any")) as found:
        create(
            found, "v", id="int64 PRIMARY KEY", at="timestamp", text="string", whole="int64",
            number="float64", moment="timestamp", doc="json",
        )  # fmt: skip
        yield found


@pytest.fixture(scope="module")
def any_store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("round-trip"))


@settings(max_examples=25)
@given(written=_ROWS)
def test_any_row_arrives_equal_or_counted(
    any_values: Database, any_store: LocalStore, written: list[dict[str, Any]]
) -> None:
    any_values.run("DELETE FROM v")
    for number, row in enumerate(written):
        doc = None if row["doc"] is None else json.dumps(row["doc"])
        any_values.add("v", {"id": number, "at": NOON, **row, "doc": doc})
    exported = values_dataset(compression="none", source={"timezone": "UTC"})
    # A day of one example replaces that of another.
    manifest = export(any_values.url, exported, DAY, any_store, accept_loss=True)
    read = parse(any_store.day_folder("logs", DAY) / manifest.files[0].path)
    read = [{name: row[name] for name in written[0]} for row in read]
    assert read == [_as_json(row) for row in written]
    infinite = sum(math.isinf(row["number"] or 0) for row in written)
    assert changes(manifest) == ({"nonfinite_to_null": infinite} if infinite else {})


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    number = row["number"]
    moment = row["moment"] and dt.datetime.fromisoformat(row["moment"])
    return {
        **row,
        "number": number if number is not None and math.isfinite(number) else None,
        "moment": moment and f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z",
    }


# All databases read the same text as the same instant, or not at all

_PARTS = (
    st.sampled_from(["2026-11-01", "2024-02-29", "2026-02-29", "0001-01-01", "9999-12-31",
                     "2026-10-25", "2026-03-29", "2026-3-29", "20261101", "1900-01-01"]),
    st.sampled_from(["", "T", " ", "t", "  ", "_"]),
    st.sampled_from(["", "00:00", "02:30:00", "23:59:59", "24:00:00", "2:30", "02:30:60"]),
    st.sampled_from(["", ".5", ".123456", ".1234567", ".9999999999", ",5", "."]),
    st.sampled_from(["", "Z", "z", "+02", "-0330", "+14:00", " +00:00", "+15:59", "-16", "UTC",
                     "+2", " Z", "+02:0"]),
)  # fmt: skip
_TIMES = st.tuples(*_PARTS).map("".join)


@pytest.fixture(scope="module")
def each(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Database]]:
    """A database of each kind with a table of text."""
    with ExitStack() as stack:
        found = [
            stack.enter_context(make(request, tmp_path_factory.mktemp("each")))
            for name, make in DATABASES.items()
            if "-" not in name
        ]
        for database in found:
            create(database, "v", id="int64 PRIMARY KEY", at="string", moment="string")
        yield found


@pytest.mark.slow
@settings(max_examples=60)
@given(texts=st.lists(_TIMES, min_size=1, max_size=20))
def test_all_databases_read_the_same_text_alike(
    each: list[Database], any_store: LocalStore, texts: list[str]
) -> None:
    exported = values_dataset(source={"timezone": "Europe/Berlin"}, max_rejected_pct=100)
    outcomes = []
    for database in each:
        database.run("DELETE FROM v")
        database.add("v", *({"id": n, "at": DAY, "moment": text} for n, text in enumerate(texts)))
        # A day of one example replaces that of another.
        manifest = export(
            database.url, exported, DAY, any_store, timezone="Europe/Berlin", accept_loss=True
        )
        outcomes.append(
            (rows(any_store, manifest), rejected(any_store, manifest), changes(manifest))
        )
    assert all(outcome == outcomes[0] for outcome in outcomes)
