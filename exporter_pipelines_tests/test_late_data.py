"""Rows that come late, change or go are found, once they have settled, and nothing else is."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

import dagster as dg
import pytest

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.orchestration.upkeep.late_data import late_data_sensor
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import check_statuses, history_of
from exporter_pipelines_tests.support.datasets import (
    dataset,
    export,
    export_days,
    fingerprint_of,
    open_day,
)
from exporter_pipelines_tests.support.projects import Project

TODAY = dt.datetime.now(dt.UTC).date()
DAYS = [(TODAY - dt.timedelta(days=back)).isoformat() for back in range(20, 0, -1)]
# What the daemon does with the sensor, every ten minutes.
_TICK = """
import dagster as dg
from exporter_pipelines.definitions import build
instance = dg.DagsterInstance.get()
sensor = build().get_sensor_def("late_data_sensor")
for event in sensor.evaluate_tick(dg.build_sensor_context(instance=instance)).asset_events:
    instance.report_runless_asset_event(event)
"""
REPORT = {"lookback_days": 30, "settle_minutes": 0}


@pytest.fixture
def twenty_days(backend: Backend, store: LocalStore, settings: dict[str, str]) -> Backend:
    """Twenty published days of logs, up to yesterday."""
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 10, first_id=1000 * number)
    export_days(backend.url, dataset(), DAYS, store)
    return backend


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


class Sensor:
    """The sensor, ticked by hand, with its own settings for the logs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> None:
        self._monkeypatch, self._instance, self.cursor = monkeypatch, instance, None

    def configure(self, **late_data: object) -> None:
        """Set `late_data` of the logs."""
        shipped = {name: dataset(name) for name in ("anomalies", "ips")}
        logs = dataset(late_data={**REPORT, **late_data})
        module = "exporter_pipelines.orchestration.upkeep.late_data"
        self._monkeypatch.setattr(f"{module}.exported_names", lambda: ["anomalies", "ips", "logs"])
        self._monkeypatch.setattr(f"{module}.dataset_named", {**shipped, "logs": logs}.get)

    def tick(self) -> dg.SensorResult:
        """One evaluation, with the cursor of the one before."""
        context = dg.build_sensor_context(instance=self._instance, cursor=self.cursor)
        result = late_data_sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result


@pytest.fixture
def sensor(monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> Sensor:
    sensor = Sensor(monkeypatch, instance)
    sensor.configure()
    return sensor


def wanted(result: dg.SensorResult) -> list[str]:
    return sorted(str(request.partition_key) for request in result.run_requests or [])


def judged(result: dg.SensorResult) -> dict[str, bool]:
    return {str(event.partition): event.passed for event in result.asset_events}  # type: ignore[union-attr]


def add_late_rows(backend: Backend, days: list[str], each: int) -> None:
    for number, day in enumerate(days):
        backend.add_logs(day, each, first_id=900_000 + 1000 * number)


def test_a_hundred_late_rows_in_ten_days_are_found_there_and_nowhere_else(
    twenty_days: Backend, store: LocalStore, sensor: Sensor
) -> None:
    sensor.configure(policy="re-export")
    assert (wanted(sensor.tick()), judged(sensor.tick())) == ([], {})

    late = DAYS[::2]
    add_late_rows(twenty_days, late, 10)
    found = sensor.tick()

    assert wanted(found) == late
    assert judged(found) == dict.fromkeys(late, False)
    assert {r.asset_selection[0].to_user_string() for r in found.run_requests or []} == {"logs"}  # type: ignore[index]
    for _ in range(10):
        again = sensor.tick()
        assert (wanted(again), judged(again)) == ([], {})

    for day in late:
        assert export(twenty_days.url, dataset(), day, store).record_count == 20
    # The run of each day has judged it again, and the sensor reports that the day is complete.
    sensor.cursor = None
    assert judged(sensor.tick()) == {}


@pytest.mark.parametrize("left", [0, 4])
def test_a_day_with_fewer_rows_is_reported_and_never_exported_by_itself(
    twenty_days: Backend, sensor: Sensor, left: int
) -> None:
    sensor.configure(policy="re-export")
    twenty_days.run("DELETE FROM logs WHERE id BETWEEN %s AND 4999", [4000 + left])
    found = sensor.tick()
    assert wanted(found) == []
    assert judged(found) == {DAYS[4]: False}
    [event] = found.asset_events
    assert f"{10 - left} fewer rows" in str(event.description)  # type: ignore[union-attr]


def test_rows_that_still_arrive_are_waited_for(
    twenty_days: Backend, sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor.configure(policy="re-export", settle_minutes=30)
    now = 1_000_000.0
    monkeypatch.setattr("exporter_pipelines.orchestration.upkeep.late_data.time.time", lambda: now)
    for minute, first_id in ((0, 900_000), (20, 910_000)):
        now = 1_000_000.0 + 60 * minute
        twenty_days.add_logs(DAYS[3], 5, first_id=first_id)
        assert wanted(sensor.tick()) == []
    now = 1_000_000.0 + 60 * 45
    assert wanted(sensor.tick()) == []
    now = 1_000_000.0 + 60 * 50
    assert wanted(sensor.tick()) == [DAYS[3]]


def test_a_changed_row_is_found_by_its_updated_column(
    backend: Backend, store: LocalStore, settings: dict[str, str], sensor: Sensor
) -> None:
    backend.run("ALTER TABLE logs ADD updated_at timestamptz NOT NULL DEFAULT now()")
    backend.add_logs(DAYS[0], 10)
    source = {"updated_column": "updated_at"}
    export(backend.url, dataset(source=source), DAYS[0], store)
    sensor._monkeypatch.setattr(
        "exporter_pipelines.orchestration.upkeep.late_data.dataset_named",
        lambda name: dataset(source=source, late_data=REPORT) if name == "logs" else dataset(name),
    )
    assert judged(sensor.tick()) == {}
    backend.run("UPDATE logs SET message = 'x', updated_at = now() + interval '1 s' WHERE id = 3")
    assert judged(sensor.tick()) == {DAYS[0]: False}
    backend.run("UPDATE logs SET message = 'x', updated_at = (SELECT min(updated_at) FROM logs)")
    assert judged(sensor.tick()) == {DAYS[0]: True}


def test_a_row_that_went_while_another_came_is_found(twenty_days: Backend, sensor: Sensor) -> None:
    twenty_days.run("UPDATE logs SET id = 999999999 WHERE id = 5003")
    assert judged(sensor.tick()) == {DAYS[5]: False}


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM logs",
        "UPDATE logs SET id = -id",
        "UPDATE logs SET id = 9223372036854775807 WHERE id = 7",
        "ALTER TABLE logs ALTER id TYPE smallint",
        "ALTER TABLE logs ALTER id TYPE numeric",
        "ALTER TABLE logs ALTER id TYPE text",
        "ALTER TABLE logs DROP CONSTRAINT logs_pkey, ALTER id DROP NOT NULL; "
        "UPDATE logs SET id = NULL WHERE id < 4",
        "ALTER TABLE logs DROP CONSTRAINT logs_pkey, ALTER id DROP NOT NULL; "
        "UPDATE logs SET id = NULL",
    ],
)
def test_an_export_and_a_look_find_the_same_fingerprint(
    backend: Backend, store: LocalStore, change: str
) -> None:
    backend.add_logs(DAYS[0], 10)
    backend.run(change)
    logs, window = dataset(), DayWindow.of(DAYS[0], "UTC")
    manifest = export(backend.url, logs, DAYS[0], store)
    with open_day(backend.url, logs, window) as snapshot:
        assert snapshot.info.fingerprint == fingerprint_of(store, manifest)


def test_the_fingerprint_shows_no_key(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAYS[0], 3, first_id=4242424242)
    manifest = export(backend.url, dataset(), DAYS[0], store)
    assert re.fullmatch("[0-9a-f]{32}", fingerprint_of(store, manifest) or "")
    assert "42424242" not in manifest.to_json().decode()


def test_a_day_without_a_fingerprint_is_compared_by_its_count(
    twenty_days: Backend, store: LocalStore, sensor: Sensor
) -> None:
    (store.root / "logs" / ".fingerprints" / f"date={DAYS[0]}").unlink()
    assert judged(sensor.tick()) == {}
    add_late_rows(twenty_days, DAYS[:1], 1)
    assert judged(sensor.tick()) == {DAYS[0]: False}


def test_an_unreachable_source_is_said_and_forgets_nothing(
    twenty_days: Backend, sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_late_rows(twenty_days, DAYS[:1], 1)
    assert judged(sensor.tick()) == {DAYS[0]: False}
    monkeypatch.setenv("EXPORTER_SOURCE_URL", "postgresql://127.0.0.1:1/none")
    assert "Cannot connect" in str(sensor.tick().skip_reason)
    monkeypatch.setenv("EXPORTER_SOURCE_URL", twenty_days.url)
    assert judged(sensor.tick()) == {}


def test_a_sensor_reports_at_the_page_of_the_day_as_often_as_the_day_changes(
    twenty_days: Backend, project: Project
) -> None:
    """Through Dagster's own command, with the project's definitions and history."""
    project.set(EXPORTER_START_DATE=DAYS[0], EXPORTER_END_DATE="")
    project.edit("logs", "  schedule:", "  late_data: {settle_minutes: 0}\n  schedule:")
    assert project.materialize("logs", partition=DAYS[-1]).code == 0
    for rows in (1, 2):
        twenty_days.add_logs(DAYS[-1], rows, first_id=900_000 + rows)
        done = project.python(_TICK)
        assert done.code == 0, done.stderr
        with history_of(project) as instance:
            assert check_statuses(instance, "logs", "source_unchanged") == {DAYS[-1]: "FAILED"}
