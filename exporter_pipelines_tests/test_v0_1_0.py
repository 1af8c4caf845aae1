"""What users of 0.1.0 have (dagster.yaml, .env, defs/) works unchanged, under the same names.

Dagster stores by name what it knows of an asset or a check, and whether a schedule or sensor is on.
After a change of a name this would be lost.
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import chdir
from pathlib import Path

import dagster as dg
import pytest

from exporter_pipelines.notifications.receivers import open_receivers
from exporter_pipelines.orchestration.dagster_internals.stored_values import write_value
from exporter_pipelines.orchestration.run_queue import PoolAwareRunCoordinator
from exporter_pipelines_tests.support.alerting import Alerting
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import history_of, materializations
from exporter_pipelines_tests.support.projects import ROOT, Project, copy_project

KEPT = Path(__file__).parent / "v0_1_0"
DAY = "2026-11-03"
CHECKS = {
    "new_values", "null_rate_drift", "rejected_rows", "rejection_limits", "repeated_keys",
    "required_fields", "row_conservation", "row_count_drift", "rows_outside_window",
    "source_unchanged", "value_mix_drift",
}  # fmt: skip
CHECKS_ADDED_SINCE = {"no_lost_rows", "rows_outside_every_day", "same_source"}
NAMES = {
    "assets": {"errors_of_events", "events", "events_severe", "export_report"},
    "checks": {
        f"{dataset}:{check}"
        for dataset in ("events", "events_severe")
        for check in CHECKS | CHECKS_ADDED_SINCE
    },
    "jobs": {
        "__ASSET_JOB", "__anonymous_asset_job_late_data_sensor",
        "__anonymous_asset_job_training_sets_sensor", "all_exports_job", "events_job",
        "events_severe_job", "export_report_job", "prune_job", "repair_job",
    },
    "schedules": {"events_schedule", "prune_schedule"},
    "sensors": {
        "condition_alerts_sensor", "dead_runs_sensor", "export_report_sensor", "late_data_sensor",
        "run_alerts_sensor", "training_sets_sensor",
    },
}  # fmt: skip
_PRINT_NAMES = """
import json
from exporter_pipelines.definitions import defs
found = defs().get_repository_def()
graph = found.asset_graph
print(json.dumps({
    "assets": [key.to_user_string() for key in graph.get_all_asset_keys()],
    "checks": [f"{key.asset_key.to_user_string()}:{key.name}" for key in graph.asset_check_keys],
    "jobs": [job.name for job in found.get_all_jobs()],
    "schedules": [schedule.name for schedule in found.schedule_defs],
    "sensors": [sensor.name for sensor in found.sensor_defs],
}))
"""


@pytest.fixture
def upgraded(tmp_path: Path, settings: dict[str, str]) -> Project:
    """The code of today in a project folder of 0.1.0."""
    project = copy_project(tmp_path / "project", settings)
    shutil.copy(KEPT / "dagster.yaml", project.path)
    shutil.rmtree(project.path / "exporter_pipelines" / "defs")
    shutil.copytree(KEPT / "defs", project.path / "exporter_pipelines" / "defs")
    shutil.copy(KEPT / "env", project.path / ".env")
    project.set(DAGSTER_HOME=str(project.path), **settings)
    return project


def test_names_are_those_of_0_1_0(upgraded: Project) -> None:
    done = upgraded.python(_PRINT_NAMES)
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    assert {kind: set(names) for kind, names in found.items()} == NAMES
    # By these two files, web server and daemon find the code location.
    assert 'code_location_name = "exporter_pipelines"' in (ROOT / "pyproject.toml").read_text()
    assert "location_name: exporter_pipelines\n" in (ROOT / "workspace.yaml").read_text()


def test_a_day_is_exported_read_downstream_and_verified(
    upgraded: Project, backend: Backend
) -> None:
    backend.add_logs(DAY, 20)
    done = upgraded.materialize("events,events_severe,errors_of_events", partition=DAY)
    assert done.code == 0, done.stderr
    for dataset in ("events", "events_severe"):
        assert upgraded.manifest(dataset, DAY) is not None
    assert upgraded.manifest("events", DAY).record_count == 20  # type: ignore[union-attr]
    with history_of(upgraded) as instance:
        assert type(instance.event_log_storage).__module__ == (
            "exporter_pipelines.orchestration.dagster_internals.sqlite_history"
        )
        assert isinstance(instance.run_coordinator, PoolAwareRunCoordinator)
        assert len(materializations(instance, "events", DAY)) == 1
        assert len(materializations(instance, "errors_of_events", DAY)) == 1
    doctor = upgraded.exporter("doctor")
    assert " 0 FAIL" in f" {doctor.stdout.strip().splitlines()[-1]}", doctor.stdout
    assert upgraded.exporter("verify").code == 0


def test_the_dagster_yaml_of_a_server_loads(
    upgraded: Project, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", backend.url)
    with chdir(upgraded.path), dg.DagsterInstance.from_config(str(KEPT / "deploy")) as instance:
        assert isinstance(instance.run_coordinator, PoolAwareRunCoordinator)
        assert instance.get_runs() == []


def test_open_alerts_are_neither_sent_again_nor_lost(alerting: Alerting, backend: Backend) -> None:
    [receiver] = open_receivers([alerting.inbox.url])
    text = (KEPT / "alerts.json").read_text().replace("RECEIVER", receiver.id)
    for sensor, state in json.loads(text).items():
        for waiting in state["outbox"]["waiting"]:
            waiting["since"] = time.time() - 60  # a message is dropped after a week
        write_value(alerting.instance, f"exporter_pipelines/alerts/{sensor}", json.dumps(state))
    backend.add_logs(DAY, 50)
    backend.run("UPDATE logs SET level = 'odd'")
    alerting.run(DAY)  # held again, as before the upgrade
    waited, disk = alerting.received()
    assert waited["title"] == f"[exporter] logs {DAY}: held"
    assert "That is more than" in waited["message"]  # the words of 0.1.0
    assert disk["title"] == "[exporter] output: resolved"
    backend.run("UPDATE logs SET level = 'INFO'")
    alerting.run(DAY)
    assert [post["title"] for post in alerting.received()] == [f"[exporter] logs {DAY}: resolved"]
