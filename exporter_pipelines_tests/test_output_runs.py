"""The numbers of the service are about one output, as those of the report are."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from prometheus_client import generate_latest

from exporter_pipelines.orchestration.dagster_internals.web_server import Workspace
from exporter_pipelines.orchestration.exports import run_progress
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.export_metadata import metadata_of
from exporter_pipelines.service.export_runs import find
from exporter_pipelines.service.export_status import StatusReader
from exporter_pipelines.service.history import History, HistoryQuery
from exporter_pipelines.service.models import Export
from exporter_pipelines.service.prometheus import registry_of
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.runs import Runner

ONE, TWO, THREE = "2026-11-01", "2026-11-02", "2026-11-03"


class Served:
    """What a service with an output says about the runs of a runner."""

    def __init__(self, runner: Runner, folder: Path) -> None:
        self.store = LocalStore(folder)
        self.context = ServiceContext(cast("Workspace", runner), self.store)
        self.reader = StatusReader(self.context)
        self.history = History(self.context, self.reader)

    def exports(self) -> tuple[int, float | None, float | None]:
        """Exports, success rate and average records of REST and of the page."""
        found = self.history.metrics(HistoryQuery())
        return found.totalExports, found.successRate, found.averageRecords

    def prometheus(self) -> dict[str, float]:
        """The metrics of logs that are not 0."""
        text = generate_latest(registry_of(self.context, self.history.output)).decode()
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if 'dataset="logs"' in line]
        return {name: float(value) for name, value in lines if float(value)}

    def export(self, run_id: str) -> Export:
        """An export."""
        runs = find(self.context.instance, run_id)
        assert runs
        found = self.reader.status(runs)
        assert found
        return found


@pytest.fixture
def runner(settings: dict[str, str], backend: Backend) -> Runner:
    backend.add_logs(ONE, 100)
    backend.add_logs(TWO, 100, first_id=1000, level="odd")
    backend.add_logs(THREE, 30, first_id=2000)
    return Runner([dataset()])


@pytest.mark.parametrize("version", ["now", "0.1.0"])
def test_runs_to_another_output_do_not_count(
    version: str,
    runner: Runner,
    settings: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if version == "0.1.0":  # which wrote no such tag
        monkeypatch.setattr(run_progress, "write_output", lambda *_: None)
    runner.run("logs", ONE, THREE)
    runner.run("logs", THREE)
    runner.run("logs", TWO)
    other = tmp_path / "other"
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(other))
    runner.run("logs", ONE)

    served = Served(runner, other)
    # A run of 0.1.0 that published nothing does not say where it exported to.
    held = 1 if version == "0.1.0" else 0
    assert served.exports() == (1 + held, 100 / (1 + held), 100)
    found = served.prometheus()
    assert found['exporter_rows_total{dataset="logs",kind="exported"}'] == 100
    assert found['exporter_days_total{dataset="logs",status="published"}'] == 1
    assert found.get('exporter_exports_total{dataset="logs",status="held"}', 0) == held

    first = Served(runner, Path(settings["EXPORTER_OUTPUT_URL"]))
    assert first.exports()[0] == 3
    assert first.prometheus()['exporter_rows_total{dataset="logs",kind="exported"}'] == 160


@pytest.mark.parametrize("version", ["now", "0.1.0"])
def test_runs_to_an_output_that_was_moved_count(
    version: str,
    runner: Runner,
    settings: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if version == "0.1.0":
        monkeypatch.setattr(run_progress, "write_output", lambda *_: None)
    runner.run("logs", ONE)  # replaced by the next run
    again = runner.run("logs", ONE)
    moved = tmp_path / "moved"
    Path(settings["EXPORTER_OUTPUT_URL"]).rename(moved)
    served = Served(runner, moved)
    assert served.exports() == (2, 100, 100)
    assert served.prometheus()['exporter_rows_total{dataset="logs",kind="exported"}'] == 200
    assert metadata_of(served.store, served.export(again.run_id)).record_count == 100


def test_an_export_to_another_output_has_no_days_of_this_one(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = runner.run("logs", ONE)
    other = tmp_path / "other"
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(other))
    own = runner.run("logs", ONE)
    served = Served(runner, other)
    assert metadata_of(served.store, served.export(done.run_id)).record_count is None
    assert metadata_of(served.store, served.export(own.run_id)).record_count == 100


def test_each_run_is_read_once(runner: Runner, settings: dict[str, str]) -> None:
    runner.run("logs", ONE)
    served = Served(runner, Path(settings["EXPORTER_OUTPUT_URL"]))
    registry = registry_of(served.context, served.history.output)
    before = generate_latest(registry)
    after = generate_latest(registry)
    rows = [line for line in before.splitlines() if line.startswith(b"exporter_rows_total")]
    assert rows
    assert rows == [line for line in after.splitlines() if line.startswith(b"exporter_rows_total")]
