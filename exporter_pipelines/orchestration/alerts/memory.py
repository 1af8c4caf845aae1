"""What the alerts remember between ticks: what was told, and what is on its way.

It lies in the key-value table of Dagster's run storage and not in a sensor's cursor: Dagster keeps
a copy of the cursor with every tick, and writes it only after the tick, so that a daemon that is
killed in between would tell everything again.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.extras import MissingExtraError, is_installed
from exporter_pipelines.notifications.message import Message
from exporter_pipelines.notifications.outbox import Outbox
from exporter_pipelines.notifications.receivers import Receiver, open_receivers
from exporter_pipelines.orchestration.alerts.incidents import Incident
from exporter_pipelines.orchestration.dagster_internals.stored_values import (
    read_value,
    write_value,
)

_MOST_INCIDENTS = 5000
"""Beyond that, the oldest are forgotten: nothing then tells that they are over."""


@dataclass
class Memory:
    """Of one sensor; no other writes it.

    Attributes:
        instance: Where it lies.
        key: Its name there.
        told: Incidents that are not over -> Unix time at which they were told.
        outbox: What is on its way.
        extra: What else the sensor remembers; JSON.
        is_new: Whether nothing was remembered.
    """

    instance: dg.DagsterInstance
    key: str
    told: dict[Incident, float] = field(default_factory=dict)
    outbox: Outbox = field(default_factory=Outbox)
    extra: dict[str, Any] = field(default_factory=dict)
    is_new: bool = True

    @classmethod
    def of(cls, instance: dg.DagsterInstance, sensor: str) -> Self:
        """What a sensor remembers."""
        key = f"exporter_pipelines/alerts/{sensor}"
        text = read_value(instance, key)
        if text is None:
            return cls(instance, key)
        stored = json.loads(text)
        told = {Incident(*each): since for *each, since in stored["told"]}
        outbox = Outbox.from_json(stored["outbox"])
        return cls(instance, key, told, outbox, stored["extra"], is_new=False)

    def save(self) -> None:
        """Write it, in one statement."""
        told = sorted(self.told.items(), key=lambda item: item[1])[-_MOST_INCIDENTS:]
        stored = {
            "told": [[*incident, since] for incident, since in told],
            "outbox": self.outbox.to_json(),
            "extra": self.extra,
        }
        write_value(self.instance, self.key, json.dumps(stored))

    def begin(self, found: Mapping[Incident, str]) -> dict[Incident, str]:
        """Remember incidents; those that were not known yet."""
        new = {incident: why for incident, why in found.items() if incident not in self.told}
        self.told.update(dict.fromkeys(new, time.time()))
        return new

    def end(self, over: Callable[[Incident], bool]) -> list[Incident]:
        """Forget the incidents that are over, and name them."""
        ended = sorted(incident for incident in self.told if over(incident))
        for incident in ended:
            del self.told[incident]
        return ended


def cannot_send(log: logging.Logger) -> dg.SkipReason | None:
    """Why a tick that has receivers must wait; it reads and forgets nothing until then."""
    if not settings.alert_urls() or is_installed("alerts"):
        return None
    problem = f"{MissingExtraError('alerts')} Alerts are kept until then."
    log.error(problem)
    return dg.SkipReason(problem)


@dataclass
class Desk:
    """Writes messages to the log of the tick and to the receivers.

    Attributes:
        memory: Keeps what is on its way.
        log: Of the tick.
        receivers: Of this moment.
        told: How many messages this tick wrote.
    """

    memory: Memory
    log: logging.Logger
    receivers: list[Receiver] = field(default_factory=lambda: open_receivers(settings.alert_urls()))
    told: int = 0

    def tell(self, messages: Iterable[Message]) -> None:
        """Log messages and put them into the outbox; the caller saves the memory."""
        for message in messages:
            level = logging.INFO if message.level == "success" else logging.WARNING
            self.log.log(level, f"{message.title}\n{message.body}")
            self.memory.outbox.add(message, self.receivers)
            self.told += 1

    def deliver(self) -> str:
        """Send what is due; how the tick went, in one sentence or more."""
        said = [f"{self.told} messages." if self.told else "Nothing new."]
        if lost := self.memory.outbox.give_up(self.receivers):
            self.log.error(f"{lost} messages were given up: a receiver was down for too long.")
            said.append(f"{lost} messages were given up.")
        unusable = [r.label for r in self.receivers if not r.usable]
        said += [
            f"{label} is not a URL that Apprise knows: see docs/alerts.md." for label in unusable
        ]
        problems = self.memory.outbox.deliver(self.receivers, self.memory.save)
        for problem in problems:
            self.log.warning(problem)
        self.memory.save()
        return " ".join([*said, *problems])
