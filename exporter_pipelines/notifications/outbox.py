"""Messages on their way: kept until each receiver has taken them, and sent to none twice.

A receiver gets its messages in order. One that is down is tried again after 30 s, 60 s, 120 s and
so on up to an hour, without keeping the others waiting. What is older than a week, or beyond 500
messages, is given up and said to be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from exporter_pipelines.notifications.message import Message
from exporter_pipelines.notifications.receivers import Receiver, send_all

FIRST_WAIT_S = 30.0
_LONGEST_WAIT_S = 3600.0
_MOST_MESSAGES = 500
_LONGEST_LIFE_S = 7 * 86400.0
_TICK_BUDGET_S = 20.0
"""No round begins after that: Dagster ends a tick after 60 s."""


@dataclass
class _Waiting:
    """A message and who has not taken it yet.

    Attributes:
        message: What is sent.
        since: Unix time at which it was written.
        pending: Ids of receivers.
    """

    message: Message
    since: float
    pending: list[str]


@dataclass
class Outbox:
    """What waits, oldest first, and which receivers are down.

    Attributes:
        waiting: Not yet taken by all.
        down: Receiver id -> [failures in a row, Unix time of the next attempt].
    """

    waiting: list[_Waiting] = field(default_factory=list)
    down: dict[str, list[float]] = field(default_factory=dict)

    def add(self, message: Message, receivers: Sequence[Receiver]) -> None:
        """Keep a message for those receivers that can be used."""
        pending = [receiver.id for receiver in receivers if receiver.usable]
        if pending:
            self.waiting.append(_Waiting(message, time.time(), pending))

    def give_up(self, receivers: Sequence[Receiver]) -> int:
        """Forget removed receivers and what has waited too long; how many messages were lost."""
        known = {receiver.id for receiver in receivers if receiver.usable}
        for waiting in self.waiting:
            waiting.pending = [each for each in waiting.pending if each in known]
        self.down = {each: state for each, state in self.down.items() if each in known}
        self._forget_taken()
        oldest = time.time() - _LONGEST_LIFE_S
        kept = [each for each in self.waiting if each.since > oldest][-_MOST_MESSAGES:]
        lost, self.waiting = len(self.waiting) - len(kept), kept
        return lost

    def deliver(self, receivers: Sequence[Receiver], save: Callable[[], None]) -> list[str]:
        """Send what is due, in rounds of one message per receiver.

        Args:
            receivers: Those of now.
            save: Called after each round, so that nothing is sent again after a crash.

        Returns:
            What went wrong, one sentence per receiver.
        """
        problems, deadline = [], time.monotonic() + _TICK_BUDGET_S
        while time.monotonic() < deadline and (due := self._due(receivers)):
            outcomes = send_all({receiver: each.message for receiver, each in due.items()})
            for receiver, problem in outcomes.items():
                if problem is None:
                    due[receiver].pending.remove(receiver.id)
                    self.down.pop(receiver.id, None)
                else:
                    problems.append(f"{receiver.label} {problem}; {self._wait(receiver)}.")
            self._forget_taken()
            save()
        return problems

    def waits_since(self) -> float | None:
        """Unix time of the oldest message that somebody has not taken; None when all have."""
        return self.waiting[0].since if self.waiting else None

    def to_json(self) -> dict[str, Any]:
        """For storage."""
        return {"waiting": [asdict(each) for each in self.waiting], "down": self.down}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """As stored by `to_json`."""
        waiting = [
            _Waiting(Message(**each["message"]), each["since"], each["pending"])
            for each in stored.get("waiting", [])
        ]
        return cls(waiting, stored.get("down", {}))

    def _due(self, receivers: Sequence[Receiver]) -> dict[Receiver, _Waiting]:
        due, now = {}, time.time()
        for receiver in receivers:
            if self.down.get(receiver.id, [0, 0])[1] > now:
                continue
            first = next((each for each in self.waiting if receiver.id in each.pending), None)
            if first:
                due[receiver] = first
        return due

    def _wait(self, receiver: Receiver) -> str:
        failures = self.down.get(receiver.id, [0, 0])[0] + 1
        wait_s = min(FIRST_WAIT_S * 2 ** min(failures - 1, 20), _LONGEST_WAIT_S)
        self.down[receiver.id] = [failures, time.time() + wait_s]
        return f"tried again in {wait_s:g} s"

    def _forget_taken(self) -> None:
        self.waiting = [each for each in self.waiting if each.pending]
