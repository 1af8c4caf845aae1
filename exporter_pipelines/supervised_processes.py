"""Processes that are started again when they die, and all end when their supervisor does."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import click

_DEATHS, _WITHIN_SECONDS = 5, 60.0
_FIRST_DELAY_SECONDS = 0.5
_STOP_SECONDS = 10

# Reads the process group from its input, and ends the group when the input ends: the supervisor
# closed it, or was killed. Ends itself last, and with it the lock that it holds.
_GUARD = f"""
trap '' TERM INT HUP
while read -r line; do group=$line; done
[ -n "$group" ] || exit 0
kill -s TERM -- "-$group" 2> /dev/null
tries=0
while kill -s 0 -- "-$group" 2> /dev/null && [ $tries -lt {_STOP_SECONDS * 5} ]; do
  sleep 0.2
  tries=$((tries + 1))
done
kill -s KILL -- "-$group" 2> /dev/null
rm -rf "$1"
"""


class StoppedError(Exception):
    """Why everything was stopped, in one sentence."""


@dataclass
class Child:
    """A process that has to live.

    Attributes:
        name: For messages.
        command: What is started.
        process: The one that lives now.
        socket: Its Unix socket, which a process that was killed leaves in the way of the next.
        deaths: When those before it died.
    """

    name: str
    command: list[str]
    process: subprocess.Popen[bytes]
    socket: Path | None = None
    deaths: list[float] = field(default_factory=list)


class ProcessGroup:
    """Children in one process group, with all that they start.

    A terminal's Ctrl-C reaches the supervisor alone, which then ends them in one way.
    """

    def __init__(self, lock: int, folder: Path) -> None:
        """Start the guard.

        Args:
            lock: A file that stays open, and so locked, until the last child has ended.
            folder: Is removed then.
        """
        self._guard = subprocess.Popen(  # noqa: S603 - text of this module
            ["/bin/sh", "-c", _GUARD, "guard", str(folder)],
            stdin=subprocess.PIPE,
            pass_fds=[lock],
            start_new_session=True,
        )
        self._children: list[Child] = []
        self._group = 0

    def start(self, name: str, command: list[str], socket: Path | None = None) -> Child:
        """Start a child; `socket` is where it listens, if that is a file."""
        child = Child(name, command, self._open(command), socket)
        self._children.append(child)
        return child

    def refuse_what_ended(self) -> None:
        """Raise when a child has ended: before the first is up, a restart would end like it."""
        for child in self._children:
            if (code := child.process.poll()) is not None:
                raise StoppedError(
                    f"The {child.name} ended with code {code} while it started. "
                    "See its output above."
                )

    def restart_what_ended(self, stop: threading.Event) -> None:
        """Start each child again that has ended; raise when one does not stay up."""
        for child in self._children:
            if (code := child.process.poll()) is None:
                continue
            now = time.monotonic()
            child.deaths = [at for at in child.deaths if now - at < _WITHIN_SECONDS] + [now]
            if len(child.deaths) >= _DEATHS:
                raise StoppedError(
                    f"The {child.name} ended {_DEATHS} times within a minute, the last time with "
                    f"code {code}, so everything is stopped. See its output above."
                )
            delay = _FIRST_DELAY_SECONDS * 2 ** (len(child.deaths) - 1)
            click.echo(f"The {child.name} ended with code {code}; it starts again in {delay:g} s.")
            if stop.wait(delay):
                return
            if child.socket:
                child.socket.unlink(missing_ok=True)
            child.process = self._open(child.command)

    def stop(self) -> None:
        """End the children and all that they started: SIGTERM, and after some seconds SIGKILL."""
        assert self._guard.stdin
        self._guard.stdin.close()
        for child in self._children:
            try:
                child.process.wait(_STOP_SECONDS + 5)
            except subprocess.TimeoutExpired:  # somebody killed the guard
                child.process.kill()
                child.process.wait()
        self._guard.wait()

    def _open(self, command: list[str]) -> subprocess.Popen[bytes]:
        try:
            process = self._popen(command, self._group)
        except (PermissionError, ProcessLookupError):  # all died at once, and the group with them
            process = self._popen(command, 0)
            self._group = 0
        if not self._group:
            self._group = process.pid
            assert self._guard.stdin
            self._guard.stdin.write(f"{self._group}\n".encode())
            self._guard.stdin.flush()
        return process

    def _popen(self, command: list[str], group: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - commands of the supervisor
            command, stdin=subprocess.DEVNULL, process_group=group
        )
