"""The sensor that looks at what no run tells, and gives the sign of life."""

from __future__ import annotations

import time
from collections.abc import Iterator

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.notifications.heartbeat import beat
from exporter_pipelines.notifications.message import Message, alert, recovery
from exporter_pipelines.orchestration.alerts.conditions import (
    is_published,
    little_disk,
    missing_days,
    unreachable_sources,
)
from exporter_pipelines.orchestration.alerts.incidents import Incident
from exporter_pipelines.orchestration.alerts.memory import Desk, Memory, cannot_send
from exporter_pipelines.orchestration.alerts.run_alerts import NAME as RUN_ALERTS
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.stores.local.store import LocalStore

NAME = "condition_alerts_sensor"

_STUCK_S = 3600.0
"""With a message that old, or a sensor that silent, alerting counts as dead."""
_SILENT_S = 600.0


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells when yesterday is missing although its schedule is on, when a source cannot "
    "be reached and when little disk is left, and when that is over; then asks for "
    "EXPORTER_ALERT_HEARTBEAT_URL. See docs/alerts.md.",
)
def condition_alerts_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Look once at everything."""
    if skipped := cannot_send(context.log):
        return skipped
    memory = Memory.of(context.instance, NAME)
    runs = Memory.of(context.instance, RUN_ALERTS)
    desk = Desk(memory, context.log)
    desk.tell(_missing(context, memory, set(runs.told)))
    desk.tell(_sources(memory))
    desk.tell(_disk(memory))
    memory.save()
    said = desk.deliver()
    if url := settings.alert_heartbeat_url():
        problem = _dead(desk, runs) or beat(url)
        if problem:
            context.log.warning(problem)
        said += f" {problem}." if problem else " Heartbeat sent."
    return dg.SkipReason(said)


def _missing(
    context: dg.SensorEvaluationContext, memory: Memory, told_of_runs: set[Incident]
) -> Iterator[Message]:
    assert context.repository_def
    store, partitions = LocalStore(settings.output_root()), daily_partitions()
    found = missing_days(context.instance, context.repository_def, told_of_runs)
    for incident, why in memory.begin(found).items():
        _, name, day, _ = incident
        yield alert("yesterday_missing", name, days=[day], why=[why], link=_page(name))
    # A day that is out of range by now will never be well, and nobody asks for it.
    memory.end(
        lambda each: each.kind == "yesterday_missing" and not partitions.has_partition_key(each.day)
    )
    for kind, name, day, _ in memory.end(
        lambda each: each.kind == "yesterday_missing" and is_published(store, *each[1:3])
    ):
        yield recovery(name, [(kind, [day])], _page(name))


def _sources(memory: Memory) -> Iterator[Message]:
    found, tried = unreachable_sources()
    # A restart of the database is no alarm: it must be gone at two ticks in a row.
    before = set(memory.extra.get("unreachable", []))
    memory.extra["unreachable"] = sorted(each.subject for each in found)
    lasting = {each: why for each, why in found.items() if each.subject in before}
    link = f"{settings.ui_url()}/runs"
    for incident, why in memory.begin(lasting).items():
        yield alert(incident.kind, incident.subject, why=[why], link=link)
    for kind, subject, _, _ in memory.end(
        lambda each: (
            each.kind == "source_unreachable" and each.subject in tried and each not in found
        )
    ):
        yield recovery(subject, [(kind, [])], link)


def _disk(memory: Memory) -> Iterator[Message]:
    found, link = little_disk(set(memory.told)), f"{settings.ui_url()}/assets"
    for incident, why in memory.begin(found).items():
        yield alert(incident.kind, incident.subject, why=[why], link=link)
    for kind, subject, _, _ in memory.end(lambda e: e.kind == "low_disk" and e not in found):
        yield recovery(subject, [(kind, [])], link)


def _page(dataset: str) -> str:
    return f"{settings.ui_url()}/assets/{dataset}?view=partitions"


def _dead(desk: Desk, runs: Memory) -> str | None:
    """Why an outside watcher should be worried, and no heartbeat is sent."""
    now = time.time()
    if now - runs.extra.get("ticked_at", 0.0) > _SILENT_S:
        return f"no heartbeat: {RUN_ALERTS} does not tick"
    if desk.receivers and not any(receiver.usable for receiver in desk.receivers):
        return "no heartbeat: no receiver can be used"
    for outbox in (desk.memory.outbox, runs.outbox):
        since = outbox.waits_since()
        if since is not None and now - since > _STUCK_S:
            return "no heartbeat: a message has been waiting for a receiver for over an hour"
    return None
