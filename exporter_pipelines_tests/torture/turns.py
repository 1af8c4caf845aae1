"""Tasks in turn, so that a slow server gets the time that a fast one leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from exporter_pipelines_tests.torture.trial import Trial

_TURN_S = 10.0


@dataclass
class Task:
    """A figure to reach on one server.

    Attributes:
        goal, of: The figure, and what is counted, as in 200 and "kills, azurite".
        steps: Takes a step, and yields how much is reached; it may end before the goal.
        beside: Runs during each turn, such as readers.
        reached: What the last step yielded.
        is_done: Whether there is nothing left to do.
    """

    goal: int
    of: str
    steps: Iterator[int]
    beside: Callable[[], AbstractContextManager[object]] = nullcontext
    reached: int = 0
    is_done: bool = False

    def go_on(self, ends: float) -> None:
        """Take steps until a moment of `time.monotonic`, and at least one."""
        with self.beside():
            for reached in self.steps:
                self.reached = reached
                if self.reached >= self.goal:
                    break
                if time.monotonic() >= ends:
                    return
        self.is_done = True


def take_turns(trial: Trial, tasks: Sequence[Task], turn_s: float = _TURN_S) -> None:
    """Go on with each task in turn, until all are done or the time is over."""
    ends = time.monotonic() + trial.left
    waiting = list(tasks)
    while waiting:
        for task in waiting:
            task.go_on(min(time.monotonic() + turn_s, ends))
        waiting = [task for task in waiting if not task.is_done]
        if time.monotonic() >= ends:
            break
    trial.short += [f"{task.reached:,} of {task.goal:,} {task.of}" for task in waiting]
