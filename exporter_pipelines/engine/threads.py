"""Two bounded queues between threads: read ahead and write behind.

Arrow, sha256, compression and file writes release the interpreter lock, so reading, encoding and
writing overlap with validating. Queues are short, and both threads release an item before they
wait for the next. So memory stays bounded when one side is slower: a day of a million rows peaks
40 MiB lower than with items kept while waiting and two in each queue. Full queues still take more
than busy threads need; `room`, which both sides may share, limits the items of all three threads.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

_READ_DEPTH = 2
_WRITE_DEPTH = 1
_END = object()


def read_ahead(
    items: Iterable[T],
    stop: Callable[[], None] = lambda: None,
    room: threading.Semaphore | None = None,
) -> Generator[T, None, None]:
    """Iterate over `items` in a separate thread, at most two items ahead.

    An exception of the source is raised here, after the items before it. When the caller stops
    early, closing this generator waits until the thread has released the source.

    Args:
        items: The source.
        stop: Interrupts a wait of that thread.
        room: Each item takes one before it is read. The caller gives it back.
    """
    handover: queue.Queue[object] = queue.Queue(_READ_DEPTH)
    failure: list[BaseException] = []
    stopped = threading.Event()

    def read() -> None:
        if stopped.is_set():  # a signal came while this thread was started
            return
        try:
            _hand_over(items, handover, stopped, room)
        except BaseException as error:  # raised again in the caller's thread
            failure.append(error)
        finally:
            _offer(handover, _END, stopped)

    thread = threading.Thread(target=read, name="read-ahead", daemon=True)
    try:
        thread.start()
        while (item := handover.get()) is not _END:
            handed = [item]
            del item
            yield handed.pop()  # type: ignore[misc]
    except BaseException:  # whatever ends the caller, the thread must stop reading
        stopped.set()
        stop()
        raise
    finally:
        if thread.is_alive():  # otherwise it has ended, or has not begun
            thread.join()
    if failure:
        raise failure[0]


def _hand_over(
    items: Iterable[object],
    handover: queue.Queue[object],
    stopped: threading.Event,
    room: threading.Semaphore | None,
) -> None:
    """Put item by item until the end, or until the other side has stopped listening."""
    iterator = iter(items)
    try:
        while _has_room(room, stopped):
            item = next(iterator, _END)
            if item is _END or not _offer(handover, item, stopped):
                break
            del item
    finally:
        # Not left to garbage collection: a generator holds a cursor that this thread uses.
        if hasattr(iterator, "close"):
            iterator.close()


def _has_room(room: threading.Semaphore | None, stopped: threading.Event) -> bool:
    """Wait until there is room; False if the other side has stopped listening."""
    while room is not None and not room.acquire(timeout=0.1):
        if stopped.is_set():
            return False
    return True


def _offer(handover: queue.Queue[object], item: object, stopped: threading.Event) -> bool:
    """Put an item unless the other side has stopped listening."""
    while not stopped.is_set():
        try:
            handover.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False


class WriteBehind(Generic[T]):
    """Calls `write` in a separate thread, while at most one more item waits.

    A failure there is raised by the next `put` or by `finish`. A context manager: leaving it
    without `finish` drops the waiting item.

    Args:
        write: Called with each item.
        room: Gets one back after each item; see `read_ahead`.
    """

    def __init__(
        self, write: Callable[[T], object], room: threading.Semaphore | None = None
    ) -> None:
        self._write, self._room = write, room
        self._handover: queue.Queue[object] = queue.Queue(_WRITE_DEPTH)
        self._failure: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="write-behind", daemon=True)

    def __enter__(self) -> WriteBehind[T]:
        try:
            self._thread.start()
        except BaseException:  # a signal: nothing leaves what was not entered
            self._stopped.set()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        self._thread.join()

    def put(self, item: T) -> None:
        """Queue an item; waits while another one is queued."""
        _offer(self._handover, item, self._stopped)
        self._raise_failure()

    def finish(self) -> None:
        """Wait until everything is written."""
        _offer(self._handover, _END, self._stopped)
        self._thread.join()
        self._raise_failure()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                item = self._handover.get(timeout=0.1)
            except queue.Empty:
                continue
            if item is _END:
                return
            try:
                self._write(item)  # type: ignore[arg-type]
            except BaseException as error:  # raised again by put or finish
                self._failure = error
                self._stopped.set()
            del item
            if self._room is not None:
                self._room.release()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
