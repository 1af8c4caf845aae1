"""`exporter serve --daemon` of a project, as real processes that can be looked up and killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from exporter_pipelines_tests.support.projects import BIN, Project
from exporter_pipelines_tests.support.servers import HURRIED_DAEMON, free_port
from exporter_pipelines_tests.support.waiting import wait_until

WEB_SERVER, DAEMON, CODE_SERVER = "--ready", "dagster-daemon", "code-server"


@dataclass
class Supervised:
    """A supervisor that was started, and its log.

    Attributes:
        process: The supervisor.
        port: Of the web server.
        log: What it and its children printed.
    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def said(self) -> str:
        """Everything that was printed so far."""
        return self.log.read_text()

    def wait_until(self, true: Callable[[], object], what: str) -> None:
        """Wait for something; fail with the log when the supervisor ends before."""
        ended = object()
        found = wait_until(lambda: true() or (self.process.poll() is not None and ended), what)
        assert found is not ended, f"ended before {what}:\n{self.said()}"

    def wait_until_up(self) -> None:
        """Wait for the last line, which is the URL."""
        url = f"http://127.0.0.1:{self.port}"
        self.wait_until(lambda: url in self.said().splitlines(), "it is up")

    def child(self, program: str) -> int:
        """Process id of the child that runs a program; 0 if there is none."""
        return next(iter(_found(program, parent=self.process.pid)), 0)

    def everything(self) -> list[int]:
        """All processes that the supervisor started, and those that they started."""
        group = os.getpgid(self.child(WEB_SERVER))
        return [pid for pid in _processes() if _stat(pid)[2:3] == [str(group)]]


def hurry_daemon(project: Project) -> None:
    """Have the daemon look at backfills every 2 seconds, and at the code server every 5."""
    (project.path / f"{DAEMON}.py").write_text(HURRIED_DAEMON)
    file = project.path / "exporter_pipelines" / "supervisor.py"
    text, old = file.read_text(), f'str(_BIN / "{DAEMON}"), "run"'
    assert old in text, f"{old!r} is not in {file}"
    file.write_text(text.replace(old, f'sys.executable, "{DAEMON}.py", "2", "5", "run"'))


def inner_code_server(outer: int) -> int:
    """Process id of the process that loads the definitions, behind `dagster code-server start`."""
    return next(iter(_found("grpc", parent=outer)), 0)


def open_files(pid: int) -> list[str]:
    """Paths of the open files of a process."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            found.append(str(descriptor.readlink()))
    return found


def living(pids: list[int]) -> list[int]:
    """Those that have not ended; a zombie has."""
    return [pid for pid in pids if _stat(pid)[:1] not in ([], ["Z"])]


@contextmanager
def supervised(project: Project, *, port: int | None = None) -> Iterator[Supervised]:
    """The supervisor of a project; it and all that it started are ended in every case."""
    port = port or free_port()
    log = project.path / f"supervisor-{port}.log"
    with log.open("ab") as written:
        process = subprocess.Popen(
            [BIN / "exporter", "serve", "--daemon", "--port", str(port)],
            cwd=project.path,
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    try:
        yield Supervised(process, port, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _found(word: str, *, parent: int) -> list[int]:
    return [
        pid
        for pid in _processes()
        if _stat(pid)[1:2] == [str(parent)] and any(word in part for part in _arguments(pid))
    ]


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """State, parent, group and so on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []
