"""Alerts: each kind is sent once and resolved once, to a real receiver, without row content."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.error import SerializableErrorInfo

from exporter_pipelines.definitions import build
from exporter_pipelines.defs_files import definitions
from exporter_pipelines.engine.prune import Prune
from exporter_pipelines.orchestration.alerts import condition_alerts as condition_alerts_module
from exporter_pipelines.orchestration.dagster_internals.deferred_plans import DEFERRED
from exporter_pipelines_tests.support.alert_receivers import Inbox
from exporter_pipelines_tests.support.alerting import Alerting
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.definitions import copy_definitions

DAY = "2026-11-03"


def test_a_held_day_sends_one_alert_and_one_resolved_message(
    alerting: Alerting, backend: Backend
) -> None:
    backend.add_logs(DAY, 50)
    backend.run("UPDATE logs SET level = 'canary-of-a-row'")
    run = alerting.run(DAY)
    [held] = alerting.received()
    assert held["title"] == f"[exporter] logs {DAY}: held"
    assert held["type"] == "failure"
    assert "50 of 50 rows rejected (100.00 %)" in held["message"]
    assert f"https://dagster.example.org/runs/{run.run_id}" in held["message"]
    assert "This day has no published export." in held["message"]
    assert "Failed and missing" in held["message"]
    assert "canary" not in str(held)

    alerting.run(DAY)
    assert alerting.received() == []

    backend.run("UPDATE logs SET level = 'INFO'")
    alerting.run(DAY)
    [resolved] = alerting.received()
    assert resolved["title"] == f"[exporter] logs {DAY}: resolved"
    assert resolved["type"] == "success"


def test_a_failed_run_names_its_days_and_is_resolved_when_they_are_published(
    alerting: Alerting, backend: Backend
) -> None:
    backend.run("ALTER TABLE logs RENAME TO elsewhere")
    alerting.run(DAY)
    [failed] = alerting.received()
    assert failed["title"] == f"[exporter] logs {DAY}: run failed"
    assert "logs" in failed["message"]
    assert "does not exist" in failed["message"]
    backend.run("ALTER TABLE elsewhere RENAME TO logs")
    alerting.run(DAY)
    assert [post["title"] for post in alerting.received()] == [f"[exporter] logs {DAY}: resolved"]


def test_the_alert_names_the_days_that_a_run_gave_up(alerting: Alerting, backend: Backend) -> None:
    backend.run("ALTER TABLE logs RENAME TO elsewhere")
    alerting.run(DAY, "2026-11-05", tags=DEFERRED)
    [failed] = alerting.received()
    assert failed["title"] == f"[exporter] logs {DAY}: run failed"
    assert "Not tried: 2026-11-04, 2026-11-05." in failed["message"]
    alerting.run("2026-11-06", "2026-11-08")
    [planned] = alerting.received()
    assert planned["title"] == "[exporter] logs 3 days: run failed"
    assert "2026-11-07, 2026-11-08: Not tried, since the run gave up." in planned["message"]


def test_a_run_that_failed_without_a_step_sends_an_alert_and_a_cancelled_one_does_not(
    alerting: Alerting,
) -> None:
    job = alerting.repository.get_job("prune_job")
    cancelled, killed = (alerting.instance.create_run_for_job(job) for _ in range(2))
    alerting.instance.report_run_canceled(cancelled)
    assert alerting.received() == []
    alerting.instance.report_run_failed(killed, "Ended by the monitor.")
    [failed] = alerting.received()
    assert failed["title"] == "[exporter] prune_job: run failed"
    assert "Why: Ended by the monitor." in failed["message"]
    assert job.execute_in_process(instance=alerting.instance).success
    assert [post["title"] for post in alerting.received()] == ["[exporter] prune_job: resolved"]


def test_a_refused_prune_sends_one_alert(
    alerting: Alerting, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = alerting.repository.get_job("prune_job")
    refused = Prune("logs", [], [], refused="the clock is wrong")
    module = "exporter_pipelines.orchestration.upkeep.pruning"
    monkeypatch.setattr(f"{module}.plan_prune", lambda *_arguments: refused)
    apply = {"ops": {"prune": {"config": {"apply": True}}}}
    for _ in range(3):
        result = job.execute_in_process(
            instance=alerting.instance, run_config=apply, raise_on_error=False
        )
        assert not result.success
    [alert] = alerting.received(1)
    assert alert["title"] == "[exporter] prune_job: run failed"
    assert "the prune is refused: the clock is wrong" in alert["message"]


@pytest.mark.parametrize("launched", [False, True], ids=["command line", "daemon"])
def test_a_run_that_dagster_cannot_retry_sends_an_alert_despite_its_tag(
    alerting: Alerting, launched: bool
) -> None:
    """Dagster marks every killed run so, and starts none of the command line again."""
    job = alerting.repository.get_job("prune_job")
    assert alerting.received() == []
    origin = repository_origin().get_job_origin(job.name)
    killed = alerting.instance.create_run_for_job(
        job,
        tags={"dagster/will_retry": "true"},
        remote_job_origin=origin if launched else None,
    )
    alerting.instance.report_run_failed(killed, "The process of this run has ended.")
    titles = [post["title"] for post in alerting.received()]
    assert titles == ([] if launched else ["[exporter] prune_job: run failed"])


def test_the_text_of_other_assets_is_not_quoted(alerting: Alerting) -> None:
    @dg.asset
    def theirs() -> None:
        raise ValueError("canary-of-a-row")

    @dg.asset_check(asset=theirs)
    def odd() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, description="canary-of-a-row")

    dg.materialize([theirs], instance=alerting.instance, raise_on_error=False)
    [failed] = alerting.received(1)
    assert failed["title"] == "[exporter] theirs: run failed"
    assert "ValueError; see the log of the run." in failed["message"]
    only = dg.AssetSelection.checks(odd)
    dg.materialize([theirs, odd], selection=only, instance=alerting.instance)
    [checked] = alerting.received()
    assert checked["title"] == "[exporter] theirs: check failed"
    assert "canary" not in str([failed, checked])


def test_a_failed_check_is_resolved_when_the_day_passes_it(
    alerting: Alerting, backend: Backend
) -> None:
    for day in range(1, 9):
        backend.add_logs(f"2026-11-{day:02}", 5 if day == 8 else 100, first_id=1000 * day)
    alerting.run("2026-11-01", "2026-11-08")
    [warned] = alerting.received()
    assert warned["title"] == "[exporter] logs 2026-11-08: check failed"
    assert warned["type"] == "warning"
    assert "row_count_drift: 5 rows" in warned["message"]
    backend.add_logs("2026-11-08", 95, first_id=9000)
    alerting.run("2026-11-08")
    assert [p["title"] for p in alerting.received()] == ["[exporter] logs 2026-11-08: resolved"]


def test_rows_without_a_time_are_a_problem_of_the_table_and_not_of_each_day(
    alerting: Alerting, backend: Backend
) -> None:
    backend.add_logs(DAY, 5)
    backend.run(
        "ALTER TABLE logs ALTER timestamp DROP NOT NULL;"
        "INSERT INTO logs (id, level, message, source) VALUES (999, 'INFO', 'm', 's')"
    )
    alerting.run(DAY)
    [warned] = alerting.received()
    assert warned["title"] == "[exporter] logs: check failed"
    assert "rows_outside_every_day: In the table, 1 row without a time." in warned["message"]
    alerting.run("2026-11-04", "2026-11-05")
    assert alerting.received() == []
    backend.add_logs("2026-11-06", 50, first_id=100)
    backend.run("UPDATE logs SET level = 'odd' WHERE id BETWEEN 100 AND 200")
    alerting.run("2026-11-06")
    assert [p["title"] for p in alerting.received()] == ["[exporter] logs 2026-11-06: held"]
    backend.run("DELETE FROM logs WHERE timestamp IS NULL")
    alerting.run("2026-11-07")
    assert [p["title"] for p in alerting.received()] == ["[exporter] logs: resolved"]


def test_the_failed_check_of_a_held_day_stays_open(alerting: Alerting, backend: Backend) -> None:
    for day in range(1, 9):
        backend.add_logs(f"2026-11-{day:02}", 5 if day == 8 else 100, first_id=1000 * day)
    alerting.run("2026-11-01", "2026-11-08")
    assert len(alerting.received()) == 1  # row_count_drift
    backend.add_logs("2026-11-08", 95, first_id=9000)
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = '2026-11-08'")
    alerting.run("2026-11-08")
    assert [p["title"] for p in alerting.received()] == ["[exporter] logs 2026-11-08: held"]
    backend.run("UPDATE logs SET level = 'INFO'")
    alerting.run("2026-11-08")
    [resolved] = alerting.received()
    assert resolved["title"] == "[exporter] logs 2026-11-08: resolved"
    assert "Resolved: check failed (2026-11-08)." in resolved["message"]
    assert "Resolved: held (2026-11-08)." in resolved["message"]


def test_a_published_day_with_many_rejected_rows_sends_an_alert(
    alerting: Alerting, backend: Backend
) -> None:
    backend.add_logs(DAY, 50)
    backend.run("UPDATE logs SET level = 'odd' WHERE id IN (SELECT id FROM logs LIMIT 5)")
    assert alerting.run(DAY).success
    [rate] = alerting.received()
    assert rate["title"] == f"[exporter] logs {DAY}: many rejected rows"
    assert "5 of 50 rows rejected (10.00 %)" in rate["message"]
    assert "The limit is 1 %." in rate["message"]
    backend.run("UPDATE logs SET level = 'INFO'")
    alerting.run(DAY)
    assert [post["title"] for post in alerting.received()] == [f"[exporter] logs {DAY}: resolved"]


def test_an_export_is_slow_compared_with_its_own_history(
    alerting: Alerting, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exported(seconds: float, first: int) -> None:
        for day in range(first, first + 7):
            done = dg.AssetMaterialization(
                "logs",
                partition=f"2026-11-{day:02}",
                metadata={"rows_read": 50, "duration_s": seconds},
            )
            alerting.instance.report_runless_asset_event(done)

    monkeypatch.setenv("EXPORTER_ALERT_SLOW_MIN_SECONDS", "0")
    backend.add_logs(DAY, 50)
    exported(1e-6, first=1)
    alerting.run(DAY)
    [slow] = alerting.received()
    assert slow["title"] == f"[exporter] logs {DAY}: slow export"
    assert "Why: 50 rows took" in slow["message"]
    exported(3600.0, first=1)
    exported(3600.0, first=8)
    alerting.run(DAY)
    assert [post["title"] for post in alerting.received()] == ["[exporter] logs: resolved"]
    monkeypatch.delenv("EXPORTER_ALERT_SLOW_MIN_SECONDS")
    exported(1e-6, first=1)
    exported(1e-6, first=8)
    alerting.run(DAY)
    assert alerting.received(1) == []  # a second is never slow


def test_a_missing_export_of_a_running_schedule_sends_an_alert(
    alerting: Alerting, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_END_DATE", "")
    monkeypatch.setenv("EXPORTER_ALERT_MISSING_AFTER_MINUTES", "0")
    alerting.repository = build().get_repository_def()
    newest = alerting.repository.get_schedule_def("logs_schedule")
    now = dt.datetime.now(dt.UTC)
    tick = now.replace(hour=2, minute=15, second=0, microsecond=0)
    day = str((tick - dt.timedelta(days=1 if tick < now else 2)).date())
    assert alerting.received(1) == []
    switched_on(alerting.instance, newest, now - dt.timedelta(hours=24))
    [missing] = alerting.received()
    assert missing["title"] == f"[exporter] logs {day}: export missing"
    assert "no run of" in missing["message"]
    alerting.run(day)
    assert [post["title"] for post in alerting.received()] == [f"[exporter] logs {day}: resolved"]


def repository_origin() -> RemoteRepositoryOrigin:
    """Where the daemon finds the project."""
    target = LoadableTargetOrigin(module_name="exporter_pipelines.definitions")
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, "exporter_pipelines")
    return RemoteRepositoryOrigin(location, "__repository__")


def switched_on(
    instance: dg.DagsterInstance, schedule: dg.ScheduleDefinition, since: dt.datetime
) -> None:
    """As the switch in the UI does, at another time."""
    origin = repository_origin().get_instigator_origin(schedule.name)
    data = ScheduleInstigatorData(str(schedule.cron_schedule), since.timestamp())
    instance.add_instigator_state(
        InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, data)
    )


def ticked(instance: dg.DagsterInstance, sensor: str, *statuses: TickStatus) -> None:
    """As the daemon stores the ticks of a sensor that is on."""
    origin = repository_origin().get_instigator_origin(sensor)
    state = InstigatorState(
        origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, SensorInstigatorData()
    )
    if not instance.get_instigator_state(state.instigator_origin_id, state.selector_id):
        instance.add_instigator_state(state)
    for status in statuses:
        error = None
        if status == TickStatus.FAILURE:
            error = SerializableErrorInfo("canary-of-a-row", [], "IntegrityError")
        instance.create_tick(
            TickData(
                state.instigator_origin_id, sensor, InstigatorType.SENSOR, status, time.time(),
                error=error, selector_id=state.selector_id,
            )
        )  # fmt: skip


def test_a_sensor_whose_ticks_fail_sends_an_alert_and_is_resolved(alerting: Alerting) -> None:
    sensor, failure = "late_data_sensor", TickStatus.FAILURE
    ticked(alerting.instance, sensor, TickStatus.SKIPPED, failure, failure)
    assert alerting.received(1) == []
    ticked(alerting.instance, sensor, failure, TickStatus.STARTED)
    [failing] = alerting.received()
    assert failing["title"] == f"[exporter] {sensor}: sensor failing"
    assert "Its last 3 ticks failed: IntegrityError." in failing["message"]
    assert "canary" not in str(failing)
    ticked(alerting.instance, sensor, TickStatus.SKIPPED)
    assert [p["title"] for p in alerting.received()] == [f"[exporter] {sensor}: resolved"]


def test_an_unreachable_source_sends_an_alert_and_is_resolved(
    alerting: Alerting, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_SOURCE_URL", "postgresql://me:canary-secret@127.0.0.1:9/backend")
    assert alerting.received(1) == []
    [gone] = alerting.received()
    assert gone["title"] == "[exporter] EXPORTER_SOURCE_URL: source unreachable"
    assert "canary" not in str(gone)
    monkeypatch.setenv("EXPORTER_SOURCE_URL", settings["EXPORTER_SOURCE_URL"])
    [back] = alerting.received()
    assert back["title"] == "[exporter] EXPORTER_SOURCE_URL: resolved"


def test_low_disk_space_sends_an_alert(alerting: Alerting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORTER_ALERT_MIN_FREE_GIB", "1e9")
    [full] = alerting.received()
    assert full["title"] == "[exporter] output: low disk space"
    assert "the limit is 1e+09 GiB" in full["message"]
    monkeypatch.setenv("EXPORTER_ALERT_MIN_FREE_GIB", "0")
    assert [post["title"] for post in alerting.received()] == ["[exporter] output: resolved"]


def test_a_broken_definition_sends_one_alert_and_is_resolved_once(
    alerting: Alerting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "defs"
    copy_definitions(folder)
    monkeypatch.setattr(definitions, "DEFS", folder)
    assert alerting.received() == []
    file = folder / "ips" / "defs.yaml"
    text = file.read_text()
    file.write_text(text.replace("format: jsonl", "format: xml"))
    [broken] = alerting.received()
    assert broken["title"] == "[exporter] ips: broken definition"
    assert f"{file}:20: format 'xml' does not exist" in broken["message"]
    key = dg.AssetCheckKey(dg.AssetKey("ips"), "definition_is_valid")
    [check] = alerting.instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [key]
    ).values()
    assert check.status.value == "FAILED"
    file.write_text(text)
    assert [post["title"] for post in alerting.received()] == ["[exporter] ips: resolved"]


def test_the_heartbeat_stops_when_alerting_is_unhealthy(
    alerting: Alerting, receiver: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{receiver.port}/beat/canary"
    monkeypatch.setenv("EXPORTER_ALERT_HEARTBEAT_URL", url)
    assert "Heartbeat sent." in alerting.tick()
    assert receiver.beats == ["/beat/canary"]
    receiver.status = 500
    said = alerting.tick()
    assert "The heartbeat was answered with HTTP status 500" in said
    # A message that nobody takes: the outside watcher is the one who is left.
    monkeypatch.setattr(condition_alerts_module, "_STUCK_S", 0.0)
    monkeypatch.setenv("EXPORTER_ALERT_MIN_FREE_GIB", "1e9")
    said += alerting.tick()
    assert "No heartbeat: a message has waited" in said
    monkeypatch.setenv("EXPORTER_ALERT_URLS", "odd://canary")
    said += alerting.tick()
    assert "No heartbeat: no receiver URL is valid" in said
    assert "canary" not in said
    assert len(receiver.beats) == 2
    other = tmp_path / "other"
    other.mkdir()
    with dg.DagsterInstance.local_temp(str(other)) as instance:
        alone = Alerting(alerting.repository, instance, receiver)
        assert "run_alerts_sensor has not run" in alone.tick("condition_alerts_sensor")


def test_earlier_runs_send_no_alert_and_a_restart_repeats_nothing(
    alerting: Alerting, backend: Backend, tmp_path: Path
) -> None:
    backend.add_logs(DAY, 50)
    backend.run("UPDATE logs SET level = 'odd'")
    home = tmp_path / "older"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        older = Alerting(alerting.repository, instance, alerting.inbox)
        older.run(DAY)
        assert older.received() == []
        older.run(DAY)
        older.tick("run_alerts_sensor")
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        again = Alerting(build().get_repository_def(), instance, alerting.inbox)
        assert [post["title"] for post in again.received()] == [f"[exporter] logs {DAY}: held"]


def test_without_receivers_messages_are_in_the_log(
    alerting: Alerting,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EXPORTER_ALERT_URLS", "")
    monkeypatch.setenv("EXPORTER_ALERT_MIN_FREE_GIB", "1e9")
    assert "1 new messages." in alerting.tick()
    assert "low disk space" in "".join(capfd.readouterr())
