"""Real logs, anomalies and addresses: every row of every day is exported, or rejected by name."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.outside_days import ExportableDays
from exporter_pipelines.engine.outside_days import OutsideDays
from exporter_pipelines.engine.trailing_days import TrailingDays
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend, fresh_database
from exporter_pipelines_tests.support.databases import SqliteDatabase
from exporter_pipelines_tests.support.datasets import databases, dataset, export, rows

DATASETS = {
    "logs": ("logs", "timestamp"),
    "anomalies": ("anomalies", "timestamp"),
    "ips": ("ip_addresses", "last_seen"),
}
"""Name -> (table, time column)."""

DAY = dt.timedelta(days=1)


def load(target: str) -> None:
    """Fill a database with the real data; skips where there is none."""
    folder = os.environ.get("EXPORTER_SHARED_DATA")
    if not folder:
        pytest.skip("EXPORTER_SHARED_DATA does not name the folder of the real data")
    subprocess.run(
        [sys.executable, Path(folder) / "load_shared.py", "--data", folder, "--target", target],
        check=True, capture_output=True, timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def shared(postgres_url: str) -> Iterator[Backend]:
    """A database that holds the real data, loaded once."""
    with fresh_database(postgres_url) as backend:
        load(backend.url)
        yield backend


@pytest.fixture(scope="module")
def shared_file(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabase:
    """The same in SQLite."""
    file = SqliteDatabase(tmp_path_factory.mktemp("shared") / "backend.db")
    load(file.url)
    return file


@pytest.fixture(scope="module")
def exports(shared: Backend, tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """Where the days of all datasets are exported."""
    return LocalStore(tmp_path_factory.mktemp("shared"))


def days_with_rows(backend: Backend, name: str) -> dict[str, int]:
    """Day -> rows of each day that has any."""
    table, column = DATASETS[name]
    found = backend.run(
        f"SELECT ({column} AT TIME ZONE 'UTC')::date::text, count(*) FROM {table} GROUP BY 1"
    )
    return dict(found)


def with_neighbours(days: dict[str, int]) -> list[str]:
    """The days, and those before and after each."""
    dates = [dt.date.fromisoformat(day) for day in days]
    return sorted({(date + step).isoformat() for date in dates for step in (-DAY, 0 * DAY, DAY)})


@cache
def exported_days(backend: Backend, store: LocalStore, name: str) -> dict[str, Manifest]:
    """Day -> manifest, of each day with rows and of its neighbours; exported once."""
    days = with_neighbours(days_with_rows(backend, name))
    with exporter(backend.url, name, store) as export_day:
        return {day: export_day(day) for day in days}


@contextmanager
def exporter(url: str, name: str, store: LocalStore) -> Iterator[Callable[[str], Manifest]]:
    """Exports days as a run over a range does: one connection, manifests and table read once."""
    exported, trailing_days = dataset(name), TrailingDays(store, name)
    outside_days = OutsideDays(ExportableDays.of("", None, "UTC"))
    with databases(url) as session:
        yield lambda day: export(
            url, exported, day, store, session=session, trailing_days=trailing_days,
            outside_days=outside_days,
        )  # fmt: skip


@pytest.mark.parametrize("name", DATASETS)
def test_every_row_of_every_day_is_exported_or_rejected(
    shared: Backend, exports: LocalStore, name: str
) -> None:
    days = days_with_rows(shared, name)
    manifests = exported_days(shared, exports, name)
    assert {day: m.counts.read for day, m in manifests.items() if m.counts.read} == days
    for manifest in manifests.values():
        assert manifest.counts.exported + manifest.counts.rejected == manifest.counts.read
    (total,) = shared.run(f"SELECT count(*) FROM {DATASETS[name][0]}")[0]
    assert sum(manifest.counts.read for manifest in manifests.values()) == total
    # Nothing in the real data breaks a rule: what would be rejected, and by which, stands here.
    assert broken_rules(manifests.values()) == {}


def broken_rules(manifests: Iterable[Manifest]) -> dict[str, int]:
    """Rule -> rows that broke it."""
    broken = Counter[str]()
    for manifest in manifests:
        broken.update({result.rule: result.failed for result in manifest.validation.rules})
    return dict(+broken)


@pytest.mark.parametrize("name", DATASETS)
def test_the_largest_day_equals_the_table(shared: Backend, exports: LocalStore, name: str) -> None:
    days = days_with_rows(shared, name)
    day = max(days, key=lambda each: days[each])
    exported = rows(exports, exported_days(shared, exports, name)[day])
    table, column = DATASETS[name]
    # Read by another driver, so that nothing of the way is shared.
    with psycopg.connect(shared.url, row_factory=dict_row) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        stored = connection.execute(
            f"SELECT * FROM {table} WHERE ({column} AT TIME ZONE 'UTC')::date = %s", [day]
        ).fetchall()
    key = dataset(name).config.source.key
    by_key = {str(row[key]): {k: as_exported(v) for k, v in row.items()} for row in stored}
    assert {str(row[key]): row for row in exported} == by_key


@pytest.mark.parametrize("name", DATASETS)
def test_sqlite_gives_the_same_rows(
    shared: Backend, shared_file: SqliteDatabase, exports: LocalStore, tmp_path: Path, name: str
) -> None:
    other = LocalStore(tmp_path)
    table, column = DATASETS[name]
    # Or else every day copies the file, which is not in WAL mode.
    with ExitStack() as stack:
        application = stack.enter_context(closing(sqlite3.connect(shared_file.path)))
        application.execute("PRAGMA journal_mode = wal")
        application.execute(f"SELECT count(*) FROM {table}")
        shared_file.run(f"CREATE INDEX IF NOT EXISTS {table}_time ON {table} ({column})")
        total = 0
        export_theirs = stack.enter_context(exporter(shared_file.url, name, other))
        for day, ours in exported_days(shared, exports, name).items():
            theirs = export_theirs(day)
            assert theirs.source.snapshot.startswith("wal")
            # Parsed, since PostgreSQL orders the keys of JSON objects, and sorted, since it
            # orders addresses (inet) as numbers.
            assert by_key(name, rows(other, theirs)) == by_key(name, rows(exports, ours))
            assert theirs.counts == ours.counts
            total += theirs.record_count
    assert total == shared_file.run(f"SELECT count(*) FROM {table}")[0][0]


def by_key(name: str, exported: list[dict[str, Any]]) -> list[dict[str, Any]]:
    key = dataset(name).config.source.key
    return sorted(exported, key=lambda row: str(row[key]))


def as_exported(value: Any) -> Any:
    """A value of psycopg as JSON has it."""
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}Z"
    if isinstance(value, IPv4Address | IPv6Address):
        return str(value)
    return value
