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
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

T = TypeVar("T")

GRACE_S = 4.0
"""How long to wait for a call after shutting down its socket. It normally returns within
milliseconds; it only takes longer if the socket was not found."""

# Only one thread connects at a time, so that a new socket belongs to its connection.
_connecting = threading.Lock()
_marks = itertools.count()


class NoAnswerError(Exception):
    """A call did not return within its limit."""


class Watchdog:
    """Runs the calls of one connection, one at a time, each with a time limit.

    Each call runs in a new thread. The calling thread waits for it and still handles signals, and
    it can give up on a call that does not end. Timeouts of libpq and the kernel do not help:
    the kernel of a stopped server process still acknowledges the data that it receives.
    """

    def __init__(self) -> None:
        # A different value for each connection marks its TCP socket: libpq passes this parameter to
        # the kernel, and `_kind` reads it back. Its own meaning is how long sent data may stay
        # unacknowledged; any value from one to two minutes is fine.
        self.tcp_user_timeout_ms = 60_000 + next(_marks) % 60_000
        self._socket: socket.socket | None = None
        # Sockets that were open before connecting; None unless a connection is being opened.
        self._known_inodes: set[int] | None = None
        self._running: threading.Thread | None = None
        self._answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    @property
    def is_waiting(self) -> bool:
        """Whether a call that was given up still runs; do not close what it uses."""
        return self._running is not None and self._running.is_alive()

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
        """Open a connection, and find its socket."""

        def connect_alone() -> T:
            with _connecting:
                self._known_inodes = {inode for inode, _ in _sockets()}
                try:
                    connected = connect()
                    self._socket = self._find_socket()
                    return connected
                finally:
                    self._known_inodes = None

        return self.call(connect_alone, limit_s)

    def call(self, function: Callable[[], T], limit_s: float) -> T:
        """Run `function`, and return its result or raise its error.

        Raises:
            NoAnswerError: it took longer than `limit_s` seconds; the connection is closed.
        """
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        has_begun, is_given_up = threading.Event(), threading.Event()

        def run() -> None:
            has_begun.set()
            if is_given_up.is_set():
                return
            try:
                answers.put((function(), None))
            except BaseException as error:  # raised again in the caller's thread
                answers.put((None, error))

        self._answers = answers
        self._running = threading.Thread(target=run, name="source", daemon=True)
        try:
            self._running.start()
            answer, failure = answers.get(timeout=limit_s)
            if isinstance(failure, NoAnswerError):
                raise failure
        except BaseException as error:
            # Also for a signal: a cancel must not wait for the server. It may come while the thread
            # is started, which then does nothing and cannot be joined yet.
            is_given_up.set()
            self._shut_down_socket()
            if has_begun.is_set():
                self._running.join(GRACE_S)
            if isinstance(error, queue.Empty):
                raise NoAnswerError from None
            raise
        self._running.join()
        if failure is not None:
            raise failure
        return cast(T, answer)

    def disconnect(self) -> None:
        """Close the connection, so that a waiting call fails. May be called from any thread."""
        self._shut_down_socket()
        # Also ends the wait in `call` if the socket was not found.
        self._answers.put((None, NoAnswerError()))

    def _shut_down_socket(self) -> None:
        # While connecting, the call itself has not found the socket yet.
        if self._socket is None and self._known_inodes is not None:
            self._socket = self._find_socket()
        if self._socket is not None:
            with suppress(OSError):  # the server has closed it already
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this handle on the socket; the driver closes its own."""
        if self._socket is not None:
            self._socket.close()

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
