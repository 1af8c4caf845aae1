"""The sensor that reads finished runs, and sends alerts and resolved messages.

A run is read when it has ended, so a range of a hundred bad days is one message per dataset and
kind.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import groupby
from typing import Literal

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.defs_files import exported_names
from exporter_pipelines.notifications.message import Message, alert, resolution
from exporter_pipelines.orchestration.alerts.ended_run import EndedRun, read_run
from exporter_pipelines.orchestration.alerts.incidents import Incident, found_in, resolved_by
from exporter_pipelines.orchestration.alerts.memory import Memory, Notifier, cannot_send
from exporter_pipelines.orchestration.alerts.slow_exports import judge_speed

NAME = "run_alerts_sensor"

_End = Literal[
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
]

_ENDS: tuple[_End, ...] = (
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
)
_OVERLAP = 100
"""Number of events to read again: PostgreSQL may show an event before one with a smaller id."""
_MOST_RUNS = 50
_TICK_BUDGET_S = 20.0
"""No further run is read after this time; the next tick continues."""


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends alerts about failed runs, held days, failed checks, many rejected rows and "
    "slow exports, and a message when they are resolved. Messages go to this log and to "
    "EXPORTER_ALERT_URLS. See docs/alerts.md.",
)
def run_alerts_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Read the runs that have ended since the last tick."""
    if skipped := cannot_send(context.log):
        return skipped
    memory = Memory.of(context.instance, NAME)
    notifier = Notifier(memory, context.log)
    if memory.is_new:
        # Runs that ended before the first tick send no alerts.
        memory.extra = {"floor": _newest(context.instance), "seen": []}
    datasets, deadline = set(exported_names()), time.monotonic() + _TICK_BUDGET_S
    for storage_id, run in _ended(context.instance, memory):
        if run:
            ended = read_run(context.instance, run, datasets)
            notifier.queue(_messages(context.instance, ended, datasets, memory))
        _remember_seen(memory, storage_id)
        memory.save()
        if time.monotonic() > deadline:
            break
    memory.extra["ticked_at"] = time.time()
    return dg.SkipReason(notifier.deliver())


def _messages(
    instance: dg.DagsterInstance, ended: EndedRun, datasets: set[str], memory: Memory
) -> list[Message]:
    """The messages about a run; updates `memory`."""
    found = found_in(ended, datasets)
    slow, compared = judge_speed(instance, ended, datasets)
    is_resolved = resolved_by(ended, datasets, found)
    resolved = memory.end(
        lambda each: (
            each.subject in compared and each not in slow
            if each.kind == "slow_export"
            else is_resolved(each)
        )
    )
    link = f"{settings.ui_url()}/runs/{ended.run.run_id}"
    begun = memory.begin({**found, **slow})
    return [*_alerts(begun, link), *_resolutions(resolved, link)]


def _alerts(begun: dict[Incident, str], link: str) -> Iterator[Message]:
    for (kind, subject), group in groupby(begun, key=lambda each: (each.kind, each.subject)):
        incidents = list(group)
        days = sorted({each.day for each in incidents if each.day})
        yield alert(kind, subject, days=days, why=_reasons(incidents, begun), link=link)


def _reasons(incidents: list[Incident], why: dict[Incident, str]) -> list[str]:
    """One reason per day; a single one if all days have the same."""
    if len({why[each] for each in incidents}) == 1:
        return [why[incidents[0]]]
    return [f"{each.day}: {why[each]}" if each.day else why[each] for each in incidents]


def _resolutions(resolved: list[Incident], link: str) -> Iterator[Message]:
    by_subject = sorted(resolved, key=lambda each: (each.subject, each.kind, each.day))
    for subject, group in groupby(by_subject, key=lambda each: each.subject):
        what = [
            (kind, sorted({each.day for each in same if each.day}))
            for kind, same in groupby(group, key=lambda each: each.kind)
        ]
        yield resolution(subject, what, link)


def _newest(instance: dg.DagsterInstance) -> int:
    found = (instance.fetch_run_status_changes(end, limit=1).records for end in _ENDS)
    return max((record.storage_id for records in found for record in records), default=0)


def _ended(
    instance: dg.DagsterInstance, memory: Memory
) -> Iterator[tuple[int, dg.DagsterRun | None]]:
    """Runs that ended since the last tick, in the order in which they ended."""
    floor, seen = memory.extra["floor"], memory.extra["seen"]
    after = max(floor, max(seen, default=0) - _OVERLAP)
    ends, horizon = {}, math.inf
    for end in _ENDS:
        asked = dg.RunStatusChangeRecordsFilter(end, after_storage_id=after)
        found = instance.fetch_run_status_changes(asked, limit=_MOST_RUNS, ascending=True).records
        ends.update({record.storage_id: record.run_id for record in found})
        if len(found) == _MOST_RUNS:
            # There may be more events of this type, older than those of another type.
            horizon = min(horizon, found[-1].storage_id)
    for storage_id in sorted(ends.keys() - set(seen)):
        if storage_id <= horizon:
            yield storage_id, instance.get_run_by_id(ends[storage_id])


def _remember_seen(memory: Memory, storage_id: int) -> None:
    seen = [*memory.extra["seen"], storage_id]
    memory.extra["seen"] = [each for each in seen if each >= max(seen) - _OVERLAP]
