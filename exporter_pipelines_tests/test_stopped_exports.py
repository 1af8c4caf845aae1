"""Days of a run that was stopped from outside: which are green afterwards, and which are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.orchestration.upkeep import unrecorded_days
from exporter_pipelines.orchestration.upkeep.dead_runs import dead_runs_sensor
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.alert_receivers import inbox
from exporter_pipelines_tests.support.alerting import Alerting, alerting_project
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import materializations
from exporter_pipelines_tests.support.datasets import dataset, export

ONE, TWO, THREE, NEVER = (f"2026-11-0{day}" for day in (1, 2, 3, 4))


class History:
    """A history with a sensor that is ticked; three days of logs are published."""

    def __init__(self, alerting: Alerting) -> None:
        self.alerting, self.instance = alerting, alerting.instance
        self.cursor = ""
        self.tick()

    def tick(self) -> str:
        """Tick `dead_runs_sensor`."""
        context = dg.build_sensor_context(self.instance, cursor=self.cursor)
        said = dead_runs_sensor(context)
        self.cursor = context.cursor or ""
        return str(said.skip_message)  # type: ignore[union-attr]

    def failed(self) -> set[str]:
        """The days of logs that the UI shows as failed."""
        partitions = daily_partitions()
        status = get_and_update_asset_status_cache_value(
            self.instance, dg.AssetKey("logs"), partitions
        )
        assert status
        return set(status.deserialize_failed_partition_subsets(partitions).get_partition_keys())


@pytest.fixture
def history(
    settings: dict[str, str], backend: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[History]:
    with inbox() as received, alerting_project(received, tmp_path, monkeypatch) as alerting:
        for number, day in enumerate((ONE, TWO, THREE, NEVER)):
            backend.add_logs(day, 20, first_id=100 * number)
        alerting.run(ONE, THREE)
        yield History(alerting)


def interrupt(history: History, monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    """Export all days; the run is stopped at one of them, as SIGTERM stops it."""
    begin = ExportIOManager.begin

    def stopped(self: ExportIOManager, dataset: str, at: str) -> object:
        if at == day:
            raise dg.DagsterExecutionInterruptedError
        return begin(self, dataset, at)

    with monkeypatch.context() as patched:
        patched.setattr(ExportIOManager, "begin", stopped)
        history.alerting.run(ONE, NEVER)


def test_an_interrupted_export_does_not_show_published_days_as_failed(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(history, monkeypatch, TWO)
    assert history.failed() == {TWO, THREE, NEVER}
    assert history.tick() == "Recorded 2 published days."
    assert history.failed() == {NEVER}, "it was never published"
    newest = materializations(history.instance, "logs", TWO)[0]
    earlier = materializations(history.instance, "logs", TWO)[-1]
    assert "was stopped before this day" in str(newest.description)
    assert (newest.tags or {})["dagster/data_version"] == (earlier.tags or {})[
        "dagster/data_version"
    ]
    assert history.tick() == "The process of every started run is alive."


def test_a_held_day_stays_red_when_a_later_export_of_it_is_interrupted(
    history: History, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.run(f"UPDATE logs SET level = 'odd' WHERE timestamp::date = '{TWO}'")
    history.alerting.run(TWO)
    assert history.failed() == {TWO}
    interrupt(history, monkeypatch, ONE)
    assert history.tick() == "Recorded 2 published days."
    assert history.failed() == {TWO, NEVER}


def test_days_stay_red_that_an_export_did_not_reach_because_it_failed_by_itself(
    history: History, backend: Backend
) -> None:
    backend.run("ALTER TABLE logs RENAME COLUMN message TO text")
    history.alerting.run(ONE, THREE)
    assert history.failed() == {ONE, TWO, THREE}
    assert history.tick() == "The process of every started run is alive."
    assert history.failed() == {ONE, TWO, THREE}


def test_days_that_a_newer_run_has_taken_over_are_left_to_it(
    history: History, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(history, monkeypatch, ONE)
    backend.run(f"UPDATE logs SET level = 'odd' WHERE timestamp::date = '{TWO}'")
    history.alerting.run(TWO)
    assert history.tick() == "Recorded 2 published days."
    assert history.failed() == {TWO, NEVER}


def test_a_day_that_a_newer_run_publishes_meanwhile_is_recorded_by_that_run(
    history: History, backend: Backend, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    interrupt(history, monkeypatch, TWO)
    newer = dg.DagsterRun("logs_job", status=dg.DagsterRunStatus.STARTED)
    history.instance.add_run(newer)
    asked = unrecorded_days.unfinished_days

    def published_meanwhile(*of_run: Any) -> list[str]:
        found = asked(*of_run)
        store = LocalStore(Path(settings["EXPORTER_OUTPUT_URL"]))
        export(backend.url, dataset("logs"), THREE, store, run_id=newer.run_id)
        return list(found)

    monkeypatch.setattr(unrecorded_days, "unfinished_days", published_meanwhile)
    before = len(materializations(history.instance, "logs", THREE))
    assert "Recorded 1 published days." in history.tick()
    assert len(materializations(history.instance, "logs", THREE)) == before


def test_an_alert_about_an_interrupted_run_says_that_it_was_stopped(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(history, monkeypatch, TWO)
    [alert] = history.alerting.received()
    assert "stopped from outside" in alert["message"]
    assert "SIGHUP" in alert["message"]
