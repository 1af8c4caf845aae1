"""The demo: its sample backend, its exports and its summary."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from exporter_pipelines.demo import seed
from exporter_pipelines.demo.backend import start_server
from exporter_pipelines.demo.summary import print_summary
from exporter_pipelines.errors import DayHeldError, SourceUnavailableError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.embedded_server import embedded_server
from exporter_pipelines_tests.support.supervised import living


def test_seeding_is_done_once(empty_db: Backend) -> None:
    assert seed.seed_once(empty_db.url)
    assert not seed.seed_once(empty_db.url)
    assert empty_db.run("SELECT count(*) FROM logs") == [(31_703,)]


def test_a_sample_that_does_not_start_is_one_clear_error(tmp_path: Path) -> None:
    home = tmp_path / "postgres"
    home.mkdir()
    (home / "PG_VERSION").write_text("18\n")  # as in a folder that was copied in part
    with pytest.raises(
        SourceUnavailableError, match=r"postgres does not start; .*remove it: `make"
    ):
        start_server(home)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks a process up in /proc")
def test_an_embedded_server_of_the_tests_has_ended_before_its_folder_is_removed() -> None:
    with embedded_server() as url, psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
        assert row
        pid = int(row[0].split()[0])
        assert living([pid])
    assert not living([pid])


def test_exports_of_the_sample_tell_its_story(
    empty_db: Backend, store: LocalStore, capsys: pytest.CaptureFixture[str]
) -> None:
    seed.seed_once(empty_db.url)
    held = []
    for name in ("logs", "anomalies", "ips"):
        for day in map(str, seed.days()):
            try:
                manifest = export(empty_db.url, dataset(name), day, store)
            except DayHeldError as error:
                held.append((name, day, str(error)))
                continue
            expected = (0, 0) if day == str(seed.EMPTY_DAY) else (1, 1)
            assert (min(1, manifest.counts.read), min(1, manifest.counts.exported)) == expected
            assert manifest.counts.rejected <= 11
    ((name, day, reason),) = held
    assert (name, day) == ("logs", str(seed.HELD_DAY))
    report = store.root / "report" / "index.html"
    assert print_summary(store, reason, str(report)) == 0
    printed = capsys.readouterr().out
    assert f"{seed.HELD_DAY}  not published" in printed
    assert "none: a day without rows" in printed
    assert reason in printed
    assert f"Numbers, charts and history of all exports: {report}" in printed
    assert '"manifest_version": 1' in printed


def test_the_summary_fails_when_another_day_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_summary(LocalStore(tmp_path), "database down") == 1
    assert "database down" in capsys.readouterr().out


def test_every_kind_of_dirt_is_in_the_sample(empty_db: Backend) -> None:
    seed.seed_once(empty_db.url)
    for dirt in (
        "SELECT 1 FROM logs WHERE message IS NULL",
        "SELECT 1 FROM logs WHERE level = '??'",
        "SELECT 1 FROM logs GROUP BY id HAVING count(*) > 1",
        "SELECT 1 FROM logs WHERE timestamp = '2026-11-03T00:00:00Z'",
        "SELECT 1 FROM logs WHERE timestamp = '2026-11-03T23:59:59.999999Z'",
        "SELECT 1 FROM logs WHERE message LIKE '%ö%'",
        r"SELECT 1 FROM logs WHERE message LIKE E'%\n%'",
        "SELECT 1 FROM logs WHERE jsonb_typeof(attributes -> 'request' -> 'tags') = 'array'",
        "SELECT 1 FROM anomalies WHERE score > 1 AND score < 'infinity'",
        "SELECT 1 FROM anomalies WHERE score = 'NaN'",
        "SELECT 1 FROM ip_addresses WHERE first_seen > last_seen",
    ):
        assert empty_db.run(f"{dirt} LIMIT 1"), dirt
