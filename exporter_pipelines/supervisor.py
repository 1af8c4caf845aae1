"""What `exporter serve --daemon` runs, and so `make dev`: code server, service and daemon.

Belongs here: which processes these are. How they are started, restarted and ended is in
`supervised_processes`, and that one project has them once in `project_lock`.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import yaml

from exporter_pipelines import settings
from exporter_pipelines.hangups import end_like_terminate
from exporter_pipelines.orchestration.dagster_internals.code_server import (
    KEEP_BACKFILLS,
    CodeServer,
    ping_code_server,
)
from exporter_pipelines.orchestration.exports.history_lock import opening_history
from exporter_pipelines.project_lock import only_one, project_home, refuse_a_port_in_use
from exporter_pipelines.supervised_processes import Child, ProcessGroup, StoppedError

_BIN = Path(sys.executable).parent
_LOCATION = "exporter_pipelines"
_START_SECONDS = 180
_PING_SECONDS = 5


def supervise(host: str, port: int, url: str, web_options: Sequence[str]) -> None:
    """Run code server, service and daemon of this project until Ctrl-C; blocks.

    Args:
        host, port: Where the service listens.
        url: Where its pages are.
        web_options: Further options of `exporter serve`.

    Raises:
        ConfigurationError: it is running already, or cannot listen.
        StoppedError: a process does not stay up.
    """
    stop = _stop_on_signals()
    settings.lead_links_to(url)
    with only_one(url) as lock:
        refuse_a_port_in_use(host, port)
        with tempfile.TemporaryDirectory(prefix="exporter-") as folder:
            group = ProcessGroup(lock, Path(folder))
            try:
                web = ["--host", host, "--port", str(port), *web_options]
                _run(group, Path(folder), web, url, stop)
            finally:
                group.stop()


def _run(
    group: ProcessGroup, folder: Path, web: Sequence[str], url: str, stop: threading.Event
) -> None:
    """Start everything, say where it is, and keep it going until `stop` is set."""
    code_socket, workspace = folder / "code.sock", folder / "workspace.yaml"
    server = {"socket": str(code_socket), "host": "localhost", "location_name": _LOCATION}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    click.echo(f"Starting Dagster for {Path.cwd()} ...")

    with _alone_if_new():
        code = group.start("code server", _code_server(code_socket), code_socket)
        _wait_until(lambda: ping_code_server(code_socket) is CodeServer.UP, group, stop)
    ready = folder / "ready"
    group.start("web server", _web_server(workspace, ready, web))
    group.start("daemon", _daemon(workspace))
    _wait_until(ready.exists, group, stop)
    if not stop.is_set():
        _say_where(url)

    watched = _CodeServerWatch(code, code_socket)
    while not stop.wait(0.5):
        watched.look()
        group.restart_what_ended(stop)


@contextmanager
def _alone_if_new() -> Iterator[None]:
    """Have no `exporter` command create Dagster's history while the code server may do so.

    Where there is a history, the commands need not wait until the code server is up.
    """
    home = project_home()
    with ExitStack() as stack:
        stack.enter_context(opening_history(home))
        if any((home / ".dagster").rglob("*.db")):
            stack.close()
        yield


def _say_where(url: str) -> None:
    """The last line is the address, so that it is easy to find and to open."""
    if settings.ui_url() != url:
        click.echo(f"Links in alerts lead to {settings.ui_url()}: EXPORTER_UI_URL.")
    click.echo(f"Days, checks and plots of each dataset: {url}/assets (Catalog)")
    click.echo(f"Exports, without Dagster's terms: {url}/exports")
    click.echo("The Dagster UI is on the following address. Ctrl-C stops it.")
    click.echo(url)


def _code_server(code_socket: Path) -> list[str]:
    """The process that loads the definitions and starts runs; "Reload" in the UI reloads it."""
    return [
        str(_BIN / "dagster"), "code-server", "start", "--socket", str(code_socket),
        "--module-name", "exporter_pipelines.definitions", "--working-directory", str(Path.cwd()),
        "--location-name", _LOCATION, "--use-python-environment-entry-point",
        "--inject-env-vars-from-instance", "--log-level", "warning",
    ]  # fmt: skip


def _web_server(workspace: Path, ready: Path, options: Sequence[str]) -> list[str]:
    """The process that serves the UI, the API and the pages, behind the guard."""
    return [
        str(_BIN / "exporter"), "serve", "--workspace", str(workspace), "--ready", str(ready),
        *options,
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


def _wait_until(true: Callable[[], bool], group: ProcessGroup, stop: threading.Event) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not stop.is_set() and not true():
        group.refuse_what_ended()
        if time.monotonic() > deadline:
            raise StoppedError(
                f"Dagster is not up after {_START_SECONDS} s; everything is stopped."
            )
        stop.wait(0.3)


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    end_like_terminate()
    return stop
