"""Alerts: each kind told once and over once, to a real receiver, without rows and secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from exporter_pipelines.definitions import build
from exporter_pipelines_tests.alerting import Alerting
from exporter_pipelines_tests.backends import Backend
from exporter_pipelines_tests.receivers import Inbox, inbox

DAY = "2026-11-03"


@pytest.fixture
def receiver() -> Iterator[Inbox]:
    """Somebody who is told."""
    with inbox() as received:
        yield received


@pytest.fixture
def alerting(
    settings: dict[str, str], receiver: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Alerting]:
    """A project without history whose alerts have ticked once, as after `make dev`."""
    monkeypatch.setenv("EXPORTER_ALERT_URLS", receiver.url)
    monkeypatch.setenv("EXPORTER_UI_URL", "https://dagster.example.org/")
    monkeypatch.setenv("EXPORTER_ALERT_MIN_FREE_GIB", "0")
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        found = Alerting(build().get_repository_def(), instance, receiver)
        assert found.told(1) == []
        yield found


def test_a_held_day_is_told_once_and_over_once(alerting: Alerting, backend: Backend) -> None:
    backend.add_logs(DAY, 50)
    backend.run("UPDATE logs SET level = 'canary-of-a-row'")
    run = alerting.run(DAY)
    [held] = alerting.told()
    assert held["title"] == f"[exporter] logs {DAY}: held"
    assert held["type"] == "failure"
    assert "50 of 50 rows rejected (100.00 %)" in held["message"]
    assert f"https://dagster.example.org/runs/{run.run_id}" in held["message"]
    assert "Failed and missing" in held["message"]
    assert "canary" not in str(held)

    alerting.run(DAY)
    assert alerting.told() == []

    backend.run("UPDATE logs SET level = 'INFO'")
    alerting.run(DAY)
    [over] = alerting.told()
    assert over["title"] == f"[exporter] logs {DAY}: well again"
    assert over["type"] == "success"


def test_a_range_is_one_message_and_recovers_day_by_day(
    alerting: Alerting, backend: Backend
) -> None:
    for day in range(1, 15):
        backend.add_logs(f"2026-11-{day:02}", 20, first_id=100 * day)
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date <> '2026-11-05'")
    alerting.run("2026-11-01", "2026-11-14")
    [held] = alerting.told()
    assert held["title"] == "[exporter] logs 13 days: held"
    assert "2026-11-11 and 3 more" in held["message"]
    assert len(held["message"]) <= 2000

    backend.run("UPDATE logs SET level = 'INFO'")
    alerting.run("2026-11-01", "2026-11-02")
    [over] = alerting.told()
    assert over["title"] == "[exporter] logs 2 days: well again"
    assert "2026-11-01, 2026-11-02" in over["message"]
    alerting.run("2026-11-03", "2026-11-14")
    assert [post["title"] for post in alerting.told()] == ["[exporter] logs 11 days: well again"]


def test_a_failed_run_names_its_days_and_is_over_when_they_are_published(
    alerting: Alerting, backend: Backend
) -> None:
    backend.run("ALTER TABLE logs RENAME TO elsewhere")
    alerting.run(DAY)
    [failed] = alerting.told()
    assert failed["title"] == f"[exporter] logs {DAY}: run failed"
    assert "logs" in failed["message"]
    assert "does not exist" in failed["message"]
    backend.run("ALTER TABLE elsewhere RENAME TO logs")
    alerting.run(DAY)
    assert [post["title"] for post in alerting.told()] == [f"[exporter] logs {DAY}: well again"]
