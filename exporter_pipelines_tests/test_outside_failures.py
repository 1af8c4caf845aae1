"""A run that Dagster or a sensor fails from outside: its message and its alert say why."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._utils import get_run_crash_explanation
from dagster._utils.error import serializable_error_info_from_exc_info

from exporter_pipelines.orchestration.dagster_internals.engine_errors import (
    engine_error,
    newest_engine_error,
)
from exporter_pipelines_tests.support.alert_receivers import inbox
from exporter_pipelines_tests.support.alerting import Alerting, alerting_project

DAY = "2026-11-01"


@pytest.fixture
def alerting(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Alerting]:
    with inbox() as received, alerting_project(received, tmp_path, monkeypatch) as found:
        yield found


def started_run(alerting: Alerting) -> dg.DagsterRun:
    """A run of a day of logs that has begun, in another process."""
    job = alerting.repository.get_job("logs_job")
    return alerting.instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": DAY}
    )


@pytest.mark.parametrize("code", [-9, -11, -15, 1])
def test_the_words_of_dagster_about_a_killed_process(alerting: Alerting, code: int) -> None:
    run, instance = started_run(alerting), alerting.instance
    text = get_run_crash_explanation(f"Run execution process for {run.run_id}", code)
    instance.report_engine_event("Executing steps in process (pid: 1)", run)
    instance.report_engine_event(text, run)
    assert newest_engine_error(instance, run.run_id) == text


def test_routine_engine_events_are_no_errors(alerting: Alerting) -> None:
    run = started_run(alerting)
    for text in ("Started process for run (pid: 1).", "Executing steps in process (pid: 1)"):
        event = alerting.instance.report_engine_event(text, run)
        assert engine_error(event) == ""


def test_an_alert_about_a_run_that_dagster_failed_says_why(alerting: Alerting) -> None:
    run, instance = started_run(alerting), alerting.instance
    instance.report_engine_event(
        get_run_crash_explanation(f"Run execution process for {run.run_id}", -9), run
    )
    instance.report_run_failed(run)  # as Dagster's code server does when a run was killed
    [alert] = alerting.received()
    assert "marked as failed from outside" in alert["message"]
    assert "was terminated by signal 9 (SIGKILL)" in alert["message"]


def test_an_error_of_the_engine_is_shown_on_one_line(alerting: Alerting) -> None:
    run, instance = started_run(alerting), alerting.instance
    try:
        raise RuntimeError("no route\n   to host")
    except RuntimeError:
        error = serializable_error_info_from_exc_info(sys.exc_info())
    event = instance.report_engine_event(
        "The launch failed.", run, EngineEventData.engine_error(error)
    )
    assert engine_error(event) == "The launch failed. RuntimeError: no route to host"
