"""A real web server and daemon over a project, ended in every case."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError

from exporter_pipelines_tests.projects import BIN, Project

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


@dataclass(frozen=True)
class WebServer:
    """The web server of a project, asked as its own UI asks it."""

    url: str

    def ask(self, query: str, **variables: Any) -> Any:
        """The `data` of a GraphQL request."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
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

    def finished_backfill(self, backfill: str, timeout: float = 120) -> Any:
        """Its status and runs, once it has ended."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.ask(_STATUS, id=backfill)["partitionBackfillOrError"]
            if found["status"] not in ("REQUESTED", "COMPLETING", "CANCELING", "FAILING"):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.5)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def web_server(project: Project) -> Iterator[WebServer]:
    """`dagster-webserver` on a free port of the loopback interface, ready to answer."""
    port = free_port()
    server = WebServer(f"http://127.0.0.1:{port}")
    with _running(project, "dagster-webserver", "-h", "127.0.0.1", "-p", str(port)) as process:
        deadline = time.monotonic() + 180
        while not _answers(server):
            assert process.poll() is None, "dagster-webserver ended"
            assert time.monotonic() < deadline, "dagster-webserver does not answer"
            time.sleep(0.2)
        yield server


@contextmanager
def daemon(project: Project) -> Iterator[None]:
    """`dagster-daemon run`."""
    with _running(project, "dagster-daemon", "run"):
        yield


def _answers(server: WebServer) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/server_info", timeout=5):
            return True
    except (URLError, TimeoutError, ConnectionError):
        return False


@contextmanager
def _running(project: Project, command: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with ExitStack() as stack:
        log = stack.enter_context((project.path / f"{command}.log").open("ab"))
        process = subprocess.Popen(
            [BIN / command, *arguments],
            cwd=project.path,
            env=project.environment,
            stdout=log,
            stderr=log,
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
