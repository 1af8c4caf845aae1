"""Sensors that do nothing, because each of their newest ticks has failed.

Reason: the public API returns no ticks. Dagster shows a failed tick on the page of the sensor only.
Upstream: none found.
Test: test_alerts.py::test_a_sensor_whose_ticks_fail_sends_an_alert_and_is_resolved
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorType, TickStatus

TICKS = 3
"""So many must have failed, one after another: a restart of the code server fails one or two."""

_ENDED = [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE]


def failing_sensors(instance: dg.DagsterInstance) -> Iterator[tuple[str, str]]:
    """(name, class of the error) of each sensor that is on and fails; the text may quote a row."""
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        if not state.is_running:
            continue
        ticks = instance.get_ticks(
            state.instigator_origin_id, state.selector_id, limit=TICKS, statuses=_ENDED
        )
        if len(ticks) == TICKS and all(tick.status == TickStatus.FAILURE for tick in ticks):
            error = ticks[0].error
            while error and error.cause:
                error = error.cause
            yield state.name, (error.cls_name if error else None) or "an error"
