"""Parts of a deployment are killed during a backfill and started again: no run stays started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.projects import BIN, Project, copy_project
from exporter_pipelines_tests.support.servers import WebServer, free_port
from exporter_pipelines_tests.support.waiting import wait_until
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.ENDED

DATASETS = ["anomalies", "ips", "logs"]
DAYS = [f"2026-11-{day:02}" for day in range(1, 15)]
SCENES = {
    "web server, daemon and run worker, one by one": ("web", "daemon", "worker"),
    "code servers": ("code",),
    "all at once": ("all",),
}

_ENDS_S = 240
"""A run that was killed ends within 90 s of the daemon's start, see docs/runs.md; then its
retry runs, and the daemon looks at backfills every 30 s. Generous, for a busy machine."""

_RUNS = """{ runsOrError(limit: 100) { ... on Runs { results { runId status } } } }"""
_BACKFILL = """
query Backfill($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } }
}"""
_DAYS = """
query Asset($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetPartitionStatuses {
        ... on TimePartitionStatuses { ranges { startKey endKey status } }
      }
    }
  }
}"""


def run(trial: Trial) -> None:
    """Three deployments at once, since most of the time is spent waiting for the daemon."""
    with trial.backend() as backend:
        for number, day in enumerate(DAYS):
            backend.add_logs(day, 20_000, first_id=100_000 * number)
        with ThreadPoolExecutor(len(SCENES)) as pool:
            list(pool.map(lambda scene: _play(trial, backend, *scene), SCENES.items()))


def _play(trial: Trial, backend: Backend, scene: str, kills: tuple[str, ...]) -> None:
    home = trial.folder / scene.replace(" ", "-").replace(",", "")
    project = copy_project(
        home / "project",
        {
            "EXPORTER_START_DATE": "2026-11-01",
            "EXPORTER_END_DATE": "2026-11-15",
            "EXPORTER_TIMEZONE": "UTC",
            "EXPORTER_SOURCE_URL": backend.url,
            "EXPORTER_OUTPUT_URL": str(home / "exports"),
        },
    )
    assert project.dagster("instance", "migrate").code == 0
    with _deployment(project) as deployment:
        backfill = deployment.server.launch_backfill(DATASETS, DAYS)
        deployment.start("daemon")
        _until(lambda: project.manifest(DATASETS[0], DAYS[1]), "two days are published", 300)
        for what in kills:
            deployment.kill(what)
        began = time.monotonic()
        with suppress(TimeoutError):  # what has not ended by then is counted below
            _until(lambda: _has_ended(deployment.server, backfill), "the backfill ends", _ENDS_S)
        trial.figures[f"{scene}: ended after s"] = round(time.monotonic() - began)
        _check(trial, scene, deployment.server, project)


def _check(trial: Trial, scene: str, server: WebServer, project: Project) -> None:
    for found in server.ask(_RUNS)["runsOrError"]["results"]:
        ended = found["status"] in ("SUCCESS", "FAILURE", "CANCELED")
        trial.check(ended, f"{scene}: run {found['runId']} is {found['status']}", part="runs")
    for asset in DATASETS:
        shown = _shown(server, asset)
        for day in DAYS:
            published = project.manifest(asset, day) is not None
            wanted = "MATERIALIZED" if published else "FAILED"
            said = f"{scene}: {asset} {day} is {shown.get(day)}, on disk: {published}"
            trial.check(shown.get(day) == wanted, said, part="days")


def _has_ended(server: WebServer, backfill: str) -> bool:
    runs = server.ask(_RUNS)["runsOrError"]["results"]
    open_runs = [r for r in runs if r["status"] not in ("SUCCESS", "FAILURE", "CANCELED")]
    status = server.ask(_BACKFILL, id=backfill)["partitionBackfillOrError"]["status"]
    return not open_runs and (status.startswith("COMPLETED") or status == "FAILED")


def _shown(server: WebServer, asset: str) -> dict[str, str]:
    node = server.ask(_DAYS, key={"path": [asset]})["assetNodeOrError"]
    return {
        day: found["status"]
        for found in node["assetPartitionStatuses"]["ranges"]
        for day in DAYS
        if found["startKey"] <= day <= found["endKey"]
    }


def _until(true: Any, what: str, seconds: float) -> None:
    def now() -> bool:
        with suppress(OSError):  # a server that is just being started again
            return bool(true())
        return False

    wait_until(now, what, seconds=seconds, every=0.3)


class _Deployment:
    """Web server and daemon of a project, each a process group, which can be killed and started."""

    def __init__(self, project: Project) -> None:
        self._project, self._port = project, free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.server = WebServer(f"http://127.0.0.1:{self._port}")
        self.start("web")
        _until(lambda: self.server.ask("{ version }"), "the web server answers", 120)

    def start(self, what: str) -> None:
        commands = {
            "web": ["dagster-webserver", "-h", "127.0.0.1", "-p", str(self._port)],
            "daemon": ["dagster-daemon", "run"],
        }
        name, *arguments = commands[what]
        with (self._project.path / f"{name}.log").open("ab") as log:
            self._processes[what] = subprocess.Popen(
                [BIN / name, *arguments],
                cwd=self._project.path,
                env=self._project.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, what: str) -> None:
        """Kill -9; web server and daemon are started again, code servers by them."""
        servers = [name for name in ("web", "daemon") if what in (name, "all")]
        pids = [self._processes[name].pid for name in servers]
        if what in ("worker", "all"):
            _until(self._workers, "a run worker works", 60)
            pids += self._workers()
        if what in ("code", "all"):
            pids += self._code_servers()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in servers:
            self._processes[name].wait()
            self.start(name)

    def stop(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        for pid in [*self._workers(), *self._code_servers()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _workers(self) -> list[int]:
        """Processes that hold the lock of a run."""
        locks = f"{self._project.path}/.dagster/storage/run_locks/"
        return [pid for pid in _pids() if any(f.startswith(locks) for f in _open_files(pid))]

    def _code_servers(self) -> list[int]:
        return [
            pid
            for pid in _pids()
            if "grpc" in (line := _command_line(pid)) and str(self._project.path) in line
        ]


@contextmanager
def _deployment(project: Project) -> Iterator[_Deployment]:
    deployment = _Deployment(project)
    try:
        yield deployment
    finally:
        deployment.stop()


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _open_files(pid: int) -> list[str]:
    found = []
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.append(str(entry.readlink()))
    return found


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
