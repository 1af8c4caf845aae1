"""A real web server and daemon over a project, ended in every case."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import dagster as dg

from exporter_pipelines_tests.support.dagster_history import history_of
from exporter_pipelines_tests.support.projects import BIN, Project
from exporter_pipelines_tests.support.waiting import wait_until

WORKSPACE = ("-w", "workspace.yaml")
"""Options of the web server and the daemon."""
ENDING = {"REQUESTED", "COMPLETING", "CANCELING", "FAILING"}
"""Statuses of a backfill that has not ended."""
ENDED_RUN = {"SUCCESS", "FAILURE", "CANCELED"}

_LAUNCH = """
mutation Launch($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
_RERUN = """
mutation Rerun($again: ReexecutionParams!) {
  reexecutePartitionBackfill(reexecutionParams: $again) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
_CANCEL = """
mutation Cancel($id: String!) {
  cancelPartitionBackfill(backfillId: $id) {
    __typename
    ... on PythonError { message }
  }
}"""
_STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status numPartitions runs(limit: 100) { id status } }
  }
}"""

HURRIED_DAEMON = """
import sys
import time
from dagster._daemon import cli, controller, sensor
from dagster._daemon.auto_run_reexecution import event_log_consumer
backfills, workspace = (int(sys.argv.pop(1)) for _ in range(2))
controller.DEFAULT_DAEMON_INTERVAL_SECONDS = backfills
controller.RELOAD_WORKSPACE_INTERVAL = workspace
sensor.MIN_INTERVAL_LOOP_TIME = 1
runs_filter = event_log_consumer.RunsFilter

def after_the_status(**wanted):
    time.sleep(0.5)
    return runs_filter(**wanted)

event_log_consumer.RunsFilter = after_the_status
cli.main()
"""
"""`dagster-daemon`, after two arguments: the seconds between two looks at the backfills, and at the
code locations. Dagster's 30 and 60 are no settings. Dagster stores the failure of a run, and then
its status; a daemon that looks in between never retries the run. One that looks so often would do
that now and then, so it waits before it reads the status."""


@dataclass(frozen=True)
class WebServer:
    """The web server of a project, asked as its own UI asks it; `token` for the service."""

    url: str
    token: str = ""

    def ask(self, query: str, **variables: Any) -> Any:
        """The `data` of a GraphQL request."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def launch_backfill(self, assets: list[str], days: list[str], **options: Any) -> str:
        """Start a backfill and return its id."""
        asked = {"assetSelection": [{"path": [a]} for a in assets], "partitionNames": days}
        launched = self.ask(_LAUNCH, backfill={**asked, **options})["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def rerun_failed(self, backfill: str) -> str:
        """Start another over what failed in one that has ended, and return its id."""
        again = {"parentRunId": backfill, "strategy": "FROM_FAILURE"}
        launched = self.ask(_RERUN, again=again)["reexecutePartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def cancel_backfill(self, backfill: str) -> None:
        """Ask one to stop, as the UI's Cancel does; the daemon ends its runs."""
        cancelled = self.ask(_CANCEL, id=backfill)["cancelPartitionBackfill"]
        assert cancelled["__typename"] == "CancelBackfillSuccess", cancelled

    def runs_of(self, backfill: str) -> dict[str, str]:
        """The status of each run that a backfill has started, by id."""
        found = self.ask(_STATUS, id=backfill)["partitionBackfillOrError"]
        return {run["id"]: run["status"] for run in found["runs"]}

    def finished_backfill(self, backfill: str, timeout: float = 300) -> Any:
        """Its status and runs, once it has ended and each of its runs has, too.

        A backfill may be CANCELED a moment before a run of it is.
        """

        def has_ended(found: Any) -> bool:
            runs = {run["status"] for run in found["runs"]}
            return found["status"] not in ENDING and runs <= ENDED_RUN

        return wait_until(
            lambda: self.ask(_STATUS, id=backfill)["partitionBackfillOrError"],
            "the backfill and its runs have ended",
            until=has_ended,
            seconds=timeout,
            every=0.5,
        )


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def code_server(project: Project) -> Iterator[None]:
    """A gRPC server of the code location, which the web server and the daemon share by `WORKSPACE`.

    Without it each of them starts its own.
    """
    server = project.path / "code.sock"
    location = {"socket": str(server), "location_name": "exporter_pipelines"}
    workspace = {"load_from": [{"grpc_server": location}]}
    (project.path / "workspace.yaml").write_text(json.dumps(workspace))
    arguments = ["api", "grpc", "--socket", str(server), "-d", str(project.path)]
    log = project.path / "code_server.log"
    module = ["-m", "exporter_pipelines.definitions"]
    with _running(project, log, "dagster", *arguments, *module) as process:
        try:
            wait_until(server.exists, "the code server answers", seconds=180, process=process)
        except ChildProcessError:
            raise ChildProcessError(log.read_text()) from None
        yield


@contextmanager
def web_server(project: Project, *options: str) -> Iterator[WebServer]:
    """`dagster-webserver` on a free port of the loopback interface, ready to answer."""
    port = free_port()
    server = WebServer(f"http://127.0.0.1:{port}")
    log = project.path / "webserver.log"
    arguments = ["-h", "127.0.0.1", "-p", str(port), *options]
    with _running(project, log, "dagster-webserver", *arguments) as process:
        answers = "dagster-webserver answers"
        wait_until(lambda: _answers(server), answers, seconds=180, every=0.2, process=process)
        yield server


@contextmanager
def served(project: Project, token: str = "") -> Iterator[WebServer]:
    """`exporter serve` on a free port of the loopback interface, ready to answer."""
    port = free_port()
    server = WebServer(f"http://127.0.0.1:{port}", token)
    log = project.path / "serve.log"
    with _running(project, log, "exporter", "serve", "--port", str(port)) as process:
        up = "exporter serve answers"
        wait_until(lambda: _answers(server, "healthz"), up, seconds=180, process=process)
        yield server


def kill_process_of(project: Project, run: str) -> None:
    """Kill -9 of the process of a run that the daemon has started."""
    with history_of(project) as instance:
        events = instance.all_logs(run, of_type=dg.DagsterEventType.ENGINE_EVENT)
        [pid, *_] = [
            entry.dagster_event.engine_event_data.metadata["pid"].value
            for entry in events
            if entry.dagster_event and "pid" in entry.dagster_event.engine_event_data.metadata
        ]
    os.kill(int(pid), signal.SIGKILL)


@contextmanager
def daemon(project: Project, *options: str, seconds: int = 30) -> Iterator[Path]:
    """`dagster-daemon run`, and where its log is.

    Args:
        project: Its working directory.
        *options: Of the command.
        seconds: Between two looks at the backfills.
    """
    log = project.path / "daemon.log"
    (project.path / "dagster-daemon.py").write_text(HURRIED_DAEMON)
    arguments = ["dagster-daemon.py", str(seconds), "60", "run", *options]
    with _running(project, log, "python", *arguments):
        yield log


def _answers(server: WebServer, path: str = "server_info") -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/{path}", timeout=5):
            return True
    except (URLError, TimeoutError, ConnectionError):
        return False


@contextmanager
def _running(
    project: Project, log: Path, command: str, *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as written:
        process = subprocess.Popen(
            [BIN / command, *arguments],
            cwd=project.path,
            env=project.environment,
            stdout=written,
            stderr=written,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
