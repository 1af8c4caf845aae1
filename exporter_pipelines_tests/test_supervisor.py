"""`exporter serve --daemon`, which `make dev` runs.

One per project, children that come back, and nothing left when it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from exporter_pipelines.orchestration.dagster_internals.stored_values import read_value
from exporter_pipelines.orchestration.exports.history_lock import opening_history
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import create_history, history_of
from exporter_pipelines_tests.support.projects import Project, run_locks_of
from exporter_pipelines_tests.support.servers import WebServer, free_port
from exporter_pipelines_tests.support.supervised import (
    CODE_SERVER,
    DAEMON,
    WEB_SERVER,
    Supervised,
    hurry_daemon,
    inner_code_server,
    living,
    open_files,
    supervised,
)

LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries {
  name locationOrLoadError { __typename } } } } }"""
LOADED = [
    {"name": "exporter_pipelines", "locationOrLoadError": {"__typename": "RepositoryLocation"}}
]
RUN = """mutation Run { launchRun(executionParams: {
  selector: {repositoryLocationName: "exporter_pipelines", repositoryName: "__repository__",
             jobName: "logs_job"}, executionMetadata: {tags: [
               {key: "dagster/partition", value: "2026-11-01"}]}, runConfigData: {}})
  { __typename ... on PythonError { message } } }"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(), reason="these tests look processes up in /proc"
    ),
]


def locations(running: Supervised) -> object:
    """The code locations that the web server has loaded; None while it does not answer."""
    try:
        answer = WebServer(f"http://127.0.0.1:{running.port}").ask(LOCATIONS)
    except OSError:
        return None
    return answer["workspaceOrError"]["locationEntries"]


@contextmanager
def project_folder(project: Project) -> Iterator[int]:
    """The opened folder."""
    folder = os.open(project.path, os.O_RDONLY)
    try:
        yield folder
    finally:
        os.close(folder)


def end_by(running: Supervised, number: signal.Signals) -> None:
    """Send a signal, which must end every process."""
    everything = running.everything()
    assert len(everything) >= 4
    running.process.send_signal(number)
    assert running.process.wait(timeout=60) == 0
    assert living(everything) == []


def test_a_second_start_is_refused_until_the_first_has_ended_with_all_its_processes(
    project: Project,
) -> None:
    port = free_port()
    with supervised(project, port=port) as first:
        first.wait_until_up()
        assert first.said().splitlines()[-1] == f"http://127.0.0.1:{port}"
        with supervised(project) as second:
            assert second.process.wait(timeout=60) == 1
            assert second.said().splitlines() == [
                f"Error: This project is already running on http://127.0.0.1:{port} "
                f"(process {first.process.pid}). Open that address, or stop it there with Ctrl-C."
            ]
        assert first.process.poll() is None
        assert locations(first) == LOADED
        everything = first.everything()
        first.process.kill()
        first.process.wait()
        with supervised(project, port=port + 1) as again:
            again.wait_until_up()
            assert living(everything) == [], "the next start waits until these have ended"
            end_by(again, signal.SIGINT)


def test_it_creates_no_history_while_a_command_does(project: Project) -> None:
    with ExitStack() as stack:
        with opening_history(project.path):
            running = stack.enter_context(supervised(project))
            running.wait_until(
                lambda: str(project.path) in open_files(running.process.pid), "it waits"
            )
            assert not running.child(CODE_SERVER)
        running.wait_until_up()


def test_no_command_creates_a_history_while_the_code_server_may(project: Project) -> None:
    file = project.path / "exporter_pipelines/supervisor.py"
    begins = 'str(_BIN / "dagster"), "code-server"'
    assert begins in file.read_text()
    file.write_text(file.read_text().replace(begins, '"sh", "-c", "sleep 600; :", "code-server"'))
    with supervised(project) as running, project_folder(project) as folder:
        running.wait_until(lambda: running.child(CODE_SERVER), "it waits for the code server")
        with pytest.raises(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_port_in_use_is_refused(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with supervised(project, port=port) as refused:
            assert refused.process.wait(timeout=60) == 1
            assert refused.said().splitlines() == [
                f"Error: The web server cannot listen on 127.0.0.1:{port}: Address already in use. "
                f"Choose another port: make dev PORT={port + 1}, "
                f"or exporter serve --port {port + 1}."
            ]


def test_a_process_that_does_not_stay_up_ends_everything(project: Project) -> None:
    with supervised(project) as running:
        running.wait_until_up()
        everything = running.everything()
        for _ in range(5):
            running.wait_until(lambda: running.child(DAEMON), "the daemon")
            os.kill(killed := running.child(DAEMON), signal.SIGKILL)
            running.wait_until(lambda: running.child(DAEMON) != killed, "its end")
        assert running.process.wait(timeout=60) == 1
        assert running.said().splitlines()[-1] == (
            "Error: The daemon ended 5 times within a minute, the last time with code -9, so "
            "everything is stopped. See its output above."
        )
        assert living(everything) == []


def test_killed_processes_come_back_and_a_hangup_ends_all(
    project: Project, backend: Backend
) -> None:
    backend.add_logs("2026-11-01", 10)
    project.hurry_sensors()
    hurry_daemon(project)
    create_history(project)
    with supervised(project) as running, history_of(project) as instance:
        running.wait_until_up()
        web = WebServer(f"http://127.0.0.1:{running.port}")
        outer = running.child(CODE_SERVER)
        with psycopg.connect(backend.url) as application:
            application.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
            backfill = web.launch_backfill(["logs"], ["2026-11-01"])
            running.wait_until(backend.someone_waits_for_a_lock, "the run waits for the table")
            [lock] = run_locks_of(project)
            [run] = [pid for pid in running.everything() if str(lock) in open_files(pid)]
            # If the run ended, the backfill might end without the code server.
            os.kill(run, signal.SIGSTOP)
            # Without the supervisor the code server stays away until the daemon has missed it.
            running.process.send_signal(signal.SIGSTOP)
            os.kill(inner_code_server(outer), signal.SIGKILL)
        running.wait_until(
            lambda: f"Backfill {backfill} was unable to continue" in running.said(),
            "the daemon has looked at the backfill without the code server",
        )
        assert instance.get_backfill(backfill).status.value != "FAILED"  # type: ignore[union-attr]
        os.kill(run, signal.SIGCONT)
        running.process.send_signal(signal.SIGCONT)
        running.wait_until(lambda: running.child(CODE_SERVER) not in (0, outer), CODE_SERVER)
        running.wait_until(lambda: inner_code_server(running.child(CODE_SERVER)), "inner")
        running.wait_until(lambda: locations(running) == LOADED, "the definitions are loaded")
        loaded = time.time()
        assert web.finished_backfill(backfill)["status"] == "COMPLETED_SUCCESS"
        assert project.manifest("logs", "2026-11-01")
        running.wait_until(lambda: alerts_ticked_at(instance) > loaded, "a sensor ticks again")

        for program, name in ((DAEMON, "daemon"), (WEB_SERVER, "web server")):
            os.kill(killed := running.child(program), signal.SIGKILL)
            running.wait_until(lambda: running.child(program) not in (0, killed), program)  # noqa: B023
            assert f"The {name} ended with code -9; it starts again in 0.5 s." in running.said()
        running.wait_until(lambda: locations(running) == LOADED, "the web server answers again")
        assert running.process.poll() is None
        end_by(running, signal.SIGHUP)


def alerts_ticked_at(instance: dg.DagsterInstance) -> float:
    """Unix time of the last tick of `run_alerts_sensor`."""
    state = json.loads(read_value(instance, "exporter_pipelines/alerts/run_alerts_sensor") or "{}")
    return float(state["extra"]["ticked_at"]) if state else 0.0


def test_a_run_ends_at_a_hangup_and_with_the_supervisor_and_leaves_nothing(
    project: Project, backend: Backend
) -> None:
    with supervised(project) as running, psycopg.connect(backend.url) as application:
        application.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")  # holds a run for 30 s
        running.wait_until_up()
        web = WebServer(f"http://127.0.0.1:{running.port}")
        before = set(running.everything())
        launched = web.ask(RUN)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        running.wait_until(backend.someone_waits_for_a_lock, "the run waits for the table")
        [lock] = run_locks_of(project)
        for pid in set(running.everything()) - before:
            if str(lock) in open_files(pid):
                os.kill(pid, signal.SIGHUP)
        with history_of(project) as instance:
            [run] = instance.get_runs()
            running.wait_until(
                lambda: instance.get_run_by_id(run.run_id).is_finished,  # type: ignore[union-attr]
                "the run ends",
            )
            logged = [entry.user_message for entry in instance.all_logs(run.run_id)]
        assert any(text.startswith("logs: stopped at 2026-11-01.") for text in logged), logged
        assert not list(project.output.glob("logs/.staging/*"))

        before = set(running.everything())
        web.ask(RUN)
        running.wait_until(lambda: {*run_locks_of(project)} - {lock}, "another run has begun")
        assert set(running.everything()) - before, "the run is a process of its own"
        end_by(running, signal.SIGTERM)
        assert not any((project.output / "logs").rglob("*.gz"))


def test_a_start_that_fails_says_so_in_one_sentence(project: Project) -> None:
    project.set(DAGSTER_HOME="/nowhere")
    with supervised(project) as refused:
        assert refused.process.wait(timeout=60) == 1
    assert refused.said() == (
        "Error: DAGSTER_HOME is /nowhere, and must be the absolute path of a folder. Start in the "
        "project folder, whose .env sets it: copy .env.example to .env.\n"
    )
