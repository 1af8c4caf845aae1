"""Machines that take runs from a queue, as a cluster does, and share no files with the daemon.

A machine is a process with a host name and process ids of its own (Linux namespaces), and with its
own folder for Dagster's local storage. Killing it kills all that runs on it, as a power cut does.
The queue is a folder. Like Celery's, it forgets a run as soon as a machine has taken it, and cannot
tell whether the run is alive: only the project's lease can.

`copy_project` does not copy the tests, so this module is put beside the copied package: it imports
nothing of the tests, and is also the program of a machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import dagster as dg
from dagster._core.launcher import LaunchRunContext
from dagster._grpc.types import ExecuteRunArgs

QUEUE = "TORTURE_QUEUE"
"""Variable of the daemon and of machines: the folder of the queue."""
_SLOTS = 2
"""Runs of a machine at the same time."""


class QueueLauncher(dg.DefaultRunLauncher):
    """Puts runs into the queue."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Write the command of the run worker, as the launchers of clusters do."""
        run, origin = context.dagster_run, context.job_code_origin
        assert origin
        arguments = ExecuteRunArgs(origin, run.run_id, self._instance.get_ref())
        queued = Path(os.environ[QUEUE]) / f"{run.run_id}.json"
        written = queued.with_suffix(".writing")
        written.write_text(json.dumps(list(arguments.get_command_args())))
        written.rename(queued)

    def terminate(self, run_id: str) -> bool:
        """A machine cannot be reached."""
        return False


def work(queue: Path) -> None:
    """Take runs from the queue for ever, at most `_SLOTS` at a time; idle machines are faster."""
    running: list[subprocess.Popen[bytes]] = []
    while True:
        running = [process for process in running if process.poll() is None]
        for queued in sorted(queue.glob("*.json"), key=lambda file: file.name):
            if len(running) == _SLOTS:
                break
            taken = Path(queued.name).absolute()
            try:
                queued.rename(taken)
            except FileNotFoundError:  # another machine was faster
                continue
            with taken.with_suffix(".log").open("wb") as log:
                command = json.loads(taken.read_text())
                running.append(subprocess.Popen(command, stdout=log, stderr=log))
        time.sleep(0.2 + len(running))


def can_start() -> str:
    """Why machines cannot be started here; empty if they can."""
    if not shutil.which("unshare"):
        return "there is no `unshare`"
    done = subprocess.run([*_ISOLATED, "hostname", "other"], capture_output=True, check=False)
    return done.stderr.decode().strip()


_ISOLATED = ["unshare", "--uts", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]


class Machine:
    """A machine that works on runs until it is killed.

    Args:
        name: Its host name.
        folder: Its working directory, with a `.env`.
        environment: Of its processes.
    """

    def __init__(self, name: str, folder: Path, environment: dict[str, str]) -> None:
        self.name, self.folder = name, folder
        command = 'hostname "$0" && exec "$@"'
        program = [sys.executable, "-m", "machines", environment[QUEUE]]
        with (folder / "machine.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_ISOLATED, "sh", "-c", command, name, *program],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Kill -9 of everything on it."""
        self._process.kill()
        self._process.wait()

    def runs(self) -> dict[str, int]:
        """Run id -> process id of the runs that it works on."""
        found = {}
        for taken in self.folder.glob("*.json"):
            for pid in _workers(taken.stem):
                found[taken.stem] = pid
        return found


def _workers(run_id: str) -> list[int]:
    """Processes that execute a run; its id is also in the command line of Dagster's `tail`."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                line = (entry / "cmdline").read_bytes()
                if b"execute_run" in line and run_id.encode() in line:
                    found.append(int(entry.name))
    return found


if __name__ == "__main__":
    work(Path(sys.argv[1]))
