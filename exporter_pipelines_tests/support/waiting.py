"""Waiting for something to become true, with a deadline: the only place that does it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


def wait_until(
    read: Callable[[], _T],
    what: str,
    *,
    until: Callable[[_T], object] = bool,
    seconds: float = 300,
    every: float = 0.1,
    process: subprocess.Popen[Any] | None = None,
) -> _T:
    """The first value that is as wanted.

    What follows may rely on that value alone: a state that is reached a moment later, such as that
    of a run whose backfill has ended, needs to be a part of it.

    Args:
        read: Gives the present value, again and again.
        what: The end of "waited until ...", for the message.
        until: Whether a value is as wanted; by default, whether it is true.
        seconds: Until it is given up. Long, since a busy machine may be ten times slower.
        every: Seconds between two readings.
        process: While it runs; its error output is in the message if it ends before.

    Raises:
        TimeoutError: the time is over.
        ChildProcessError: the process has ended.
    """
    deadline = time.monotonic() + seconds
    while not until(found := read()):
        if process and process.poll() is not None:
            raise ChildProcessError(f"ended before {what}:\n{_error_output(process)}")
        if time.monotonic() > deadline:
            if process:
                process.kill()
            said = f"\n{_error_output(process)}" if process else ""
            raise TimeoutError(f"waited {seconds:g} s until {what}; now it is {found!r}{said}")
        time.sleep(every)
    return found


def _error_output(process: subprocess.Popen[Any]) -> str:
    return str(process.communicate()[1] or "")
