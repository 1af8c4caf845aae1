"""The sensor that reads finished runs, and sends alerts and resolved messages.

A run is read when it has ended, so a range of a hundred bad days is one message. Warnings about
days before the late-data window of their dataset are history, and send none.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from typing import Literal

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.defs_files import exported_names
from exporter_pipelines.docs_links import linked
from exporter_pipelines.notifications.kinds import KINDS
from exporter_pipelines.notifications.message import Message, alert, resolution
from exporter_pipelines.orchestration.alerts.alert_groups import all_resolved, reported
from exporter_pipelines.orchestration.alerts.ended_run import EndedRun, read_run
from exporter_pipelines.orchestration.alerts.incidents import Incident, found_in, resolved_by
from exporter_pipelines.orchestration.alerts.memory import Memory, Notifier, cannot_send
from exporter_pipelines.orchestration.alerts.recorded_days import recorded_without_run
from exporter_pipelines.orchestration.alerts.run_problems import problems_of, without_history
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
    description=linked(
        "Sends alerts about failed runs, held days, failed checks, many rejected rows and "
        "slow exports, and a message when they are resolved. Messages go to this log and to "
        "EXPORTER_ALERT_URLS. See docs/alerts.md."
    ),
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
    for storage_id, record in _ended(context.instance, memory):
        if record:
            ended = read_run(context.instance, record, datasets)
            notifier.queue(_messages(context.instance, ended, datasets, memory))
        _remember_seen(memory, storage_id)
        memory.save()
        if time.monotonic() > deadline:
            break
    notifier.queue(_recorded(context.instance, memory))
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
    loud = without_history(found, datasets)
    begun = memory.begin({**loud, **dict.fromkeys(slow, "")}, ended.ended_at)
    messages = []
    if begun:
        reported(memory, begun)
        messages.append(alert(problems_of(ended, begun, slow), link))
    if over := all_resolved(memory, resolved):
        messages.append(resolution(_by_kind(over), link))
    return messages


def _recorded(instance: dg.DagsterInstance, memory: Memory) -> Iterator[Message]:
    """The message that days were recorded without a run; updates `memory`."""
    recorded = recorded_without_run(instance, memory.open)
    over = all_resolved(memory, memory.end(recorded.__contains__)) if recorded else []
    if over:
        yield resolution(_by_kind(over), f"{settings.ui_url()}/assets")


def _by_kind(incidents: Iterable[Incident]) -> list[tuple[str, str, list[str]]]:
    """(kind, subject, days), the worst kind first."""
    days: dict[tuple[str, str], set[str]] = {}
    for kind, subject, day, _ in incidents:
        days.setdefault((kind, subject), set()).update(filter(None, [day]))
    ranks = [*KINDS]
    worst_first = sorted(days, key=lambda each: (ranks.index(each[0]), each[1]))
    return [(kind, subject, sorted(days[kind, subject])) for kind, subject in worst_first]


def _newest(instance: dg.DagsterInstance) -> int:
    found = (instance.fetch_run_status_changes(end, limit=1).records for end in _ENDS)
    return max((record.storage_id for records in found for record in records), default=0)


def _ended(
    instance: dg.DagsterInstance, memory: Memory
) -> Iterator[tuple[int, dg.RunRecord | None]]:
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
            yield storage_id, instance.get_run_record_by_id(ends[storage_id])


def _remember_seen(memory: Memory, storage_id: int) -> None:
    seen = [*memory.extra["seen"], storage_id]
    memory.extra["seen"] = [each for each in seen if each >= max(seen) - _OVERLAP]
