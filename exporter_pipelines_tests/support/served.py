"""`exporter serve` of a project as a real process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exporter_pipelines_tests.support.attacks import Target
from exporter_pipelines_tests.support.projects import BIN, Project
from exporter_pipelines_tests.support.servers import free_port
from exporter_pipelines_tests.support.waiting import wait_until


@dataclass(frozen=True)
class Served:
    """A service that answers.

    Attributes:
        project: Its project.
        port: On 127.0.0.1.
        process: It.
        log: What it printed.
    """

    project: Project
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Its address, without the prefix."""
        return f"http://127.0.0.1:{self.port}"

    def token(self, name: str, *roles: str) -> str:
        """Add a token with the command, and return it."""
        given = [part for role in roles for part in ("--role", role)]
        added = self.project.exporter("token", "add", name, *given)
        assert added.code == 0, added.stderr
        return added.stdout.strip()

    def login(self, token: str) -> str:
        """The cookie of a browser that has logged in with a token."""
        sent = {"Origin": self.url, "Content-Type": "application/x-www-form-urlencoded"}
        answer = Target(self.port).ask("POST", "/login", sent, f"token={token}")
        assert answer.status == 303, answer.text
        return answer.headers["set-cookie"].partition(";")[0]

    def audit(self) -> str:
        """The audit file."""
        return (self.project.path / ".dagster" / "audit.jsonl").read_text()


@contextmanager
def served(project: Project, *options: str, wait: bool = True) -> Iterator[Served]:
    """`exporter serve` on a free port; ended in every case."""
    port = free_port()
    log = project.path / f"service-{port}.log"
    with log.open("ab") as written:
        process = subprocess.Popen(
            [BIN / "exporter", "serve", "--port", str(port), *options],
            cwd=project.path,
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    running = Served(project, port, process, log)
    try:
        if wait:
            up = lambda: running.url in log.read_text()  # noqa: E731
            wait_until(up, "the service is up", seconds=180, every=0.2, process=process)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
