"""A database that goes away or falls silent: bounded waits, fresh attempts, whole days.

How hard this is tried: `torture/lost_connections.py` and `torture/stalls.py`.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from exporter_pipelines import api
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.errors import (
    ExporterError,
    SourceLostError,
    SourceStalledError,
    SourceUnavailableError,
    UnknownTableError,
)
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, export_patiently
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.runs import Runner, failure
from exporter_pipelines_tests.support.tcp_proxy import tcp_proxy
from exporter_pipelines_tests.support.waiting import wait_until

DAY = "2026-11-01"
SLOW = "CREATE VIEW slow AS SELECT logs.* FROM logs, (SELECT pg_sleep(60) AS slept) AS s"
PIDS = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'exporter_pipelines' AND datname = current_database()
"""


@pytest.fixture
def large(backend: Backend) -> Backend:
    """A day of 40 MB: more than all buffers between server and disk."""
    backend.add_logs(DAY, 400, message="x" * 100_000)
    return backend


def impatient(**source: Any) -> Dataset:
    """A dataset whose waits end after a second."""
    limits = {"stall_timeout_s": 1, "answer_timeout_s": 1}
    return dataset(source={**limits, "columns": {}, **source})


@contextmanager
def ends_within(limit_s: float) -> Iterator[None]:
    """The block does not take longer: what it replaces never ended."""
    before = time.monotonic()
    yield
    assert time.monotonic() - before < limit_s


def once(action: Callable[[], object]) -> Callable[[int, int], None]:
    """A `report` that acts after the first batch of the first attempt."""
    actions = [action]

    def report(read: int, total: int) -> None:
        if actions:
            assert read < total
            actions.pop()()

    return report


def left_behind(store: LocalStore) -> list[Any]:
    staging = store.root / "logs" / ".staging"
    return list(staging.iterdir()) if staging.exists() else []


# Stalls


def test_a_stopped_server_process_ends_the_day_and_publishes_nothing_later(
    large: Backend, store: LocalStore
) -> None:
    if os.environ.get("EXPORTER_TEST_POSTGRES_URL"):
        pytest.skip("stops a process of the server, which only the embedded one allows")
    stopped: list[int] = []

    def stop() -> None:
        stopped.extend(pid for (pid,) in large.run(PIDS))
        os.kill(stopped[0], signal.SIGSTOP)

    try:
        with ends_within(6), pytest.raises(SourceStalledError) as caught:
            export(large.url, impatient(), DAY, store, progress=once(stop))
    finally:
        os.kill(stopped[0], signal.SIGCONT)
    assert "sent nothing for 1 s" in str(caught.value)
    assert "raise source.stall_timeout_s" in str(caught.value)
    time.sleep(0.3)
    assert store.read_manifest("logs", DAY) is None
    assert left_behind(store) == []
    assert export(large.url, impatient(), DAY, store).record_count == 400


def test_a_silent_network_ends_the_day(large: Backend, store: LocalStore) -> None:
    with tcp_proxy(large.url) as proxy:
        with ends_within(6), pytest.raises(SourceStalledError, match="sent nothing for 1 s"):
            export(proxy.url, impatient(), DAY, store, progress=once(proxy.flows.clear))
        proxy.flows.set()
        assert export(proxy.url, impatient(), DAY, store).record_count == 400


def test_a_count_that_takes_too_long_ends_the_day(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 1)
    backend.run(SLOW)
    slow = impatient(table="slow", stall_timeout_s=30)
    with ends_within(6), pytest.raises(SourceStalledError, match=r"raise source\.answer_timeout_s"):
        export(backend.url, slow, DAY, store)


def test_sorting_may_take_longer_than_a_stall(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 1)
    backend.run(SLOW.replace("60", "1.2"))
    slow = impatient(table="slow", answer_timeout_s=30)
    assert export(backend.url, slow, DAY, store).record_count == 1


@pytest.mark.parametrize("limits", ["?connect_timeout=2", ""])
def test_a_server_that_takes_the_connection_and_says_nothing(
    store: LocalStore, limits: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"postgresql://ann@127.0.0.1:{mute.getsockname()[1]}/db{limits}"
        silent = impatient(stall_timeout_s=30 if limits else 1)
        with ends_within(8), pytest.raises(SourceUnavailableError, match="Cannot connect to Pos"):
            export(url, silent, DAY, store)


# A cancel


@contextmanager
def cancelled_soon(delay_s: float = 0.3) -> Iterator[None]:
    """Ctrl-C, as a terminal sends it."""
    timer = threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with ends_within(6), pytest.raises(KeyboardInterrupt):
            yield
    finally:
        timer.join()


def test_a_cancel_does_not_wait_for_a_silent_network(large: Backend, store: LocalStore) -> None:
    with tcp_proxy(large.url) as proxy:

        def silence() -> None:
            proxy.flows.clear()
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

        with ends_within(6), pytest.raises(KeyboardInterrupt):
            export(proxy.url, dataset(), DAY, store, progress=once(silence))
    assert left_behind(store) == []
    assert store.read_manifest("logs", DAY) is None


def test_a_cancel_does_not_wait_for_a_count(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 1)
    backend.run(SLOW)
    with cancelled_soon():
        export(backend.url, dataset(source={"table": "slow"}), DAY, store)


def test_a_cancel_does_not_wait_for_a_connection(store: LocalStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, cancelled_soon():
        url = f"postgresql://ann@127.0.0.1:{mute.getsockname()[1]}/db"
        export(url, dataset(), DAY, store)


def test_a_cancel_does_not_wait_for_the_next_attempt(store: LocalStore) -> None:
    with cancelled_soon():
        url = "postgresql://ann@127.0.0.1:1/db"
        export_patiently(url, dataset(), DAY, store, first_wait_s=60)


@pytest.mark.slow
def test_what_was_cancelled_is_soon_cancelled_on_the_server(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 1)
    backend.run(SLOW)
    with cancelled_soon():
        export(backend.url, dataset(source={"table": "slow"}), DAY, store)
    # The server looks every 10 s whether its client is still there; the query would take 60.
    wait_until(lambda: not backend.run(PIDS), "the query is cancelled", seconds=30)


@pytest.mark.slow
def test_ending_a_run_does_not_wait_for_a_silent_network(project: Project, large: Backend) -> None:
    with tcp_proxy(large.url) as proxy:
        project.set(EXPORTER_SOURCE_URL=proxy.url)
        running = project.start("logs", partition=DAY)
        wait_until(lambda: large.run(PIDS), "rows are read", every=0.02)
        proxy.flows.clear()
        time.sleep(0.5)
        running.send_signal(signal.SIGTERM)
        with ends_within(20):
            _, stderr = running.communicate(timeout=300)
    assert f"logs: stopped at {DAY}" in stderr
    assert project.manifest("logs", DAY) is None


# Further attempts


def test_a_cut_day_is_begun_anew_and_gives_the_same_bytes(
    large: Backend, store: LocalStore, tmp_path: Any
) -> None:
    undisturbed = export(large.url, dataset(), DAY, LocalStore(tmp_path / "undisturbed"))
    said: list[str] = []
    with tcp_proxy(large.url, cuts=[None, 9_000_000, 900, None, 30_000_000]) as proxy:
        manifest = export_patiently(proxy.url, dataset(), DAY, store, notify=said.append)
        assert proxy.was_cut == 3
    assert [file.sha256 for file in manifest.files] == [file.sha256 for file in undisturbed.files]
    assert len(said) == 3
    assert f"logs {DAY}: attempt 2 of 4 in 0 s: Lost the connection to PostgreSQL at" in said[0]
    assert "attempt 4 of 4" in said[2]
    assert left_behind(store) == []


def test_the_last_error_says_how_often_it_was_tried(store: LocalStore) -> None:
    twice = dataset(source={"retries": 1})
    with pytest.raises(SourceUnavailableError, match=r"refused\. It was tried 2 times\. Check"):
        export_patiently("postgresql://ann@127.0.0.1:1/db", twice, DAY, store)


def test_without_retries_nothing_is_tried_twice(store: LocalStore) -> None:
    said: list[str] = []
    with pytest.raises(SourceUnavailableError) as caught:
        export_patiently(
            "postgresql://ann@127.0.0.1:1/db",
            dataset(source={"retries": 0}), DAY, store, notify=said.append,
        )  # fmt: skip
    assert said == []
    assert "tried" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "change", "database"),
    [
        (UnknownTableError, "DROP TABLE logs", ""),
        (ExporterError, "ALTER TABLE logs DROP level", ""),
        (SourceLostError, "CREATE OR REPLACE VIEW v AS SELECT 1/0 AS x", ""),
        (SourceUnavailableError, "SELECT 1", "no_such_db"),
    ],
)
def test_what_cannot_pass_by_itself_is_not_tried_again(
    backend: Backend, store: LocalStore, kind: type[ExporterError], change: str, database: str
) -> None:
    backend.add_logs(DAY, 3)
    exported = dataset()
    if kind is SourceLostError:
        change = "CREATE VIEW broken AS SELECT logs.*, (1 / (id - 2))::text AS broken FROM logs"
        exported = dataset(source={"table": "broken", "columns": {"device": "broken"}})
    backend.run(change)
    url = backend.url
    if database:
        url = url.replace(url.split("/")[3].split("?")[0], database)
    said: list[str] = []
    with pytest.raises(kind):
        export_patiently(url, exported, DAY, store, notify=said.append)
    assert said == []


def test_a_run_says_in_its_log_that_it_tries_again(
    large: Backend, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter_pipelines.engine.retries.FIRST_WAIT_S", 0.01)
    with tcp_proxy(large.url, cuts=[None, 9_000_000]) as proxy:
        monkeypatch.setenv("EXPORTER_SOURCE_URL", proxy.url)
        runner = Runner([dataset()])
        result = runner.run("logs", DAY)
    assert result.success, failure(result)
    lines = [entry.user_message for entry in runner.instance.all_logs(result.run_id)]
    [said] = [line for line in lines if "attempt 2 of 4" in line]
    assert "Lost the connection to PostgreSQL" in said
    assert "\n" not in said


def test_the_api_tries_again_and_says_so(
    large: Backend, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr("exporter_pipelines.engine.retries.FIRST_WAIT_S", 0.01)
    with tcp_proxy(large.url, cuts=[None, 9_000_000]) as proxy:
        monkeypatch.setenv("EXPORTER_SOURCE_URL", proxy.url)
        assert api.export_day(dataset(), DAY).record_count == 400
    assert "attempt 2 of 4 in 0 s" in caplog.text
