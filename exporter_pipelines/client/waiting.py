"""Waits for something that the service runs: an export, or a build of a training set."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from exporter_pipelines.service.models import Export, TrainingSetBuild

ENDED = frozenset({"completed", "held", "failed", "cancelled"})
"""States that will not change."""

AWAY_S = 120.0
"""How long a wait tolerates that the service is away, as while it is restarted."""

Followed = TypeVar("Followed", Export, TrainingSetBuild)


def wait_until_ended(
    ask: Callable[[float | None], Followed],
    on_progress: Callable[[Followed], Any] | None,
    *,
    what: str,
    every_s: float,
    timeout_s: float | None,
) -> Followed:
    """Ask until it has ended, and return it.

    Args:
        ask: Asks the service once; gets the seconds that are left, None without a limit.
        on_progress: Called with each answer.
        what: Its name in an error.
        every_s: Seconds between the beginnings of two questions.
        timeout_s: Give up after this time; the work goes on.

    Raises:
        TimeoutError: it has not ended within `timeout_s`.
    """
    ends = time.monotonic() + timeout_s if timeout_s is not None else None
    while True:
        asked = time.monotonic()
        found = ask(ends - asked if ends is not None else None)
        if on_progress:
            on_progress(found)
        if found.status in ENDED:
            return found
        if ends is not None and time.monotonic() + every_s > ends:
            raise TimeoutError(f"{what} is {found.status} after {timeout_s:g} s")
        time.sleep(max(every_s - (time.monotonic() - asked), 0))
