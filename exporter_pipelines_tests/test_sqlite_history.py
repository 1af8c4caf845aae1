"""The option `SqliteHistory` of dagster.yaml: it and Dagster's `sqlite` read each other's files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy.exc import OperationalError

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import (
    check_statuses,
    materializations,
    with_sqlite_history,
)
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.projects import ROOT
from exporter_pipelines_tests.support.runs import Runner

DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]
ONE, TWO, THREE = DAYS


@contextmanager
def opened(home: Path, *, option: bool = False) -> Iterator[dg.DagsterInstance]:
    """The shipped dagster.yaml over the storage below `home`, or with its option SqliteHistory."""
    text = (ROOT / "dagster.yaml").read_text()
    if option:
        text = with_sqlite_history(text)
    folder = home / ("option" if option else "shipped")
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(text)
    with chdir(home), dg.DagsterInstance.from_config(str(folder)) as instance:
        ours = type(instance.event_log_storage).__module__.startswith("exporter_pipelines.")
        assert ours is option
        yield instance


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with opened(tmp_path, option=True) as instance:
        yield instance


def test_dagsters_own_sqlite_and_ours_read_each_other(
    settings: dict[str, str], backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 10, first_id=number * 1000)
    with ExitStack() as stack:
        ours = stack.enter_context(opened(tmp_path, option=True))
        stock = stack.enter_context(opened(tmp_path))
        assert type(ours.event_log_storage) is not type(stock.event_log_storage)
        assert Runner([dataset()], instance=ours).run("logs", ONE, TWO).success
        assert Runner([dataset()], instance=stock).run("logs", THREE).success
        for instance in (ours, stock):
            recorded = [materializations(instance, "logs", day) for day in DAYS]
            assert [len(found) for found in recorded] == [1, 1, 1]
            found = check_statuses(instance, "logs", "rejected_rows")
            assert {found[day] for day in DAYS} == {"SUCCEEDED"}
            assert len(instance.get_runs()) == 2


def test_who_watches_a_run_hears_of_its_events_at_once(
    fast: dg.DagsterInstance, tmp_path: Path
) -> None:
    run = dg.DagsterRun(job_name="some_job")
    fast.add_run(run)
    fast.report_engine_event("first", run)
    heard = threading.Event()
    with opened(tmp_path) as web_server:
        web_server.watch_event_logs(run.run_id, None, lambda _event, _cursor: heard.set())
        fast.report_engine_event("second", run)
        assert heard.wait(30)


def test_a_history_that_was_deleted_is_not_written_to(
    fast: dg.DagsterInstance, tmp_path: Path
) -> None:
    event = dg.AssetMaterialization("logs", partition=ONE)
    fast.report_runless_asset_event(event)
    for file in tmp_path.rglob("index.db*"):
        file.unlink()
    with pytest.raises(OperationalError, match="no such table"):
        fast.report_runless_asset_event(event)
