"""What `make dev` runs: code server, web server and daemon of one project, once.

    python -m exporter_pipelines.supervisor --host 127.0.0.1 --port 3000

Belongs here: which processes these are, and that one project has them once. How they are started,
restarted and ended is in `supervised_processes`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click
import yaml

from exporter_pipelines import settings
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.hangups import end_like_terminate
from exporter_pipelines.orchestration.dagster_internals.code_server import (
    KEEP_BACKFILLS,
    CodeServer,
    ping_code_server,
)
from exporter_pipelines.supervised_processes import Child, ProcessGroup, StoppedError

_BIN = Path(sys.executable).parent
_LOCATION = "exporter_pipelines"
_START_SECONDS = 180
_LOCK_SECONDS = 20
_PING_SECONDS = 5


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
def main(host: str, port: int) -> None:
    """Run the Dagster UI and the daemon of the project in the working directory until Ctrl-C."""
    url = f"http://{host}:{port}"
    try:
        in_dotenv = "EXPORTER_UI_URL" in settings.load_dotenv()
        stop = _stop_on_signals()
        with _only_one(_home(), url) as lock:
            _refuse_a_port_in_use(host, port)
            with tempfile.TemporaryDirectory(prefix="exporter-") as folder:
                group = ProcessGroup(lock, Path(folder))
                try:
                    _run(group, Path(folder), host, port, stop, in_dotenv=in_dotenv)
                finally:
                    group.stop()
    except (ConfigurationError, StoppedError) as error:
        raise click.ClickException(str(error)) from None


def _run(
    group: ProcessGroup,
    folder: Path,
    host: str,
    port: int,
    stop: threading.Event,
    *,
    in_dotenv: bool,
) -> None:
    """Start everything, say where it is, and keep it going until `stop` is set."""
    code_socket, workspace = folder / "code.sock", folder / "workspace.yaml"
    server = {"socket": str(code_socket), "host": "localhost", "location_name": _LOCATION}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    click.echo(f"Starting Dagster for {Path.cwd()} ...")

    code = group.start("code server", _code_server(code_socket), code_socket)
    _wait_until(lambda: ping_code_server(code_socket) is CodeServer.UP, group, stop)
    group.start("web server", _web_server(workspace, host, port))
    group.start("daemon", _daemon(workspace))
    _wait_until(lambda: _listens(host, port), group, stop)
    if in_dotenv and not stop.is_set():
        click.echo(f"Links in alerts lead to {settings.ui_url()}: EXPORTER_UI_URL in .env.")
    if not stop.is_set():
        click.echo(f"Days, checks and plots of each dataset: http://{host}:{port}/assets (Catalog)")
        click.echo(f"The Dagster UI is on http://{host}:{port} (Ctrl-C stops it)")

    watched = _CodeServerWatch(code, code_socket)
    while not stop.wait(0.5):
        watched.look()
        group.restart_what_ended(stop)


def _code_server(code_socket: Path) -> list[str]:
    """The process that loads the definitions and starts runs; "Reload" in the UI reloads it."""
    return [
        str(_BIN / "dagster"), "code-server", "start", "--socket", str(code_socket),
        "--module-name", "exporter_pipelines.definitions", "--working-directory", str(Path.cwd()),
        "--location-name", _LOCATION, "--use-python-environment-entry-point",
        "--inject-env-vars-from-instance", "--log-level", "warning",
    ]  # fmt: skip


def _web_server(workspace: Path, host: str, port: int) -> list[str]:
    """The process that serves the UI."""
    return [
        str(_BIN / "dagster-webserver"), "--workspace", str(workspace), "--host", host,
        "--port", str(port), "--dagster-log-level", "warning",
    ]  # fmt: skip


def _daemon(workspace: Path) -> list[str]:
    """The process behind schedules, sensors, backfills and the queue of runs."""
    return [
        "/usr/bin/env", KEEP_BACKFILLS,
        str(_BIN / "dagster-daemon"), "run", "--workspace", str(workspace),
        "--log-level", "warning",
    ]  # fmt: skip


class _CodeServerWatch:
    """Ends a code server whose inner process has died, so that it is started again."""

    def __init__(self, code: Child, code_socket: Path) -> None:
        self._code, self._socket = code, code_socket
        self._asked, self._down = 0.0, 0
        self._seen_up: int | None = code.process.pid

    def look(self) -> None:
        """Ask it every few seconds; one that is still starting is left alone."""
        if time.monotonic() - self._asked < _PING_SECONDS:
            return
        self._asked = time.monotonic()
        state = ping_code_server(self._socket)
        if state is CodeServer.UP:
            self._down, self._seen_up = 0, self._code.process.pid
        starting = self._seen_up != self._code.process.pid
        if state is CodeServer.DOWN and not starting:
            self._down += 1
        if self._down >= 2:
            self._down = 0
            # SIGTERM would have it wait for the process that has died.
            self._code.process.kill()
            self._code.process.wait()


@contextmanager
def _only_one(home: Path, url: str) -> Iterator[int]:
    """The lock of this project, which the kernel releases whatever ends its holders."""
    folder = home / ".dagster"
    folder.mkdir(exist_ok=True)
    with (folder / "supervisor.lock").open("a+") as file:
        _lock(file)
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()} {url}\n")
        file.flush()
        yield file.fileno()


def _lock(file: IO[str]) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid, _, url = file.read().strip().partition(" ")
            # If it was killed, its processes end within seconds, and the lock is free then.
            if _lives(pid) or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"This project is already running on {url} (process {pid}).",
                    "Open that address, or stop it there with Ctrl-C.",
                ) from None
            time.sleep(0.2)
        else:
            return


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def _refuse_a_port_in_use(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigurationError(
            f"The web server cannot listen on {host}:{port}: {reason}.",
            f"Choose another port: make dev PORT={port + 1 if port < 65535 else 3000}.",
        ) from None


def _home() -> Path:
    home = settings.dagster_home()
    if home is None or not Path(home).is_absolute() or not Path(home).is_dir():
        raise ConfigurationError(
            f"DAGSTER_HOME is {home or 'not set'}, and must be the absolute path of a folder.",
            "Start in the project folder, whose .env sets it: copy .env.example to .env.",
        )
    return Path(home)


def _wait_until(true: Callable[[], bool], group: ProcessGroup, stop: threading.Event) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not stop.is_set() and not true():
        group.refuse_what_ended()
        if time.monotonic() > deadline:
            raise StoppedError(
                f"Dagster is not up after {_START_SECONDS} s; everything is stopped."
            )
        stop.wait(0.3)


def _listens(host: str, port: int) -> bool:
    with contextlib.suppress(OSError):  # not up yet
        socket.create_connection((host, port), timeout=5).close()
        return True
    return False


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    end_like_terminate()
    return stop


if __name__ == "__main__":
    main()
