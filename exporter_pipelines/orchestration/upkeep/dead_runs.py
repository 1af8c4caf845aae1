"""Ends runs whose process is gone, which Dagster would show as started for hours.

Dagster's run monitoring asks the run launcher whether a run's process lives, and the default
launcher cannot tell: https://docs.dagster.io/deployment/execution/run-monitoring
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

_YOUNG_S = 60.0
"""A run takes its lock some seconds after it started."""


@dg.sensor(
    name="dead_runs_sensor",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process was killed, so that they do not stay `Started`. The days "
    "that they published stay and are recorded, and `Failed and missing` exports the rest. "
    "See docs/operations.md, A run was killed.",
)
def dead_runs_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Fail each started run that nobody works on any more."""
    root, instance = settings.output_root(), context.instance
    ended, recorded = [], 0
    for run in _dead(instance, root):
        # First: were this process to die in between, the next tick would do both.
        recorded += record_days_of(instance, run, LocalStore(root))
        instance.report_run_failed(
            run,
            "The process of this run is gone: it was killed, or the machine went down. Days that "
            "it had published stay; run the others again with `Failed and missing`.",
        )
        ended.append(run.run_id)
    _forget_ended(instance, root)
    said = "Every started run has its process."
    if ended:
        said = f"Ended {', '.join(ended)}; {recorded} days that it published are recorded now."
    return dg.SkipReason(said)


def _dead(instance: dg.DagsterInstance, root: Path) -> Iterator[dg.DagsterRun]:
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    for record in instance.get_run_records(started):
        run = record.dagster_run
        abandoned = run_locks.is_abandoned(root, run.run_id)
        if abandoned is None and time.time() - (record.start_time or time.time()) > _YOUNG_S:
            abandoned = has_no_process(instance, run)
        # It may have ended in its own way since we asked for it.
        if abandoned and instance.get_run_by_id(run.run_id).status == record.dagster_run.status:  # type: ignore[union-attr]
            yield run


def _forget_ended(instance: dg.DagsterInstance, root: Path) -> None:
    for run_id in run_locks.locked_runs(root):
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            run_locks.forget_run(root, run_id)
