"""The server process, or a proxy before it, is stopped at any moment and goes on later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from exporter_pipelines.errors import SourceStalledError, SourceUnavailableError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.projects import ROOT
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.STALLS

DAY = "2026-11-01"
TIMEOUT_S = 1.0
_PIDS = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'exporter_pipelines' AND datname = current_database()
"""


def run(trial: Trial) -> None:
    """20 stops of each: the run ends in time, and nothing is published when they go on."""
    if os.environ.get("EXPORTER_TEST_POSTGRES_URL"):
        raise trial.skip("it stops processes of the server, which only the embedded one allows")
    longest_s = 0.0
    with trial.backend() as backend, _proxy(backend.url) as (url, proxy):
        backend.add_logs(DAY, 400, message="x" * 50_000)
        for number in trial.rounds(40, "stops"):
            if number % 2:
                took_s = _stopped(trial, f"stop {number}, of the proxy", url, lambda: [proxy])
            else:
                took_s = _stopped(
                    trial,
                    f"stop {number}, of the server's process",
                    backend.url,
                    lambda: [pid for (pid,) in backend.run(_PIDS)],
                )
            longest_s = max(longest_s, took_s)
    trial.figures["longest until the error"] = f"{longest_s:.1f} s with a limit of {TIMEOUT_S:g} s"


def _stopped(trial: Trial, what: str, url: str, pids: Callable[[], list[int]]) -> float:
    """Seconds until the error of an export whose server was stopped; 0 if it was done before."""
    limits = {"stall_timeout_s": TIMEOUT_S, "answer_timeout_s": TIMEOUT_S, "retries": 0}
    store = LocalStore(trial.folder / what.replace(" ", "-"))
    delay_s = trial.dice.choice([0, 0.01, 0.05, 0.1, 0.2])
    stopped: list[int] = []

    def stop() -> None:
        for pid in pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)

    def report(_read: int, _total: int) -> None:
        if not stopped:
            time.sleep(delay_s)
            stop()

    timer = threading.Timer(delay_s, stop)
    if trial.dice.random() < 0.3:  # while it connects or counts
        timer.start()
    began, outcome = time.monotonic(), "published"
    try:
        export(url, dataset(source=limits), DAY, store, progress=report)
    except (SourceStalledError, SourceUnavailableError) as error:
        outcome = type(error).__name__
    took_s = time.monotonic() - began
    timer.cancel()
    before = store.read_manifest("logs", DAY)
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    time.sleep(0.1)
    # When all rows had arrived before the stop, the day is published at once.
    trial.check(took_s < TIMEOUT_S + 5, f"{what}: {outcome} after {took_s:.1f} s")
    trial.check((outcome == "published") == (before is not None), f"{what}: both", points=0)
    trial.check(store.read_manifest("logs", DAY) == before, f"{what}: published later", points=0)
    trial.figures[outcome] = int(str(trial.figures.get(outcome, 0))) + 1
    return 0.0 if outcome == "published" else took_s


@contextmanager
def _proxy(server: str) -> Iterator[tuple[str, int]]:
    """URL and process id of a proxy in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "exporter_pipelines_tests.support.tcp_proxy", server],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
