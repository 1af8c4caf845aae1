"""Ends a wait for a server that says nothing, in a driver that cannot be interrupted.

Belongs here: running a driver's blocking calls under a limit, and finding the socket that such a
call waits for. Does not belong here: what is asked, or how long an answer may take.
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
"""How long a call may go on after its socket was shut. It returns within milliseconds; this is
for a socket that was not found."""

# One connection of this process at a time, so that a new socket is known to be its own.
_connecting = threading.Lock()
_marks = itertools.count()


class NoAnswerError(Exception):
    """A call did not return within its limit."""


class Watchdog:
    """Runs the calls of one connection, one at a time, and can end the one that waits.

    Each call runs in a thread of its own: the caller waits for it where signals get through, and a
    call that cannot be ended is left behind instead of blocking for ever. No timeout of libpq or
    of the kernel ends such a wait: a stopped process still acknowledges what it receives.
    """

    def __init__(self) -> None:
        # libpq hands this number to the kernel, where it is read back: the mark of a TCP socket.
        # It means for how long sent data may stay unacknowledged: a minute, and up to two.
        self.tcp_user_timeout_ms = 60_000 + next(_marks) % 60_000
        self._socket: socket.socket | None = None
        self._before: set[int] | None = None
        self._running: threading.Thread | None = None
        self._answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    @property
    def is_waiting(self) -> bool:
        """Whether a call that was given up still runs; what it uses must be left alone."""
        return self._running is not None and self._running.is_alive()

    def connect(self, connect: Callable[[], T], limit_s: float) -> T:
        """Run what opens the connection, and take hold of its socket."""

        def connect_alone() -> T:
            with _connecting:
                self._before = {inode for inode, _ in _sockets()}
                try:
                    connected = connect()
                    self._socket = self._found()
                    return connected
                finally:
                    self._before = None

        return self.call(connect_alone, limit_s)

    def call(self, ask: Callable[[], T], limit_s: float) -> T:
        """The result of `ask`, or what it raises.

        Raises:
            NoAnswerError: there was none within `limit_s` seconds; the connection is cut.
        """
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                answers.put((ask(), None))
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
            # Also a signal: whoever cancels does not wait for the server.
            self._shut()
            self._running.join(GRACE_S)
            if isinstance(error, queue.Empty):
                raise NoAnswerError from None
            raise
        self._running.join()
        if failure is not None:
            raise failure
        return cast(T, answer)

    def hang_up(self) -> None:
        """Cut the connection, from any thread; the call that waits for it fails at once."""
        self._shut()
        self._answers.put((None, NoAnswerError()))

    def _shut(self) -> None:
        if self._socket is None and self._before is not None:
            self._socket = self._found()
        if self._socket is not None:
            with suppress(OSError):  # the other side was faster
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket, which the driver closes by itself."""
        if self._socket is not None:
            self._socket.close()

    def _found(self) -> socket.socket | None:
        """The server's socket among those that were opened since; None unless it is certain.

        A second handle on it, so that its number cannot mean another socket later.
        """
        before = self._before
        if before is None:
            return None
        # By TCP first, where the mark tells: the Unix sockets may be anybody's in this process.
        kinds: dict[str, list[socket.socket]] = {"tcp": [], "unix": []}
        for inode, number in _sockets():
            if inode not in before:
                with suppress(OSError):  # closed meanwhile
                    line = socket.socket(fileno=os.dup(number))
                    kinds.setdefault(self._kind(line), []).append(line)
        found = next((kinds[kind] for kind in ("tcp", "unix") if kinds[kind]), [])
        for line in itertools.chain(*kinds.values()):
            if [line] != found:
                line.close()
        return found[0] if len(found) == 1 else None

    def _kind(self, line: socket.socket) -> str:
        """`tcp` or `unix` for a connection that may be the server's."""
        try:
            if line.family == socket.AF_UNIX:
                return "unix" if "/.s.PGSQL." in str(line.getpeername()) else "other"
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                mark = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                return "tcp" if mark == self.tcp_user_timeout_ms else "other"
            return "tcp" if line.type == socket.SOCK_STREAM and line.getpeername() else "other"
        except OSError:  # not connected, or not TCP
            return "other"


def _sockets() -> list[tuple[int, int]]:
    """(inode, number) of the open sockets of this process."""
    found = []
    for entry in Path("/dev/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            number = int(entry.name)
            status = os.fstat(number)
            if stat.S_ISSOCK(status.st_mode):
                found.append((status.st_ino, number))
    return found
