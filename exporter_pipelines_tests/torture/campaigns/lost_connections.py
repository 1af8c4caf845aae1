"""Connections are cut after any number of bytes, ended by the server, and lost in its restart."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psycopg

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, export_patiently
from exporter_pipelines_tests.support.tcp_proxy import tcp_proxy
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.CONNECTION

DAY = "2026-11-01"
_RECOVERS_WITHIN_S = 120
_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'exporter_pipelines' AND datname = current_database()
"""


def run(trial: Trial) -> None:
    """60 exports with two cuts each or more; every one gives the bytes of an undisturbed one."""
    logs = dataset(source={"retries": 10})
    store = LocalStore(trial.folder / "exports")
    with trial.backend() as backend:
        backend.add_logs(DAY, 400, message="x" * 30_000)
        undisturbed = [f.sha256 for f in export(backend.url, logs, DAY, store).files]
        lost: list[str] = []
        cuts = 0
        for number in trial.rounds(60, "exports", share=0.8):
            said: list[str] = []
            # Every other connection of an attempt looks at the driver's types; both may be cut.
            sizes = [int(10 ** trial.dice.uniform(1, 7)) for _ in range(trial.dice.randint(2, 4))]
            ends = number % 6 == 5
            with tcp_proxy(backend.url, cuts=[None, *sizes]) as proxy:
                report = _ended(backend) if ends else lambda _read, _total: None
                with trial.guarded(f"export {number}, cut after {sizes} bytes"):
                    found = export_patiently(
                        proxy.url, logs, DAY, LocalStore(trial.folder / f"again-{number}"),
                        notify=said.append, progress=report,
                    )  # fmt: skip
                    assert [f.sha256 for f in found.files] == undisturbed, "other bytes"
                cuts += proxy.was_cut
            lost += said
        trial.figures["cuts"] = cuts
        trial.figures["further attempts"] = len(lost)
        if not os.environ.get("EXPORTER_TEST_POSTGRES_URL"):
            _restart(trial, backend, undisturbed)


def _ended(backend: Backend) -> Callable[[int, int], None]:
    """A `report` that ends the server's process after the first batch."""
    ended: list[int] = []

    def report(_read: int, _total: int) -> None:
        if not ended:
            ended.append(1)
            backend.run(_END)

    return report


def _restart(trial: Trial, backend: Backend, undisturbed: list[str]) -> None:
    """All processes of the server die at once in the middle, and it recovers."""
    logs = dataset(source={"retries": 10})
    done: list[int] = []

    def report(_read: int, _total: int) -> None:
        if not done:
            done.append(1)
            # A killed backend makes the postmaster restart everything, as after a crash.
            with psycopg.connect(backend.url) as victim:
                os.kill(victim.info.backend_pid, signal.SIGKILL)
                time.sleep(0.3)
                victim.close()

    with trial.guarded("the server crashes and recovers"):
        found = export_patiently(
            backend.url, logs, DAY, LocalStore(trial.folder / "restarted"),
            progress=report, first_wait_s=0.5,
        )  # fmt: skip
        assert done, "nothing was restarted"
        assert [f.sha256 for f in found.files] == undisturbed, "other bytes"
    # The export may have had all rows before the crash; what follows needs the server.
    with trial.guarded("the server accepts connections again"):
        _wait_for_recovery(backend)


def _wait_for_recovery(backend: Backend) -> None:
    """Wait until the server answers; raises its last refusal when this takes too long."""
    ends = time.monotonic() + _RECOVERS_WITHIN_S
    while True:
        try:
            backend.run("SELECT 1")
            return
        except psycopg.OperationalError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.2)
