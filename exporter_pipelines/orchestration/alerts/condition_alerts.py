"""The sensor that finds problems outside of runs, and sends the heartbeat."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import dagster as dg

from exporter_pipelines import alert_settings, settings
from exporter_pipelines.docs_links import linked
from exporter_pipelines.notifications.heartbeat import send_heartbeat
from exporter_pipelines.notifications.kinds import KINDS
from exporter_pipelines.notifications.message import Message, Problem, alert, resolution
from exporter_pipelines.orchestration.alerts.conditions import (
    WATCHED,
    is_published,
    missing_days,
    unreachable_sources,
)
from exporter_pipelines.orchestration.alerts.incidents import Incident
from exporter_pipelines.orchestration.alerts.memory import Memory, Notifier, cannot_send
from exporter_pipelines.orchestration.alerts.run_alerts import NAME as RUN_ALERTS
from exporter_pipelines.orchestration.exports.broken_asset import CHECK
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.stores.opening import open_store

NAME = "condition_alerts_sensor"

_STUCK_S = 3600.0
"""Alerting is unhealthy with an older unsent message, or after a longer silent time."""
_SILENT_S = 600.0


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=linked(
        "Sends alerts about missing exports, unreachable databases, low disk space, failing "
        "sensors and broken definitions, and a message when they are resolved. Then pings "
        "EXPORTER_ALERT_HEARTBEAT_URL. See docs/alerts.md."
    ),
)
def condition_alerts_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Check all conditions once."""
    if skipped := cannot_send(context.log):
        return skipped
    memory = Memory.of(context.instance, NAME)
    runs = Memory.of(context.instance, RUN_ALERTS)
    notifier = Notifier(memory, context.log)
    notifier.queue(_missing(context, memory, set(runs.open)))
    notifier.queue(_sources(memory))
    for kind, find in WATCHED.items():
        found = find(context.instance, set(memory.open))
        notifier.queue(_watched(context.instance, memory, kind, found))
    memory.save()
    summary = notifier.deliver()
    if url := alert_settings.alert_heartbeat_url():
        problem = _unhealthy(notifier, runs) or send_heartbeat(url)
        if problem:
            context.log.warning(problem)
        summary += f" {problem}." if problem else " Heartbeat sent."
    return dg.SkipReason(summary)


def _missing(
    context: dg.SensorEvaluationContext, memory: Memory, open_of_runs: set[Incident]
) -> Iterator[Message]:
    assert context.repository_def
    store, partitions = open_store(), daily_partitions()
    found = missing_days(context.instance, context.repository_def, open_of_runs)
    for incident, why in memory.begin(found).items():
        yield _alert(incident, why)
    # A day that is out of range now will never be exported.
    memory.end(
        lambda each: each.kind == "yesterday_missing" and not partitions.has_partition_key(each.day)
    )
    for kind, name, day, _ in memory.end(
        lambda each: each.kind == "yesterday_missing" and is_published(store, *each[1:3])
    ):
        yield _resolution(kind, name, day)


def _sources(memory: Memory) -> Iterator[Message]:
    found, tried = unreachable_sources()
    # A short restart of the database sends no alert: it must be unreachable in two ticks.
    before = set(memory.extra.get("unreachable", []))
    memory.extra["unreachable"] = sorted(each.subject for each in found)
    lasting = {each: why for each, why in found.items() if each.subject in before}
    for incident, why in memory.begin(lasting).items():
        yield _alert(incident, why)
    for kind, subject, _, _ in memory.end(
        lambda each: (
            each.kind == "source_unreachable" and each.subject in tried and each not in found
        )
    ):
        yield _resolution(kind, subject)


def _watched(
    instance: dg.DagsterInstance, memory: Memory, kind: str, found: Mapping[Incident, str]
) -> Iterator[Message]:
    for incident, why in memory.begin(found).items():
        if kind == "broken_definition":
            _show_on_asset(instance, incident.subject, why)
        yield _alert(incident, why)
    for _, subject, _, _ in memory.end(lambda each: each.kind == kind and each not in found):
        yield _resolution(kind, subject)


def _show_on_asset(instance: dg.DagsterInstance, dataset: str, why: str) -> None:
    """Let the page of the asset show the failure, although no run has failed."""
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(dataset), check_name=CHECK, passed=False, description=why
        )
    )


def _alert(incident: Incident, why: str) -> Message:
    problem = Problem(incident.kind, incident.subject, [(incident.day, why)])
    return alert([problem], _page(incident.kind, incident.subject))


def _resolution(kind: str, subject: str, *days: str) -> Message:
    return resolution([(kind, subject, days)], _page(kind, subject))


def _page(kind: str, subject: str) -> str:
    return settings.ui_url() + KINDS[kind].page.format(subject=subject)


def _unhealthy(notifier: Notifier, runs: Memory) -> str | None:
    """Why no heartbeat is sent; None while alerting is healthy."""
    now = time.time()
    if now - runs.extra.get("ticked_at", 0.0) > _SILENT_S:
        return f"No heartbeat: {RUN_ALERTS} has not run for 10 minutes"
    if notifier.receivers and not any(each.usable for each in notifier.receivers):
        return "No heartbeat: no receiver URL is valid"
    for outbox in (notifier.memory.outbox, runs.outbox):
        since = outbox.waits_since()
        if since is not None and now - since > _STUCK_S:
            return "No heartbeat: a message has waited for a receiver for over an hour"
    return None
