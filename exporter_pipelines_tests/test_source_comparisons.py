"""The contract of a source, continued: lookups by key, counts of several days, and its identity."""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import NotComparedError, SourceIdentity
from exporter_pipelines.errors import UnknownTableError
from exporter_pipelines.sources.time_encodings import NotAnInstantError, of_text, since_epoch_us
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.databases import (
    DATABASES,
    Database,
    PostgresDatabase,
    SqliteDatabase,
    create,
    sqlite_database,
    with_shipped_tables,
)
from exporter_pipelines_tests.support.datasets import (
    databases,
    dataset,
    export,
    open_day,
    outcome_of,
    rows,
)
from exporter_pipelines_tests.test_postgres_values import values_dataset

DAY, NEXT = "2026-11-01", "2026-11-02"
NOON = f"{DAY}T12:00:00+00:00"
UTC = DayWindow.of(DAY, "UTC")


@pytest.fixture(params=DATABASES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind, without tables."""
    with DATABASES[request.param](request, tmp_path) as found:
        yield found


@pytest.fixture
def database(empty: Database) -> Database:
    """The same with the tables of the three datasets."""
    return with_shipped_tables(empty)


def log(number: int, at: str = NOON, **columns: Any) -> dict[str, Any]:
    return {"id": number, "timestamp": at, "level": "INFO", "message": "hello", "source": "app",
            **columns}  # fmt: skip


def values(**source: Any) -> Dataset:
    return values_dataset(source={"timezone": "UTC", **source}, max_rejected_pct=100)


def times_of(
    database: Database, exported: Dataset, keys: pa.Array, timeout_s: float = 30
) -> list[tuple[Any, str | None]]:
    """(key, time) of the found rows, in order."""
    with databases(database.url) as session:
        found = session.times_of(exported, keys, timeout_s=timeout_s)
    assert found.schema == pa.schema({"key": keys.type, "time": pa.timestamp("us", "UTC")})
    pairs = zip(found["key"].to_pylist(), found["time"].to_pylist(), strict=True)
    return sorted(((key, at and at.isoformat()) for key, at in pairs), key=repr)


# Rows by key


def test_rows_are_found_by_key_in_any_day(database: Database) -> None:
    late = "2031-05-06T07:08:09.123456+00:00"
    database.add("logs", log(1), log(2, late), log(3), log(2**63 - 1, "1999-01-01T00:00:00Z"))
    keys = pa.array([2, 1, 99, 2**63 - 1, -5, None, 2])
    assert times_of(database, dataset(source={"timezone": "UTC"}), keys) == [
        (1, NOON), (2, late), (2**63 - 1, "1999-01-01T00:00:00+00:00")
    ]  # fmt: skip


def test_no_keys_find_no_rows(database: Database) -> None:
    database.add("logs", log(1))
    exported = dataset(source={"timezone": "UTC"})
    assert times_of(database, exported, pa.array([], pa.int64())) == []
    assert times_of(database, exported, pa.array([None], pa.int64())) == []


def test_every_row_of_a_repeated_key_is_found(empty: Database) -> None:
    create(empty, "v", id="int64", at="timestamp")
    moments = [f"2026-11-0{n}T00:00:00+00:00" for n in (1, 2, 3)]
    empty.add("v", *({"id": 7, "at": at} for at in moments), {"id": None, "at": NOON})
    assert times_of(empty, values(), pa.array([7])) == [(7, at) for at in moments]


UUIDS = ["ffffffff-0000-4000-8000-000000000001", "00000000-0000-4000-8000-0000000000ab"]


@pytest.mark.parametrize(
    ("declared", "stored"),
    [
        (
            "text",
            ["a", "A", "ä", 'q"uote', "back\\slash", "{a,b}", "NULL", "", " x ", "12", "%s {}"],
        ),
        ("varchar(50)", ["a", "A", "12"]),
        ("uuid", UUIDS),
        ("inet", ["10.0.0.1", "10.0.0.0/8", "2001:db8::1"]),
        ("numeric", ["1.50", "12", "123456789012345678901234567890"]),
        ("char(8)", ["ab", "cd"]),
        ("bytea", ["\\x00ff", "\\x"]),
    ],
)
def test_text_keys_are_found_as_they_are_exported(
    empty: Database, store: LocalStore, declared: str, stored: list[str]
) -> None:
    if isinstance(empty, SqliteDatabase):
        declared = "TEXT"
    empty.run(f"CREATE TABLE v (id {declared}, at {empty.types['timestamp']})")
    empty.add("v", *({"id": key, "at": NOON} for key in stored))
    keys = [row["id"] for row in rows(store, export(empty.url, values(), DAY, store))]
    assert len(keys) == len(stored)
    assert times_of(empty, values(), pa.array(keys)) == sorted(
        ((key, NOON) for key in keys), key=repr
    )
    other = {"uuid": "00000000-0000-4000-8000-0000000000ff", "inet": "10.9.9.9"}
    assert times_of(empty, values(), pa.array([other.get(declared, "99")])) == []


def test_a_key_is_compared_exactly_where_the_database_is_loose(empty: Database) -> None:
    is_postgres = isinstance(empty, PostgresDatabase)
    # 1.0 equals 1.00 in PostgreSQL; other sources of equal values are not in every server.
    kind, one, other = ("numeric", "1.0", "1.00") if is_postgres else (
        "TEXT COLLATE NOCASE", "a", "A"
    )  # fmt: skip
    empty.run(f"CREATE TABLE v (id {kind}, at {empty.types['timestamp']})")
    empty.add("v", {"id": one, "at": NOON}, {"id": other, "at": f"{NEXT}T00:00:00Z"})
    assert times_of(empty, values(), pa.array([one])) == [(one, NOON)]


def test_a_key_of_mixed_storage_is_found_in_sqlite(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "mixed.db")
    database.run("CREATE TABLE v (id CHAR BLOB, at TEXT)")  # an identifier that is text
    database.run("CREATE TABLE w (id, at TEXT)")
    stored: list[Any] = ["12", 13, 1.5, b"\x00\xff", "1.50", 2**62]
    for table in ("v", "w"):
        database.add(table, *({"id": key, "at": NOON} for key in stored))
    keys = pa.array(["12", "13", "1.5", "\\x00ff", "1.50", str(2**62), "14"])
    expected = sorted(((key, NOON) for key in keys.to_pylist()[:-1]), key=repr)
    assert times_of(database, values(), keys) == expected
    # The first value of the other table is text, too.
    assert times_of(database, values(table="w"), keys) == expected


def test_a_row_without_a_usable_time_has_none(empty: Database) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", at="string")
    empty.add("v", {"id": 1, "at": None}, {"id": 2, "at": "soon"}, {"id": 3, "at": f"{DAY} 13:00"},
              {"id": 4, "at": "9999-12-31T23:59:59-12"})  # fmt: skip
    assert times_of(empty, values(timezone="Europe/Berlin"), pa.array([1, 2, 3, 4])) == [
        (1, None), (2, None), (3, NOON), (4, None)
    ]  # fmt: skip


def test_times_are_read_from_numbers(empty: Database) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", at="int64")
    noon = int(dt.datetime.fromisoformat(NOON).timestamp())
    empty.add("v", {"id": 1, "at": noon * 1000}, {"id": 2, "at": None})
    exported = values(encodings={"at": "epoch_ms"})
    assert times_of(empty, exported, pa.array([1, 2])) == [(1, NOON), (2, None)]


def test_rows_of_a_query_are_found_under_their_mapped_names(empty: Database) -> None:
    create(empty, "w", number="int64 PRIMARY KEY", seen="timestamp")
    empty.add("w", {"number": 1, "seen": NOON}, {"number": 2, "seen": NOON})
    exported = values(
        table=None,
        query="SELECT * FROM w WHERE number < 2 -- {some} %s",
        columns={"id": "number", "at": "seen"},
    )
    assert times_of(empty, exported, pa.array([1, 2])) == [(1, NOON)]


def test_keys_of_another_type_are_not_compared(empty: Database) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", at="timestamp")
    for keys in (pa.array(["1"]), pa.array([1.0])):
        with pytest.raises(NotComparedError, match="another type") as caught:
            times_of(empty, values(), keys)
        assert caught.value.reason == str(caught.value)
    create(empty, "w", flag="bool", at="timestamp", id="int64")
    with pytest.raises(NotComparedError, match="key of the type bool"):
        times_of(empty, values(table="w", key="flag"), pa.array([True]))


def test_a_key_that_repeats_too_often_is_not_compared(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter_pipelines.sources.comparing._FEWEST_ROWS", 20)
    create(empty, "v", id="int64", at="timestamp")
    empty.add("v", *({"id": 1, "at": NOON} for _ in range(30)))
    with pytest.raises(NotComparedError, match="too many rows"):
        times_of(empty, values(), pa.array([1]))


def test_a_missing_table_is_an_error_as_for_a_day(database: Database) -> None:
    exported = dataset(source={"table": "lgos", "timezone": "UTC"})
    with databases(database.url) as session:
        with pytest.raises(UnknownTableError):
            session.times_of(exported, pa.array([1]), timeout_s=30)
        with pytest.raises(UnknownTableError):
            session.count_days(exported, [UTC], timeout_s=30)


# Counts of several days


def counted(database: Database, exported: Dataset, windows: list[DayWindow]) -> dict[str, int]:
    with databases(database.url) as session:
        return session.count_days(exported, windows, timeout_s=30)


def row_counts(database: Database, exported: Dataset, windows: list[DayWindow]) -> dict[str, int]:
    found = {}
    for window in windows:
        with open_day(database.url, exported, window) as snapshot:
            found[window.day] = snapshot.row_count
    return found


def days(zone: str, *names: str) -> list[DayWindow]:
    return [DayWindow.of(name, zone) for name in names]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Havana"])
@pytest.mark.parametrize("kind", ["timestamp", "string", "int64", "float64"])
def test_days_are_counted_as_the_export_counts_them(empty: Database, zone: str, kind: str) -> None:
    create(empty, "v", id="int64 PRIMARY KEY", at=kind)
    begin = dt.datetime(2026, 10, 23, tzinfo=dt.UTC)
    hours = [begin + dt.timedelta(hours=n) for n in range(24 * 12)]
    stored: list[Any] = [None]
    if kind == "timestamp":
        stored += [hour.isoformat() for hour in hours]
    elif kind == "string":
        stored += [f"{hour:%Y-%m-%d %H:%M}" for hour in hours] + ["", "soon", "2026-10-25"]
    else:
        stored += [hour.timestamp() for hour in hours] + [-1e15, 4e17]
    empty.run("DELETE FROM v")
    empty.add("v", *({"id": n, "at": value} for n, value in enumerate(stored)))
    encodings = {"at": "epoch_s"} if kind in ("int64", "float64") else {}
    exported = values(timezone=zone, encodings=encodings)
    windows = days(zone, "2026-10-24", "2026-10-25", "2026-10-26", "2026-11-01", "2026-11-02",
                   "2027-01-01")  # fmt: skip
    expected = row_counts(empty, exported, windows)
    assert counted(empty, exported, windows) == expected
    assert counted(empty, exported, windows[::-1]) == expected
    empty.run("CREATE INDEX v_at ON v (at)")  # PostgreSQL then counts some types day by day
    assert counted(empty, exported, windows) == expected
    assert expected["2027-01-01"] == 0
    assert expected["2026-10-25"] == (25 if zone == "Europe/Berlin" and kind != "string" else
                                      expected["2026-10-25"])  # fmt: skip


def test_a_skipped_day_and_no_days_have_no_rows(database: Database) -> None:
    database.add("logs", *(log(n, f"2011-12-{28 + n}T12:00:00Z") for n in range(4)))
    exported = dataset(source={"timezone": "UTC"})
    windows = days("Pacific/Apia", "2011-12-29", "2011-12-30", "2011-12-31")
    assert counted(database, exported, windows) == row_counts(database, exported, windows)
    assert counted(database, exported, windows[1:2]) == {"2011-12-30": 0}
    assert counted(database, exported, []) == {}


def test_many_days_far_apart_are_counted(database: Database) -> None:
    first = dt.date(2020, 1, 1)
    chosen = [str(first + dt.timedelta(days=3 * n)) for n in range(120)]
    database.add("logs", *(log(n, f"{day}T00:00:00Z") for n, day in enumerate(chosen[::2])))
    database.add("logs", log(1000, "2020-01-02T00:00:00Z"))
    found = counted(database, dataset(source={"timezone": "UTC"}), days("UTC", *chosen))
    assert found == {day: 1 - n % 2 for n, day in enumerate(chosen)}


def test_rows_of_a_query_are_counted(database: Database) -> None:
    database.add("logs", log(1), log(2), log(3, f"{NEXT}T00:00:00Z"))
    exported = dataset(
        source={"table": None, "query": "SELECT * FROM logs WHERE id > 1", "timezone": "UTC"}
    )
    assert counted(database, exported, days("UTC", DAY, NEXT)) == {DAY: 1, NEXT: 1}


# The time limit


def slow_view(database: Database) -> Dataset:
    """A dataset whose rows take many seconds."""
    with_shipped_tables(database)
    database.add("logs", log(1))
    slow = "(SELECT pg_sleep(20))::text = ''"
    if isinstance(database, SqliteDatabase):
        slow = ("l.id < (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                "WHERE i < 1000000000) SELECT max(i) FROM n)")  # fmt: skip
    database.run(f"CREATE VIEW slow AS SELECT l.* FROM logs l WHERE {slow}")
    return dataset(source={"table": "slow", "timezone": "UTC"})


def test_a_slow_comparison_is_given_up_and_the_session_reads_the_next_day(
    empty: Database, store: LocalStore
) -> None:
    exported = slow_view(empty)
    usual = dataset(source={"timezone": "UTC"})
    with databases(empty.url) as session:
        assert outcome_of(empty.url, usual, DAY, store, session=session).published()
        began = time.monotonic()
        with pytest.raises(NotComparedError, match=r"needed more than 0\.5 s"):
            session.times_of(exported, pa.array([1]), timeout_s=0.5)
        with pytest.raises(NotComparedError, match=r"needed more than 0\.5 s"):
            session.count_days(exported, [UTC], timeout_s=0.5)
        assert time.monotonic() - began < 5
        assert session.times_of(usual, pa.array([1]), timeout_s=30).num_rows == 1
        assert session.count_days(usual, [UTC], timeout_s=30) == {DAY: 1}
        assert outcome_of(empty.url, usual, DAY, store, session=session).published()


def test_a_locked_table_is_not_compared(backend: Backend) -> None:
    import psycopg

    with psycopg.connect(backend.url) as writer, databases(backend.url) as session:
        writer.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(NotComparedError, match=r"needed more than 0\.5 s"):
            session.count_days(dataset(), [UTC], timeout_s=0.5)


def test_keys_that_do_not_fit_the_column_are_not_compared(empty_db: Backend) -> None:
    empty_db.run("CREATE TABLE v (id uuid PRIMARY KEY, at timestamptz)")
    empty_db.run(f"INSERT INTO v VALUES ('{UUIDS[0]}', '{NOON}')")
    with databases(empty_db.url) as session:
        with pytest.raises(NotComparedError, match="do not fit") as caught:
            session.times_of(values(), pa.array(["a secret"]), timeout_s=30)
        assert "secret" not in caught.value.reason
        assert session.times_of(values(), pa.array(UUIDS), timeout_s=30).num_rows == 1


# The identity


def identity(url: str, exported: Dataset | None = None) -> SourceIdentity:
    with open_day(url, exported or dataset(source={"timezone": "UTC"}), UTC) as snapshot:
        return snapshot.identity


def test_the_identity_is_that_of_the_table_and_stays_out_of_the_manifest(
    database: Database, store: LocalStore
) -> None:
    database.add("logs", log(1))
    found = identity(database.url)
    assert found == identity(database.url)
    assert found.table.endswith(".logs")
    manifest = export(database.url, dataset(source={"timezone": "UTC"}), DAY, store)
    assert found.kind == manifest.source.kind
    for value in (found.database, found.server):
        assert value is None or value not in manifest.to_json().decode()
        assert value is None or value not in repr(found)
    query = dataset(source={"table": None, "query": "SELECT * FROM logs", "timezone": "UTC"})
    assert identity(database.url, query).table == query.config.source.origin


def test_a_table_is_resolved_by_the_search_path(backend: Backend) -> None:
    name = backend.run("SELECT current_database()")[0][0]
    server = backend.run("SELECT system_identifier::text FROM pg_control_system()")[0][0]
    assert identity(backend.url) == SourceIdentity("postgresql", server, name, "public.logs")
    assert identity(backend.url, dataset(source={"table": "public.logs"})) == identity(backend.url)
    backend.run("CREATE SCHEMA other; CREATE TABLE other.logs (LIKE logs)")
    assert identity(f"{backend.url}&options=-csearch_path%3Dother").table == "other.logs"


def test_a_role_that_may_not_identify_the_server_exports_all_the_same(
    backend: Backend, store: LocalStore
) -> None:
    role = f"plain_{secrets.token_hex(6)}"
    backend.run(
        f"REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC; "
        f"CREATE ROLE {role} LOGIN PASSWORD 'right'; GRANT SELECT ON logs TO {role}"
    )
    try:
        backend.add_logs(DAY, 3)
        url = backend.url.replace("postgres@", f"{role}:right@", 1)
        assert identity(url).server is None
        assert identity(url).database == identity(backend.url).database
        assert export(url, dataset(), DAY, store).record_count == 3
    finally:
        backend.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_sqlite_file_is_identified_by_its_path_without_links(tmp_path: Path) -> None:
    database = with_shipped_tables(SqliteDatabase(tmp_path / "one.db"))
    assert identity(database.url) == SourceIdentity(
        "sqlite", None, str((tmp_path / "one.db").resolve()), "main.logs"
    )
    (tmp_path / "link.db").symlink_to(tmp_path / "one.db")
    assert identity(f"sqlite:///{tmp_path}/link.db") == identity(database.url)
    upper = dataset(source={"table": "main.LOGS", "timezone": "UTC"})
    assert identity(database.url, upper) == identity(database.url)
    shutil.move(tmp_path / "one.db", tmp_path / "two.db")
    assert identity(f"sqlite:///{tmp_path}/two.db").database == str((tmp_path / "two.db").resolve())


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Apia"])
@pytest.mark.parametrize("around", ["2025-10-26", "2011-12-30", "2026-06-01"])
def test_each_spelling_is_counted_in_the_day_of_its_instant(
    tmp_path: Path, zone: str, around: str
) -> None:
    """SQLite leaves out usual text by its date, and asks Python about all other text."""
    middle = dt.date.fromisoformat(around)
    dates = [str(middle + dt.timedelta(days=n)) for n in range(-2, 3)]
    clocks = ["00:00:00", "00:30:00", "02:30:00", "12:00", "23:59:59", "23:59:60", "24:00:00", ""]
    ends = ["", ".5", ".123456", ",5", "Z", "+14:00", ".5-11:00", " +0000 UTC", " CET"]
    spelled = [f"{date}{sep}{clock}{end}" for date in dates for clock in clocks for end in ends
               for sep in (" ", "T")]  # fmt: skip
    spelled += [text.replace("-", "", 2).replace(":", "") for text in spelled]
    empty = sqlite_database(tmp_path / "app.db")
    create(empty, "v", id="int64 PRIMARY KEY", at="string")
    empty.add("v", *({"id": n, "at": text} for n, text in enumerate(spelled)))
    instants = [us for text in spelled if (us := _us(text, zone)) is not None]
    assert len(instants) > 200
    for day_zone in ("UTC", "Asia/Karachi", zone):
        windows = days(day_zone, *dates)
        expected = {
            w.day: sum(since_epoch_us(w.start) <= us < since_epoch_us(w.end) for us in instants)
            for w in windows
        }
        exported = values(timezone=zone)
        assert row_counts(empty, exported, windows) == expected
        assert counted(empty, exported, windows) == expected


def _us(text: str, zone: str) -> int | None:
    try:
        return of_text(text, ZoneInfo(zone)).us
    except NotAnInstantError:
        return None
