"""Fails runs whose process has ended; without this sensor they stay `STARTED` for hours.

Dagster's run monitoring asks the run launcher whether the process of a run is alive, and the
default launcher does not support it:
https://docs.dagster.io/deployment/execution/run-monitoring
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.orchestration.dagster_internals.run_processes import has_no_process
from exporter_pipelines.orchestration.upkeep.unrecorded_days import record_days_of
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local import run_locks

_LOCK_DELAY_S = 60.0
"""A run takes its lock some seconds after it started; a younger run may not have one yet."""


@dg.sensor(
    name="dead_runs_sensor",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Fails runs whose process was killed, so that they do not stay `Started`. Days "
    "that such a run published are recorded; `Failed and missing` exports the others. "
    "See docs/operations.md, A run was killed.",
)
def dead_runs_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Fail each started run whose process has ended."""
    root, instance = settings.output_root(), context.instance
    ended, recorded = [], 0
    for run in _dead(instance, root):
        # Record first: if this process dies in between, the next tick does both.
        recorded += record_days_of(instance, run, LocalStore(root))
        instance.report_run_failed(
            run,
            "The process of this run has ended: it was killed, or the machine went down. Days that "
            "it published stay published; export the others with `Failed and missing`.",
        )
        ended.append(run.run_id)
    _forget_ended(instance, root)
    summary = "The process of every started run is alive."
    if ended:
        summary = f"Failed {', '.join(ended)}. Recorded {recorded} days published by them."
    return dg.SkipReason(summary)


def _dead(instance: dg.DagsterInstance, root: Path) -> Iterator[dg.DagsterRun]:
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    for record in instance.get_run_records(started):
        run = record.dagster_run
        abandoned = run_locks.is_abandoned(root, run.run_id)
        if abandoned is None and time.time() - (record.start_time or time.time()) > _LOCK_DELAY_S:
            abandoned = has_no_process(instance, run)
        # It may have ended normally since the query.
        if abandoned and instance.get_run_by_id(run.run_id).status == record.dagster_run.status:  # type: ignore[union-attr]
            yield run


def _forget_ended(instance: dg.DagsterInstance, root: Path) -> None:
    for run_id in run_locks.locked_runs(root):
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            run_locks.forget_run(root, run_id)
