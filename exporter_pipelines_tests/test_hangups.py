"""A closed terminal (SIGHUP) ends runs and commands as SIGTERM does."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import history_of
from exporter_pipelines_tests.support.projects import BIN, Project, run_locks_of
from exporter_pipelines_tests.support.waiting import wait_until

ONE, TWO = "2026-11-01", "2026-11-02"


@contextmanager
def in_terminal(project: Project, *command: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command in a terminal of its own, and the descriptor of which the end closes it."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [BIN / command[0], *command[1:]],
        cwd=project.path,
        env=project.environment,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(its)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        with suppress(OSError):  # the test closed it
            os.close(ours)


def materialize(first: str, last: str) -> list[str]:
    return [
        "dagster", "asset", "materialize", "-m", "exporter_pipelines.definitions",
        "--select", "logs", "--partition-range", f"{first}...{last}",
    ]  # fmt: skip


def test_a_closed_terminal_ends_a_run_with_a_message_and_without_leftovers(
    project: Project, backend: Backend
) -> None:
    backend.add_logs(ONE, 10)
    backend.add_logs(TWO, 300_000, first_id=1000)
    staged = f"logs/.staging/date={TWO}.*/logs-{TWO}.jsonl.gz"
    with in_terminal(project, *materialize(ONE, TWO)) as (process, terminal):
        drained = os.dup(terminal)
        os.set_blocking(drained, False)

        def is_staging() -> bool:
            with suppress(BlockingIOError, OSError):
                os.read(drained, 1 << 16)  # a full terminal would block the command
            return any(file.stat().st_size for file in project.output.glob(staged))

        wait_until(is_staging, f"rows of {TWO} are written")
        os.close(drained)
        os.close(terminal)
        assert process.wait(timeout=120) not in (0, -signal.SIGHUP)
    assert not list(project.output.glob("logs/.staging/*"))
    assert run_locks_of(project) == []
    with history_of(project) as instance:
        [run] = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.FAILURE
        logged = [entry.user_message for entry in instance.all_logs(run.run_id)]
        assert any(text.startswith(f"logs: stopped at {TWO}.") for text in logged), logged
        assert instance.get_materialized_partitions(dg.AssetKey("logs")) == {ONE}


def test_nohup_keeps_a_run_alive(project: Project, backend: Backend) -> None:
    backend.add_logs(ONE, 10)
    with psycopg.connect(backend.url) as lock:
        lock.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        command = subprocess.Popen(
            ["nohup", BIN / "dagster", *materialize(ONE, ONE)[1:]],
            cwd=project.path,
            env=project.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: run_locks_of(project), "the run has begun")
        command.send_signal(signal.SIGHUP)
    assert command.wait(timeout=120) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_a_command_as_ctrl_c_does(
    project: Project, backend: Backend, number: signal.Signals
) -> None:
    backend.add_logs(ONE, 10)
    assert project.materialize("logs", partition=ONE).code == 0
    with psycopg.connect(backend.url) as lock:
        lock.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        command = subprocess.Popen(
            [BIN / "python", "-m", "exporter_pipelines", "verify", "--source"],
            cwd=project.path,
            env=project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(
            backend.someone_waits_for_a_lock,
            "the command waits for the table",
            process=command,
        )
        command.send_signal(number)
        _, stderr = command.communicate(timeout=60)
    assert command.returncode == 1
    assert stderr.strip().endswith("Aborted!")
    assert "Traceback" not in stderr


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    code = (
        "import signal; from exporter_pipelines.hangups import end_like_terminate;"
        "end_like_terminate(); print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    )
    done = subprocess.run(
        ["nohup", BIN / "python", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout.strip() == "True"
