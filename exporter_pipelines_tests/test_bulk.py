"""Many exports at once: hold back, cancel and go on, as docs/operations.md says and the UI does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

from exporter_pipelines_tests.backends import Backend
from exporter_pipelines_tests.history import history_of, materializations
from exporter_pipelines_tests.projects import Project
from exporter_pipelines_tests.servers import WebServer, daemon, web_server

DAYS = [f"2026-11-{day:02}" for day in range(1, 5)]
POOL = "exporter_source_url"

_LIMIT = """
mutation Limit($pool: String!, $runs: Int!) {
  setConcurrencyLimit(concurrencyKey: $pool, limit: $runs)
}"""
_CANCEL = """
mutation Cancel($id: String!) {
  cancelPartitionBackfill(backfillId: $id) {
    __typename
    ... on PythonError { message }
  }
}"""
_RUNS = """
query Runs($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status runs(limit: 10) { id status } }
  }
}"""


def run_statuses(server: WebServer, backfill: str) -> list[str]:
    found = server.ask(_RUNS, id=backfill)["partitionBackfillOrError"]
    return [run["status"] for run in found["runs"]]


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def recorded(project: Project, dataset: str) -> dict[str, int]:
    with history_of(project) as instance:
        return {day: len(materializations(instance, dataset, day)) for day in DAYS}


def test_runs_are_held_back_cancelled_and_gone_on_with(project: Project, backend: Backend) -> None:
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 20, first_id=1000 * number)
    assert project.dagster("instance", "migrate").code == 0
    with web_server(project) as server:
        server.ask(_LIMIT, pool=POOL, runs=0)
        first = server.launch_backfill(["anomalies", "logs"], DAYS)
        # Logs cannot be read, so the run is cancelled when half of it is done.
        with psycopg.connect(backend.url) as lock, daemon(project):
            lock.execute("LOCK TABLE logs")
            wait_for(lambda: run_statuses(server, first) == ["QUEUED"])
            time.sleep(7)  # longer than the daemon takes to start a run that may start
            assert run_statuses(server, first) == ["QUEUED"]
            server.ask(_LIMIT, pool=POOL, runs=3)
            wait_for(lambda: project.manifest("anomalies", DAYS[-1]))
            assert run_statuses(server, first) == ["STARTED"]
            cancelled = server.ask(_CANCEL, id=first)["cancelPartitionBackfill"]
            assert cancelled["__typename"] == "CancelBackfillSuccess", cancelled
            ended = server.finished_backfill(first)
        assert ended["status"] == "CANCELED"
        assert [run["status"] for run in ended["runs"]] == ["CANCELED"]
        assert recorded(project, "anomalies") == dict.fromkeys(DAYS, 1)
        assert recorded(project, "logs") == dict.fromkeys(DAYS, 0)
        assert not list(project.output.glob("logs/.staging/*"))

        second = server.rerun_failed(first)
        with daemon(project):
            ended = server.finished_backfill(second)
        assert ended["status"] == "COMPLETED_SUCCESS"
        assert ended["numPartitions"] == len(DAYS)
    assert recorded(project, "anomalies") == dict.fromkeys(DAYS, 1)
    assert recorded(project, "logs") == dict.fromkeys(DAYS, 1)
