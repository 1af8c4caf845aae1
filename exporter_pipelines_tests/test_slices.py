"""A day that is read in slices: its bytes depend on their number, and on nothing else."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.slices import slices_of
from exporter_pipelines.engine.load import open_days
from exporter_pipelines.engine.retries import Retries
from exporter_pipelines.errors import ConfigurationError, ExporterError, SourceLostError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.card_readers import Job, run_jobs
from exporter_pipelines_tests.support.databases import sqlite_database, with_shipped_tables
from exporter_pipelines_tests.support.datasets import (
    dataset,
    export,
    fingerprint_of,
    rejected,
    rows,
)
from exporter_pipelines_tests.test_card import blocks

DAY = "2026-11-01"


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set EXPORTER_READERS."""
    return lambda count: monkeypatch.setenv("EXPORTER_READERS", str(count))


@pytest.fixture
def uneven(backend: Backend) -> Backend:
    """Most rows in one hour, some hours empty; with rejected rows and a repeated time."""
    backend.add_logs(DAY, 12)
    backend.run(
        "INSERT INTO logs SELECT 100 + n, %s::timestamptz + n / 3 * interval '1 second', "
        "CASE WHEN n %% 50 = 0 THEN 'ODD' ELSE 'INFO' END, 'm' || n, 'app', 'd', '10.0.0.1', "
        "jsonb_build_object('n', n) FROM generate_series(0, 799) n",
        [f"{DAY}T05:30:00Z"],
    )
    hour = "extract(hour FROM timestamp AT TIME ZONE 'UTC')"
    backend.run(f"DELETE FROM logs WHERE {hour} IN (10, 12, 14, 20, 22)")
    return backend


def all_rows(store: LocalStore) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = open_days(store, "logs", [DAY]).read_all().to_pylist()
    return found


def hashes(manifest: Manifest) -> list[str]:
    return [file.sha256 for file in manifest.files]


COUNTS = {
    ("jsonl", "gzip"): (1, 2, 4, 8),
    ("jsonl", "zstd"): (1,),
    ("csv", "gzip"): (1, 2),
    ("csv", "none"): (1,),
    ("parquet", "zstd"): (1, 2),
    ("json", "gzip"): (1,),
}
"""Format and compression -> numbers of readers."""


@pytest.mark.parametrize(("format_", "compression"), COUNTS)
def test_the_number_of_readers_changes_no_byte(
    uneven: Backend, tmp_path: Path, readers: Callable[[int], None], format_: str, compression: str
) -> None:
    forms = {"format": format_, "compression": compression, "max_rejected_pct": 10}
    whole_store = LocalStore(tmp_path / "whole")
    whole = export(uneven.url, dataset(**forms), DAY, whole_store)
    found = {}
    for count in COUNTS[format_, compression]:
        readers(count)
        store = LocalStore(tmp_path / f"{count}")
        seen: list[tuple[int, int]] = []
        manifest = export(
            uneven.url, dataset(slices=8, **forms), DAY, store,
            progress=lambda *read, seen=seen: seen.append(read),
        )  # fmt: skip
        assert all_rows(store) == all_rows(whole_store)
        assert rejected(store, manifest) == rejected(whole_store, whole)
        assert manifest.counts == whole.counts
        assert manifest.data_quality_metrics == whole.data_quality_metrics
        assert fingerprint_of(store, manifest) is not None
        assert seen[-1] == (manifest.counts.read, manifest.counts.read)
        quarantine = store.root / "logs" / manifest.quarantine.path  # type: ignore[union-attr]
        found[count] = [*hashes(manifest), quarantine.read_bytes()]
    assert all(each == found[1] for each in found.values())
    assert len(whole.files) == 1
    joined = format_ in ("jsonl", "csv")
    assert len(found[1]) == (2 if joined else 1 + 5)  # three of eight slices are empty
    if compression == "none":
        assert found[1][:1] == hashes(whole)


def test_every_reader_of_the_card_reads_all_slices(uneven: Backend, tmp_path: Path) -> None:
    jobs, expected = [], 0
    for format_, compression in (("jsonl", "gzip"), ("jsonl", "zstd"), ("csv", "gzip"),
                                 ("csv", "zstd"), ("parquet", "zstd")):  # fmt: skip
        store = LocalStore(tmp_path / f"{format_}-{compression}")
        exported = dataset(slices=8, format=format_, compression=compression, max_rejected_pct=10)
        expected = export(uneven.url, exported, DAY, store).record_count
        card = (store.home("logs") / "README.md").read_text()
        jobs += [Job(str(store.root), "logs", code) for code in blocks(card).values()]
    found = run_jobs(jobs, tmp_path)
    assert len(found) == 25
    assert {(each.error, len(each.rows)) for each in found} == {("", expected)}


def test_a_day_without_rows_has_no_file(backend: Backend, store: LocalStore) -> None:
    manifest = export(backend.url, dataset(slices=3, format="csv"), DAY, store)
    assert manifest.files == []
    assert manifest.quarantine is None


def test_rows_that_are_committed_meanwhile_are_in_no_slice(
    uneven: Backend, store: LocalStore, readers: Callable[[int], None]
) -> None:
    readers(2)
    before = uneven.run("SELECT count(*) FROM logs")[0][0]

    def commit(_read: int, _total: int) -> None:
        uneven.run(
            "INSERT INTO logs SELECT 10000 + coalesce(max(id), 0), %s, 'INFO', 'rival', 'app' "
            "FROM logs",
            [f"{DAY}T19:59:00Z"],
        )

    exported = dataset(slices=6, max_rejected_pct=10)
    manifest = export(uneven.url, exported, DAY, store, progress=commit)
    assert manifest.counts.read == before
    assert "rival" not in {row["message"] for row in rows(store, manifest)}


def _children() -> list[int]:
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return [int(line.split()[0]) for line in listed if "slice_reader" in line]


def _kill_one(_read: int, _total: int) -> None:
    for pid in _children()[:1]:
        os.kill(pid, signal.SIGKILL)


def test_a_reader_that_dies_leaves_the_old_export(
    backend: Backend, store: LocalStore, readers: Callable[[int], None]
) -> None:
    backend.add_logs(DAY, 2_000, message="x" * 10_000)
    exported = dataset(slices=4, compression="none")
    before = export(backend.url, exported, DAY, store)
    readers(2)
    with pytest.raises(SourceLostError, match=r"ended too early \(signal 9\)"):
        export(backend.url, exported, DAY, store, progress=_kill_one)
    kept = Manifest.from_json(store.read_manifest("logs", DAY) or b"")
    assert hashes(kept) == hashes(before)
    assert _children() == []
    killed: list[int] = []

    def once(read: int, total: int) -> None:
        if not killed:
            killed.append(1)
            _kill_one(read, total)

    said: list[str] = []
    again = export(
        backend.url, exported, DAY, store, progress=once, notify=said.append,
        retries=Retries(limit=2, first_wait_s=0.02),
    )  # fmt: skip
    assert hashes(again) == hashes(before)
    assert len(said) == 1


def test_an_interrupt_ends_the_readers(
    uneven: Backend, store: LocalStore, readers: Callable[[int], None]
) -> None:
    readers(2)

    def interrupt(_read: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(uneven.url, dataset(slices=4), DAY, store, progress=interrupt)
    assert _children() == []
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'exporter_pipelines'"
    assert uneven.run(f"{sessions} AND datname = current_database()") == [(0,)]


def test_a_file_that_cannot_be_written_ends_the_readers(
    uneven: Backend, store: LocalStore, readers: Callable[[int], None]
) -> None:
    readers(2)

    def remove(_read: int, _total: int) -> None:
        shutil.rmtree(store.root / "logs" / ".staging", ignore_errors=True)

    try:
        export(uneven.url, dataset(slices=4), DAY, store, progress=remove)
    except (ExporterError, OSError):
        assert _children() == []
    else:
        pytest.fail("the day was published")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_of_23_or_25_hours_is_read_once(
    backend: Backend, store: LocalStore, readers: Callable[[int], None], day: str, hours: int
) -> None:
    readers(2)
    window = DayWindow.of(day, "Europe/Berlin")
    assert window.end - window.start == dt.timedelta(hours=hours)
    backend.run(
        "INSERT INTO logs SELECT n, %s::timestamptz + n * interval '10 minutes', 'INFO', 'm', 'a' "
        "FROM generate_series(-3, %s) n",
        [window.start, hours * 6 + 2],
    )
    manifest = export(backend.url, dataset(slices=5), day, store, timezone="Europe/Berlin")
    assert [row["id"] for row in rows(store, manifest)] == list(range(hours * 6))


@pytest.mark.parametrize("count", [1, 3, 7, 1000])
def test_slices_are_the_day_without_gaps(count: int) -> None:
    window = DayWindow.of(DAY, "Asia/Kathmandu")
    parts = slices_of(window, count)
    assert len(parts) == count
    assert (parts[0].start, parts[-1].end) == (window.start, window.end)
    assert all(one.end == other.start for one, other in pairwise(parts))


POLICY_SENTENCES: dict[str, dict[str, Any]] = {
    "max_file_records": {"max_file_records": 10},
    "window function": {
        "rules": [{"name": "first", "sql": "row_number() OVER (ORDER BY id) > 0"}],
    },
}


@pytest.mark.parametrize("what", POLICY_SENTENCES)
def test_settings_that_need_the_whole_day_are_refused(what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        dataset(slices=2, **POLICY_SENTENCES[what])


def test_sqlite_is_refused_with_one_sentence(tmp_path: Path, store: LocalStore) -> None:
    database = with_shipped_tables(sqlite_database(tmp_path / "app.db"))
    exported = dataset(slices=2, source={"timezone": "UTC"})
    with pytest.raises(ConfigurationError, match="SQLite cannot share a snapshot"):
        export(database.url, exported, DAY, store)


def test_one_slice_is_not_written_to_the_settings() -> None:
    assert "slices" not in dataset().config.content_settings()
    assert dataset(slices=2).config.content_settings()["slices"] == 2
