"""Calls that do not end: no thread of theirs stays, and nothing uses what is closed."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from exporter_pipelines.sources.postgres import watchdog as module
from exporter_pipelines.sources.postgres.watchdog import NoAnswerError, Watchdog
from exporter_pipelines_tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _no_thread_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "GRACE_S", 0.1)
    before = threading.active_count()
    yield
    wait_until(lambda: threading.active_count() == before, "the threads have ended", seconds=10)


@pytest.fixture
def hang() -> Iterator[Callable[[], bool]]:
    """A call that ends when the test does: as one whose socket was not found."""
    ends = threading.Event()
    yield ends.wait
    ends.set()


@pytest.fixture
def mute() -> Iterator[int]:
    """Port of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def given_up(watchdog: Watchdog, call: Callable[[], object]) -> None:
    with pytest.raises(NoAnswerError):
        watchdog.call(call, 0.1)


def test_the_thread_of_a_call_that_was_given_up_ends_with_it(hang: Callable[[], bool]) -> None:
    watchdog = Watchdog()
    given_up(watchdog, hang)
    watchdog.close()
    assert watchdog.is_waiting


def test_no_call_follows_one_that_was_given_up(hang: Callable[[], bool]) -> None:
    watchdog, done = Watchdog(), list[int]()
    given_up(watchdog, hang)
    given_up(watchdog, lambda: done.append(1))
    assert watchdog.is_waiting, "what the first call uses must not be closed"
    watchdog.close()
    assert not done


def test_no_call_follows_a_disconnect_or_a_close() -> None:
    watchdog, done = Watchdog(), list[int]()
    for end in (watchdog.disconnect, watchdog.close):
        assert watchdog.connect(lambda: 7, 5) == 7
        end()
        given_up(watchdog, lambda: done.append(1))
    assert not done


def test_one_who_waits_to_connect_does_not_connect_after_it_was_given_up(
    hang: Callable[[], bool],
) -> None:
    first, second, done = Watchdog(), Watchdog(), list[int]()
    with pytest.raises(NoAnswerError):
        first.connect(hang, 0.1)
    with pytest.raises(NoAnswerError):
        second.connect(lambda: done.append(1), 0.1)
    hang.__self__.set()  # type: ignore[attr-defined]
    wait_until(lambda: not second.is_waiting, "it had its turn", seconds=10)
    assert not done


def test_a_second_connection_is_interrupted_as_the_first_one(mute: int) -> None:
    watchdog, ended = Watchdog(), list[float]()

    def connect() -> socket.socket:
        client = socket.socket()
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            mark = watchdog.tcp_user_timeout_ms
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, mark)
        client.connect(("127.0.0.1", mute))
        return client

    def connect_and_wait() -> None:
        with connect() as client:
            client.settimeout(5)  # otherwise a failure would not end
            client.recv(1)
            ended.append(time.monotonic())

    watchdog.connect(connect, 5).close()
    watchdog.close()
    with pytest.raises(NoAnswerError):
        watchdog.connect(connect_and_wait, 0.1)
    assert ended


def test_a_watchdog_that_nobody_closed_leaves_no_thread() -> None:
    assert Watchdog().call(lambda: 7, 5) == 7
    gc.collect()
