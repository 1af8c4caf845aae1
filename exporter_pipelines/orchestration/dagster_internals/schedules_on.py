"""The days that a daily schedule should have exported since it was switched on.

Reason: the public API returns neither the state of a schedule nor its past ticks. Dagster's own
    cron iterator handles nights on which 02:15 occurs twice or not at all.
Upstream: https://github.com/dagster-io/dagster/issues/12825
Test: test_alerts.py::test_a_missing_export_of_a_running_schedule_sends_an_alert
"""

from __future__ import annotations

import datetime as dt
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorType, ScheduleInstigatorData
from dagster._utils.schedules import reverse_cron_string_iterator

_TICKS = 3
"""Number of past ticks to check."""


def days_due(
    instance: dg.DagsterInstance, schedule: dg.ScheduleDefinition, until: float
) -> list[str]:
    """The days that a daily schedule should have exported, oldest first.

    Args:
        instance: Stores the state of the schedule.
        schedule: Each tick exports the day before it.
        until: Unix time; later ticks are not due.

    Returns:
        The days of its last ticks since it was switched on; none while it is off.
    """
    since = _on_since(instance, schedule.name)
    if since is None:
        return []
    zone = schedule.execution_timezone or "UTC"
    cron = str(schedule.cron_schedule)
    ticks = takewhile(
        lambda tick: tick.timestamp() > since, reverse_cron_string_iterator(until, cron, zone)
    )
    found = [tick.astimezone(ZoneInfo(zone)).date() for tick in islice(ticks, _TICKS)]
    return sorted({str(date - dt.timedelta(days=1)) for date in found})


def _on_since(instance: dg.DagsterInstance, name: str) -> float | None:
    """Unix time at which a schedule was switched on; None while it is off."""
    on = [
        state.instigator_data.start_timestamp or 0.0
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
        if state.name == name
        and state.is_running
        and isinstance(state.instigator_data, ScheduleInstigatorData)
    ]
    return max(on, default=None)
