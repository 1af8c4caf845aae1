"""Stores messages until each receiver has accepted them.

A receiver gets its messages in order. One that is down is retried after 30 s, 60 s, 120 s and so on
up to an hour, without delaying the others. Messages older than a week, or beyond 500, are dropped
and counted.
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
"""No further round begins after this time: Dagster ends a tick after 60 s."""


@dataclass
class _Waiting:
    """A message and the receivers that have not accepted it yet.

    Attributes:
        message: The message.
        since: Unix time at which it was created.
        pending: Ids of the receivers.
    """

    message: Message
    since: float
    pending: list[str]


@dataclass
class Outbox:
    """Waiting messages, oldest first, and the receivers that are down.

    Attributes:
        waiting: Messages that at least one receiver has not accepted.
        down: Receiver id -> [consecutive failures, Unix time of the next attempt].
    """

    waiting: list[_Waiting] = field(default_factory=list)
    down: dict[str, list[float]] = field(default_factory=dict)

    def add(self, message: Message, receivers: Sequence[Receiver]) -> None:
        """Store a message for all usable receivers."""
        pending = [receiver.id for receiver in receivers if receiver.usable]
        if pending:
            self.waiting.append(_Waiting(message, time.time(), pending))

    def drop_expired(self, receivers: Sequence[Receiver]) -> int:
        """Remove deleted receivers and expired messages; returns the number of lost messages."""
        known = {receiver.id for receiver in receivers if receiver.usable}
        for waiting in self.waiting:
            waiting.pending = [each for each in waiting.pending if each in known]
        self.down = {each: state for each, state in self.down.items() if each in known}
        self._remove_accepted()
        oldest = time.time() - _LONGEST_LIFE_S
        kept = [each for each in self.waiting if each.since > oldest][-_MOST_MESSAGES:]
        lost, self.waiting = len(self.waiting) - len(kept), kept
        return lost

    def deliver(self, receivers: Sequence[Receiver], save: Callable[[], None]) -> list[str]:
        """Send the messages that are due, in rounds of one message per receiver.

        Args:
            receivers: The configured receivers.
            save: Called after each round, so that a crash does not send messages again.

        Returns:
            The problems, one sentence per receiver.
        """
        problems, deadline = [], time.monotonic() + _TICK_BUDGET_S
        while time.monotonic() < deadline and (due := self._due(receivers)):
            outcomes = send_all({receiver: each.message for receiver, each in due.items()})
            for receiver, problem in outcomes.items():
                if problem is None:
                    due[receiver].pending.remove(receiver.id)
                    self.down.pop(receiver.id, None)
                else:
                    problems.append(f"{receiver.label} {problem}; {self._postpone(receiver)}.")
            self._remove_accepted()
            save()
        return problems

    def waits_since(self) -> float | None:
        """Unix time of the oldest waiting message; None if there is none."""
        return self.waiting[0].since if self.waiting else None

    def to_json(self) -> dict[str, Any]:
        """As JSON, for storage."""
        return {"waiting": [asdict(each) for each in self.waiting], "down": self.down}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """From the result of `to_json`."""
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

    def _postpone(self, receiver: Receiver) -> str:
        failures = self.down.get(receiver.id, [0, 0])[0] + 1
        wait_s = min(FIRST_WAIT_S * 2 ** min(failures - 1, 20), _LONGEST_WAIT_S)
        self.down[receiver.id] = [failures, time.time() + wait_s]
        return f"next attempt in {wait_s:g} s"

    def _remove_accepted(self) -> None:
        self.waiting = [each for each in self.waiting if each.pending]
