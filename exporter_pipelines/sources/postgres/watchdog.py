"""Ends a driver call that waits too long for the server.

The driver has no timeout and cannot be interrupted. Shutting down its socket makes the call fail,
but the driver does not reveal its socket. So this module finds it among the open files.

Belongs here: running blocking calls with a time limit, and finding their socket.
Does not belong here: what the calls do, and how long they may take.
"""

from __future__ import annotations

import itertools
import os
import queue
import socket
import stat
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

GRACE_S = 4.0
"""How long to wait for a call after shutting down its socket. It normally returns within
milliseconds; it only takes longer if the socket was not found."""

# Only one thread connects at a time, so that a new socket belongs to its connection.
_connecting = threading.Lock()
_marks = itertools.count()


class NoAnswerError(Exception):
    """A call did not return within its limit."""


class _Call(Generic[T]):
    """A call that a thread of the watchdog runs.

    Attributes:
        answers: Gets its result or its error.
        has_begun, has_ended: Set by that thread.
        is_given_up: Set by the caller. A call that has not begun then does nothing.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function: Callable[[], T] | None = function
        self.answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self.has_begun, self.has_ended = threading.Event(), threading.Event()
        self.is_given_up = threading.Event()

    @property
    def is_running(self) -> bool:
        return self.has_begun.is_set() and not self.has_ended.is_set()

    def run(self) -> None:
        self.has_begun.set()
        # No reference stays: what the call uses may be closed when it has returned.
        function, self._function = self._function, None
        try:
            if function is not None and not self.is_given_up.is_set():
                self.answers.put((function(), None))
        except BaseException as error:  # raised again in the caller's thread
            self.answers.put((None, error))
        finally:
            self.has_ended.set()


class Watchdog:
    """Runs the calls of one connection, one at a time, each with a time limit.

    A thread of its own runs them, until `close`: a small day has twenty calls, and a thread for
    each took a tenth of its time. The calling thread waits and still handles signals, and it can
    give up on a call that does not end. Timeouts of libpq and the kernel do not help: the kernel
    of a stopped server process still acknowledges the data that it receives.
    """

    def __init__(self) -> None:
        # A different value for each connection marks its TCP socket: libpq passes this parameter to
        # the kernel, and `_kind` reads it back. Its own meaning is how long sent data may stay
        # unacknowledged; any value from one to two minutes is fine.
        self.tcp_user_timeout_ms = 60_000 + next(_marks) % 60_000
        self._socket: socket.socket | None = None
        # Sockets that were open before connecting; None unless a connection is being opened.
        self._known_inodes: set[int] | None = None
        self._newest: _Call[Any] | None = None
        self._is_over = threading.Event()  # no call may follow, except to connect again
        self._calls: queue.SimpleQueue[_Call[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a call that was given up still runs; do not close what it uses."""
        return self._newest is not None and self._newest.is_running

    @property
    def peer(self) -> tuple[str, str] | None:
        """Host and port of the connected server; of a Unix socket its folder. None if not found."""
        if self._socket is None:
            return None
        try:
            name = self._socket.getpeername()
        except OSError:  # the server has closed it
            return None
        if isinstance(name, tuple):
            return str(name[0]), str(name[1])
        folder, _, file = os.fsdecode(name).rpartition("/")
        return folder, file.rpartition(".")[2]

    def connect(self, connect: Callable[[], T], limit_s: float) -> T:
        """Open a connection, and find its socket. Raises as `call` does, and is closed then."""

        def connect_alone() -> T:
            with _connecting:
                if self._is_over.is_set():  # given up while another one connected
                    raise NoAnswerError
                self._known_inodes = {inode for inode, _ in _sockets()}
                try:
                    connected = connect()
                    self._socket = self._find_socket()
                    return connected
                finally:
                    self._known_inodes = None

        self._is_over.clear()
        try:
            return self.call(connect_alone, limit_s)
        except BaseException:  # raised again; no one else can close it
            self.close()
            raise

    def call(self, function: Callable[[], T], limit_s: float) -> T:
        """Run `function`, and return its result or raise its error.

        Raises:
            NoAnswerError: it took longer than `limit_s` seconds, and the connection is closed; or
                it was closed before.
        """
        before, call = self._newest, _Call(function)
        self._newest = call  # first, so that `disconnect` ends this call if it comes now
        if self._is_over.is_set():
            self._newest = before  # it may still run
            raise NoAnswerError
        try:
            self._start()
            self._calls.put(call)
            answer, failure = call.answers.get(timeout=limit_s)
            if isinstance(failure, NoAnswerError):
                raise failure
        except BaseException as error:
            # Also for a signal: a cancel must not wait for the server. It may come before the
            # thread has the call.
            call.is_given_up.set()
            self._shut_down_socket()
            if call.has_begun.is_set():
                call.has_ended.wait(GRACE_S)
            if isinstance(error, queue.Empty):
                raise NoAnswerError from None
            raise
        call.has_ended.wait()
        if failure is not None:
            raise failure
        return cast(T, answer)

    def _start(self) -> None:
        """Start the thread, if there is none."""
        if self._thread is None:
            calls = self._calls = queue.SimpleQueue()
            # Ends the thread also if a signal came before anyone could call `close`.
            weakref.finalize(self, calls.put, None)
            self._thread = threading.Thread(target=_run_all, args=(calls,), daemon=True)
            self._thread.name = "source"
            self._thread.start()

    def disconnect(self) -> None:
        """Close the connection, so that a waiting call fails. May be called from any thread."""
        self._shut_down_socket()
        # Also ends the wait in `call` if the socket was not found.
        if newest := self._newest:
            newest.answers.put((None, NoAnswerError()))

    def _shut_down_socket(self) -> None:
        self._is_over.set()
        # While connecting, the call itself has not found the socket yet.
        if self._socket is None and self._known_inodes is not None:
            self._socket = self._find_socket()
        if found := self._socket:
            with suppress(OSError):  # the server has closed it already
                found.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this handle on the socket, and end the thread. The driver closes its own handle."""
        self._is_over.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            self._calls.put(None)
            if thread.is_alive() and not self.is_waiting:
                thread.join(GRACE_S)
        found, self._socket = self._socket, None
        if found is not None:
            found.close()

    def _find_socket(self) -> socket.socket | None:
        """The connection's socket, among those opened since `connect`; None if it is ambiguous.

        Returns a duplicate of the descriptor. The driver may close its own, and the number may
        then be reused for another file.
        """
        known = self._known_inodes
        if known is None:
            return None
        # TCP first, since the mark is certain. A Unix socket has none, and may be from other code.
        kinds: dict[str, list[socket.socket]] = {"tcp": [], "unix": []}
        for inode, number in _sockets():
            if inode not in known:
                with suppress(OSError):  # closed in the meantime
                    candidate = socket.socket(fileno=os.dup(number))
                    kinds.setdefault(self._kind(candidate), []).append(candidate)
        found = next((kinds[kind] for kind in ("tcp", "unix") if kinds[kind]), [])
        for candidate in itertools.chain(*kinds.values()):
            if [candidate] != found:
                candidate.close()
        return found[0] if len(found) == 1 else None

    def _kind(self, candidate: socket.socket) -> str:
        """`tcp` or `unix` for a socket that may be this connection's; else `other`."""
        try:
            if candidate.family == socket.AF_UNIX:
                return "unix" if "/.s.PGSQL." in str(candidate.getpeername()) else "other"
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                mark = candidate.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                return "tcp" if mark == self.tcp_user_timeout_ms else "other"
            return (
                "tcp"
                if candidate.type == socket.SOCK_STREAM and candidate.getpeername()
                else "other"
            )
        except OSError:  # not connected, or not TCP
            return "other"


def _run_all(calls: queue.SimpleQueue[_Call[Any] | None]) -> None:
    while (call := calls.get()) is not None:
        call.run()
        del call


def _sockets() -> list[tuple[int, int]]:
    """(inode, descriptor) of the open sockets of this process."""
    found = []
    for entry in Path("/dev/fd").iterdir():
        with suppress(OSError):  # closed in the meantime
            number = int(entry.name)
            status = os.fstat(number)
            if stat.S_ISSOCK(status.st_mode):
                found.append((status.st_ino, number))
    return found
