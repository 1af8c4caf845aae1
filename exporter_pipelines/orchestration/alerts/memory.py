"""State of an alert sensor between ticks: open incidents, and messages that wait for a receiver.

The state is stored in Dagster's run storage and not in the cursor of the sensor. Dagster stores a
copy of the cursor with every tick, and writes the cursor only when the tick ends. A daemon that is
killed during a tick would then send its messages again.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import dagster as dg

from exporter_pipelines import alert_settings
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
"""The oldest incidents beyond this limit are dropped, and no message reports their end."""


@dataclass
class Memory:
    """The state of one sensor.

    Attributes:
        instance: Stores the state.
        key: Name of the state in the storage.
        open: Unresolved incident -> Unix time at which it began.
        outbox: Messages that wait for a receiver.
        extra: Other values of the sensor; JSON.
        is_new: Whether no state was stored.
    """

    instance: dg.DagsterInstance
    key: str
    open: dict[Incident, float] = field(default_factory=dict)
    outbox: Outbox = field(default_factory=Outbox)
    extra: dict[str, Any] = field(default_factory=dict)
    is_new: bool = True

    @classmethod
    def of(cls, instance: dg.DagsterInstance, sensor: str) -> Self:
        """Load the state of a sensor."""
        key = f"exporter_pipelines/alerts/{sensor}"
        text = read_value(instance, key)
        if text is None:
            return cls(instance, key)
        stored = json.loads(text)
        incidents = {Incident(*each): since for *each, since in stored["told"]}
        outbox = Outbox.from_json(stored["outbox"])
        return cls(instance, key, incidents, outbox, stored["extra"], is_new=False)

    def save(self) -> None:
        """Store the state, in one statement."""
        newest = sorted(self.open.items(), key=lambda item: item[1])[-_MOST_INCIDENTS:]
        stored = {
            "told": [[*incident, since] for incident, since in newest],
            "outbox": self.outbox.to_json(),
            "extra": self.extra,
        }
        write_value(self.instance, self.key, json.dumps(stored))

    def begin(
        self, found: Mapping[Incident, str], since: float | None = None
    ) -> dict[Incident, str]:
        """Add incidents, by default as of now, and return those that were not open before."""
        new = {incident: why for incident, why in found.items() if incident not in self.open}
        self.open.update(dict.fromkeys(new, since or time.time()))
        return new

    def end(self, is_resolved: Callable[[Incident], bool]) -> list[Incident]:
        """Remove the resolved incidents, and return them."""
        ended = sorted(incident for incident in self.open if is_resolved(incident))
        for incident in ended:
            del self.open[incident]
        return ended


def cannot_send(log: logging.Logger) -> dg.SkipReason | None:
    """Why the tick must be skipped; skipped ticks lose no alert."""
    if not alert_settings.alert_urls() or is_installed("alerts"):
        return None
    problem = f"{MissingExtraError('alerts')} Alerts are kept until then."
    log.error(problem)
    return dg.SkipReason(problem)


@dataclass
class Notifier:
    """Writes messages to the log of the tick and sends them to the receivers.

    Attributes:
        memory: Its outbox keeps unsent messages.
        log: Log of the tick.
        receivers: The configured receivers.
        queued: Number of messages of this tick.
    """

    memory: Memory
    log: logging.Logger
    receivers: list[Receiver] = field(
        default_factory=lambda: open_receivers(alert_settings.alert_urls())
    )
    queued: int = 0

    def queue(self, messages: Iterable[Message]) -> None:
        """Log messages and add them to the outbox; the caller saves the memory."""
        for message in messages:
            level = logging.INFO if message.level == "success" else logging.WARNING
            self.log.log(level, f"{message.title}\n{message.body}")
            self.memory.outbox.add(message, self.receivers)
            self.queued += 1

    def deliver(self) -> str:
        """Send the messages that are due, and return a summary of the tick."""
        summary = [f"{self.queued} new messages." if self.queued else "No new messages."]
        if lost := self.memory.outbox.drop_expired(self.receivers):
            self.log.error(f"{lost} messages were dropped: a receiver was down for too long.")
            summary.append(f"{lost} messages were dropped.")
        unusable = [r.label for r in self.receivers if not r.usable]
        summary += [
            f"{label} is not a valid Apprise URL: see docs/alerts.md." for label in unusable
        ]
        problems = self.memory.outbox.deliver(self.receivers, self.memory.save)
        for problem in problems:
            self.log.warning(problem)
        self.memory.save()
        return " ".join([*summary, *problems])
