"""Handing over between threads: in order, bounded, and nothing is lost or left behind."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from exporter_pipelines.engine.threads import WriteBehind, read_ahead
from exporter_pipelines.errors import SourceUnavailableError
from exporter_pipelines.sources.postgres.watchdog import Watchdog
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


class Source:
    """Counts what was taken from it, and notes when it was closed."""

    def __init__(self, length: int, failure: Exception | None = None) -> None:
        self.length, self.failure = length, failure
        self.taken, self.closed = 0, False

    def __iter__(self) -> Iterator[int]:
        try:
            for number in range(self.length):
                self.taken += 1
                yield number
            if self.failure:
                raise self.failure
        finally:
            self.closed = True


def test_read_ahead_keeps_the_order() -> None:
    assert list(read_ahead(range(1000))) == list(range(1000))


def test_read_ahead_of_nothing_is_nothing() -> None:
    assert list(read_ahead([])) == []


def test_read_ahead_raises_the_error_of_the_source_behind_its_items() -> None:
    source, seen = Source(3, OSError("lost")), []

    def consume() -> None:
        for number in read_ahead(source):
            seen.append(number)

    with pytest.raises(OSError, match="lost"):
        consume()
    assert (seen, source.closed) == ([0, 1, 2], True)


def test_read_ahead_raises_an_error_of_beginning() -> None:
    class Broken:
        def __iter__(self) -> Iterator[int]:
            raise OSError("cannot begin")

    with pytest.raises(OSError, match="cannot begin"):
        list(read_ahead(Broken()))


def test_read_ahead_raises_an_error_of_closing() -> None:
    class Unclosable:
        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            raise StopIteration

        def close(self) -> None:
            raise OSError("cannot close")

    with pytest.raises(OSError, match="cannot close"):
        list(read_ahead(Unclosable()))


def test_read_ahead_stays_a_few_items_ahead_of_a_slow_consumer() -> None:
    source = Source(1000)
    for number in read_ahead(source):
        time.sleep(0.01)
        assert source.taken <= number + 4  # this one, two in the queue, one being handed over
        if number == 20:
            break


def test_read_ahead_that_is_closed_early_closes_the_source() -> None:
    source = Source(1000)
    numbers = read_ahead(source)
    assert next(numbers) == 0
    numbers.close()
    assert source.closed


def test_read_ahead_that_is_never_iterated_takes_nothing() -> None:
    source = Source(1000)
    read_ahead(source)
    assert source.taken == 0


def test_an_error_of_the_consumer_closes_the_source() -> None:
    source = Source(1000)

    def consume() -> None:
        for _ in read_ahead(source):
            raise ValueError("consumer")

    with pytest.raises(ValueError, match="consumer"):
        consume()
    assert source.closed


def test_an_interrupt_while_waiting_for_the_source_surfaces_and_closes_it() -> None:
    closed, interrupted = threading.Event(), threading.Event()

    def interrupt() -> None:
        _thread.interrupt_main()
        interrupted.set()

    def slow() -> Iterator[int]:
        try:
            yield 0
            threading.Timer(0.05, interrupt).start()
            assert interrupted.wait(60)
            yield 1
        finally:
            closed.set()

    with pytest.raises(KeyboardInterrupt):
        list(read_ahead(slow()))
    assert closed.is_set()


def test_write_behind_writes_everything_in_order() -> None:
    written: list[int] = []
    with WriteBehind(written.append) as behind:
        for number in range(1000):
            behind.put(number)
        behind.finish()
    assert written == list(range(1000))


def test_write_behind_raises_an_error_of_writing_on_a_later_put() -> None:
    def produce() -> None:
        with WriteBehind(fail_at(2)) as behind:
            for number in range(1000):
                behind.put(number)
                time.sleep(0.001)

    with pytest.raises(OSError, match="full"):
        produce()


def test_write_behind_raises_an_error_of_the_last_write_on_finish() -> None:
    with WriteBehind(fail_at(2)) as behind:
        for number in range(3):
            behind.put(number)
        with pytest.raises(OSError, match="full"):
            behind.finish()


def fail_at(last: int) -> Callable[[int], None]:
    def write(number: int) -> None:
        if number == last:
            raise OSError("full")

    return write


def test_write_behind_stays_a_few_items_behind() -> None:
    written: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.005)
        written.append(number)

    with WriteBehind(slow) as behind:
        for number in range(20):
            behind.put(number)
            assert number - len(written) <= 3  # one being written, one in the queue, this one
        behind.finish()
    assert len(written) == 20


def test_threads_that_share_their_room_hold_no_more_items_than_it_has() -> None:
    source, room, most = Source(30), threading.Semaphore(4), []
    written: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.005)
        most.append(source.taken - len(written))
        written.append(number)

    with WriteBehind(slow, room) as behind, closing(read_ahead(source, room=room)) as items:
        for number in items:
            behind.put(number)
        behind.finish()
    assert written == list(range(30))
    assert max(most) <= 4
    assert source.closed


def test_read_ahead_that_waits_for_room_can_be_closed() -> None:
    source = Source(1000)
    with closing(read_ahead(source, room=threading.Semaphore(2))) as items:
        assert [next(items), next(items)] == [0, 1]
        time.sleep(0.05)
    assert (source.taken, source.closed) == (2, True)


def test_write_behind_that_is_left_by_an_error_abandons_what_waits() -> None:
    written: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.05)
        written.append(number)

    def produce() -> None:
        with WriteBehind(slow) as behind:
            for number in range(3):
                behind.put(number)
            raise ValueError("reader")

    with pytest.raises(ValueError, match="reader"):
        produce()
    assert written in ([0], [0, 1])


@pytest.mark.parametrize("begins", [True, False])
def test_a_signal_while_a_thread_is_started_surfaces(
    monkeypatch: pytest.MonkeyPatch, begins: bool
) -> None:
    done: list[int] = []
    real = threading.Thread.start
    late: list[threading.Thread] = []

    def start(thread: threading.Thread) -> None:
        late.append(thread)
        if begins:
            real(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start)
    watchdog = Watchdog()
    with pytest.raises(KeyboardInterrupt):
        watchdog.call(lambda: done.append(1), 10)
    watchdog.close()
    with pytest.raises(KeyboardInterrupt):
        list(read_ahead(iter(lambda: done.append(2), 3)))
    with pytest.raises(KeyboardInterrupt), WriteBehind(done.append):
        pass
    if begins:  # it looks every 0.1 s whether it was stopped
        late[-1].join(10)
    if not begins:  # as a thread that the system has created and not run yet
        for thread in late:
            real(thread)
            thread.join(10)
        assert not done
    assert not any(thread.is_alive() for thread in late)


def test_a_connection_that_is_refused_or_closed_leaves_no_thread(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs("2026-11-01", 10)
    export(backend.url, dataset(), "2026-11-01", store)
    with pytest.raises(SourceUnavailableError):
        export(backend.url.replace("/test_", "/no_"), dataset(), "2026-11-01", store)
    assert not [each.name for each in threading.enumerate() if each.name == "source"]
