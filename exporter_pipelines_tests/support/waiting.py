"""Waiting for something to become true, with a deadline: the only place that does it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


def wait_until(
    condition: Callable[[], _T],
    what: str,
    *,
    seconds: float = 120,
    every: float = 0.1,
    process: subprocess.Popen[Any] | None = None,
) -> _T:
    """The first true value of a condition.

    What follows may rely on the condition alone: a state that is reached a moment later, such as
    that of a run whose backfill has ended, needs to be a part of it.

    Args:
        condition: Asked again and again.
        what: The end of "waited until ...", for the message.
        seconds: Until it is given up. Long, since a busy machine may be ten times slower.
        every: Seconds between two questions.
        process: While it runs; its error output is in the message if it ends before.

    Raises:
        TimeoutError: the time is over.
        ChildProcessError: the process has ended.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if process and process.poll() is not None:
            raise ChildProcessError(f"ended before {what}:\n{_error_output(process)}")
        if time.monotonic() > deadline:
            if process:
                process.kill()
            said = f":\n{_error_output(process)}" if process else f"; now it is {found!r}"
            raise TimeoutError(f"waited {seconds:g} s until {what}{said}")
        time.sleep(every)
    return found


def _error_output(process: subprocess.Popen[Any]) -> str:
    return str(process.communicate()[1] or "")
