"""The process that loads the definitions and executes runs: how they and it end."""

from __future__ import annotations

import datetime as dt
import os
import signal
from pathlib import Path

import psycopg
import pytest

from exporter_pipelines.service.models import ExportRequest
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.service import EXPORTER, service
from exporter_pipelines_tests.support.waiting import wait_until

DAY = "2026-11-01"
GIVEN_UP, LOOKS_AGAIN = "Exception in thread grpc-server-cleanup", "The code server looks again"


@pytest.mark.slow
@pytest.mark.parametrize("is_back", [True, False])
def test_a_code_server_ends_after_its_history_was_away(
    backend: Backend,
    settings: dict[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    is_back: bool,
) -> None:
    backend.add_logs(DAY, 20)
    storage, elsewhere = tmp_path / "home" / "storage", tmp_path / "storage"
    day = dt.date.fromisoformat(DAY)
    request = ExportRequest(datasets=["logs"], start_date=day, end_date=day)
    heard = ""

    def said() -> str:
        nonlocal heard
        heard += "".join(capfd.readouterr())
        return heard

    with service(tmp_path / "home", settings) as running:
        export = running.exports.start(request, EXPORTER).export
        with psycopg.connect(backend.url) as connection:
            connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
            [run_id] = running.launch()
            wait_until(lambda: running.exports.get(export.id).current_day, "the run reads the day")
            process = running.pid_of(run_id)
            storage.rename(elsewhere)
            storage.touch()  # a file: nothing can be opened below it
            os.kill(process, signal.SIGKILL)
            wait_until(
                said, "the code server found no history",
                until=lambda text: GIVEN_UP in text or LOOKS_AGAIN in text,
            )  # fmt: skip
        assert GIVEN_UP not in heard
        if is_back:
            storage.unlink()
            elsewhere.rename(storage)
            assert running.wait(run_id).status.value == "FAILURE"
    # `service` has waited until the code server ended.


@pytest.mark.slow
def test_a_run_that_dies_while_it_is_cancelled_is_cancelled_and_not_repeated(
    backend: Backend, settings: dict[str, str], tmp_path: Path
) -> None:
    backend.add_logs(DAY, 20)
    day = dt.date.fromisoformat(DAY)
    request = ExportRequest(datasets=["logs"], start_date=day, end_date=day)
    with service(tmp_path / "home", settings) as running:
        export = running.exports.start(request, EXPORTER).export
        with psycopg.connect(backend.url) as connection:
            connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
            [run_id] = running.launch()
            wait_until(lambda: running.exports.get(export.id).current_day, "the run reads the day")
            run = running.instance.get_run_by_id(run_id)
            assert run
            running.instance.report_run_canceling(run)
            os.kill(running.pid_of(run_id), signal.SIGKILL)
            assert running.wait(run_id).status.value == "CANCELED"
        assert running.exports.get(export.id).status == "cancelled"
