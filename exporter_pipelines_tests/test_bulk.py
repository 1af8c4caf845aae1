"""Many exports at once: limits, killed processes, cancel and continue, as in docs/runs.md."""

from __future__ import annotations

import psycopg
import pytest

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import (
    create_history,
    history_of,
    materializations,
)
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.servers import (
    WORKSPACE,
    code_server,
    daemon,
    kill_process_of,
    web_server,
)
from exporter_pipelines_tests.support.waiting import wait_until

DAYS = [f"2026-11-{day:02}" for day in range(1, 4)]
POOL = "exporter_source_url"
_LIMIT = """
mutation Limit($pool: String!, $runs: Int!) {
  setConcurrencyLimit(concurrencyKey: $pool, limit: $runs)
}"""


def recorded(project: Project, dataset: str) -> dict[str, int]:
    with history_of(project) as instance:
        return {day: len(materializations(instance, dataset, day)) for day in DAYS}


@pytest.mark.slow
def test_runs_are_held_back_killed_cancelled_and_gone_on_with(
    project: Project, backend: Backend
) -> None:
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 20, first_id=1000 * number)
    project.hurry_sensors()
    create_history(project)
    # Logs cannot be read for now, so a run stays half done.
    with (
        code_server(project),
        web_server(project, *WORKSPACE) as server,
        psycopg.connect(backend.url) as lock,
        daemon(project, *WORKSPACE, seconds=2) as log,
    ):
        server.ask(_LIMIT, pool=POOL, runs=0)
        lock.execute("LOCK TABLE logs")
        first = server.launch_backfill(["anomalies", "logs"], DAYS)
        blocked = "is blocked by global concurrency limits"
        wait_until(lambda: blocked in log.read_text(), "the pool holds the run back")
        [run] = server.runs_of(first)
        assert server.runs_of(first)[run] == "QUEUED"
        server.ask(_LIMIT, pool=POOL, runs=1)
        last = DAYS[-1]
        wait_until(lambda: project.manifest("anomalies", last), f"{last} is exported")
        assert server.runs_of(first) == {run: "STARTED"}

        # The killed run holds the only slot of the pool until it is ended; then Dagster retries it.
        kill_process_of(project, run)
        wait_until(
            lambda: sorted(server.runs_of(first).values()),
            "the killed run is ended and its retry has started",
            until=lambda statuses: statuses == ["FAILURE", "STARTED"],
        )
        assert server.runs_of(first)[run] == "FAILURE"

        server.cancel_backfill(first)
        assert server.finished_backfill(first)["status"] == "CANCELED"
        assert sorted(server.runs_of(first).values()) == ["CANCELED", "FAILURE"]
        anomalies = recorded(project, "anomalies")
        assert all(anomalies.values())
        assert recorded(project, "logs") == dict.fromkeys(DAYS, 0)
        assert not list(project.output.glob("logs/.staging/*"))

        lock.rollback()
        second = server.rerun_failed(first)
        assert server.finished_backfill(second)["status"] == "COMPLETED_SUCCESS"
    assert recorded(project, "anomalies") == anomalies
    assert recorded(project, "logs") == dict.fromkeys(DAYS, 1)
