"""Datasets of one project that read different databases, as docs/new-dataset.md shows it."""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.doc_examples import example
from exporter_pipelines_tests.support.projects import Project

DAYS = ("2026-11-01", "2026-11-02")
_ROW = "INSERT INTO measurements VALUES (?, ?, 21.5)"


@pytest.fixture
def orders(backend: Backend) -> Backend:
    """The PostgreSQL backend of the page: three orders on each of two days."""
    backend.run(
        "CREATE SCHEMA billing;"
        "CREATE TABLE billing.orders (no int PRIMARY KEY, ordered_at timestamptz NOT NULL);"
        "INSERT INTO billing.orders SELECT n, '2026-11-01T00:00Z'::timestamptz + n * interval '8 h'"
        "FROM generate_series(0, 5) n"
    )
    return backend


@pytest.fixture
def measurements(tmp_path: Path) -> Path:
    """The SQLite file of the page: two measurements on each of the days."""
    file = tmp_path / "devices.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "CREATE TABLE measurements (id INTEGER PRIMARY KEY, taken_at TEXT, celsius REAL)"
        )
        times = [f"{day} {hour}:00:00" for day in DAYS for hour in ("08", "20")]
        connection.executemany(_ROW, enumerate(times))
    return file


def test_the_page_is_followed_to_the_letter(
    project: Project, orders: Backend, measurements: Path
) -> None:
    names = [line.partition("=")[0] for line in example("two-databases.env").splitlines() if line]
    assert names == ["EXPORTER_SOURCE_URL", "EXPORTER_DEVICES_URL"]
    project.set(**dict(zip(names, [orders.url, f"sqlite:///{measurements}"], strict=True)))
    said = {}
    for command in example("two-databases").strip().splitlines():
        words = shlex.split(command, comments=True)
        done = project.exporter(*words[1:])
        assert done.code == 0, (command, done.stdout, done.stderr)
        said[words[1]] = done.stdout
    for day in DAYS:
        exported = [project.manifest(name, day) for name in ("orders", "measurements")]
        assert [manifest and manifest.record_count for manifest in exported] == [3, 2]
    assert "all 4 rows of measurements; all 6 rows of orders" in said["doctor"]
    assert "4 days of 2 datasets, 4 files, 10 rows" in said["verify"]


def test_a_database_that_is_away_stops_only_its_own_datasets(
    project: Project, orders: Backend, measurements: Path
) -> None:
    project.set(EXPORTER_SOURCE_URL=orders.url, EXPORTER_DEVICES_URL=f"sqlite:///{measurements}")
    assert project.exporter("init", "billing.orders").code == 0
    init = project.exporter("init", "--url", "EXPORTER_DEVICES_URL", "measurements")
    assert init.code == 0
    measurements.unlink()
    done = project.exporter("export", "measurements", "orders", *DAYS)
    assert done.code == 3
    assert "Correct the path in EXPORTER_DEVICES_URL" in done.stdout
    assert all(project.manifest("orders", day) for day in DAYS)
