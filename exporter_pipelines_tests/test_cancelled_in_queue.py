"""A run that is cancelled in the queue while the daemon takes it out of the queue exports nothing.

The daemon reads that a run is queued, then marks it as starting, then starts it. A cancel in
between is overwritten.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import dagster as dg

from exporter_pipelines.service.models import ExportRequest
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.service import EXPORTER, OPERATOR, service

DAY = "2026-11-01"


def test_a_run_that_starts_although_it_was_cancelled_ends_as_cancelled(
    backend: Backend, settings: dict[str, str], tmp_path: Path
) -> None:
    backend.add_logs(DAY, 20)
    asked = ExportRequest(
        datasets=["logs"], start_date=dt.date.fromisoformat(DAY), end_date=dt.date(2026, 11, 2)
    )
    with service(tmp_path / "home", settings) as running:
        started = running.exports.start(asked, EXPORTER).export
        [run] = running.queued()  # as the daemon has read it
        assert running.exports.cancel(started.id, OPERATOR).status == "cancelled"
        running.instance.launch_run(run.run_id, running.context.workspace.create_request_context())
        assert running.wait(run.run_id).status == dg.DagsterRunStatus.CANCELED
        export = running.exports.get(started.id)
        assert (export.status, export.days["published"]) == ("cancelled", 0)
        assert running.context.store.published_days("logs") == []
