"""Cancels all runs of an export, whatever they are doing."""

from __future__ import annotations

import time
from collections.abc import Iterable

import dagster as dg

from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.export_days import WILL_RETRY_TAG, is_waiting_to_retry
from exporter_pipelines.service.export_runs import ExportRuns, find
from exporter_pipelines.service.launching import Launcher
from exporter_pipelines.service.problems import Problem

_FINISHED = {
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
}
_STARTING_SECONDS = 20.0
"""How long a request waits for a run that is being started."""


def stop_waiting(context: ServiceContext, launcher: Launcher, export: ExportRuns) -> None:
    """Have no further run of an export begin. Not while a run of it is being created.

    Raises:
        Problem: 403 if the user may not.
    """
    if export.backfill:
        launcher.cancel_backfill(export.id)
    for run in export.runs:
        if is_waiting_to_retry(run):
            context.instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})
        if run.status == dg.DagsterRunStatus.NOT_STARTED:  # it never got into the queue
            context.instance.report_run_canceled(run)


def terminate(context: ServiceContext, launcher: Launcher, export: ExportRuns) -> ExportRuns:
    """Cancel the runs of an export, and return it as it is then.

    Dagster cancels a run that waits or runs, but not in the seconds in which it is started.

    Raises:
        Problem: 403 if the user may not; 409 if a run cannot be cancelled.
    """
    deadline = time.monotonic() + _STARTING_SECONDS
    while True:
        before = {
            run.run_id: run.status for run in _now(context, export).runs if not run.is_finished
        }
        failures = launcher.terminate(list(before))
        _end_finished(context.instance, failures)
        after = _now(context, export)
        stubborn = [run for run in after.runs if run.run_id in failures and not run.is_finished]
        if not stubborn:
            return after
        # One whose status has changed since then may have been refused for the old one.
        is_starting = any(
            run.status == dg.DagsterRunStatus.STARTING or run.status != before[run.run_id]
            for run in stubborn
        )
        if not is_starting or time.monotonic() > deadline:
            raise _not_cancelled(stubborn[0].run_id, is_starting=is_starting)
        time.sleep(0.5)


def _end_finished(instance: dg.DagsterInstance, runs: Iterable[str]) -> None:
    """End runs that had finished just before Dagster marked them as `CANCELING`.

    Dagster reads the status of a run, and then marks it. A run that finishes in between loses its
    status, and would stay as it is until the daemon's run monitoring looks at it, after minutes.
    """
    for run_id in runs:
        run = instance.get_run_by_id(run_id)
        is_canceling = run and run.status == dg.DagsterRunStatus.CANCELING
        if run and is_canceling and instance.all_logs(run_id, of_type=_FINISHED):
            instance.report_run_canceled(run)


def _not_cancelled(run_id: str, *, is_starting: bool) -> Problem:
    if is_starting:
        return Problem(
            409,
            f"The run {run_id} is being started, and cannot be cancelled yet. Try again in a "
            "moment.",
            anchor="a-run-was-stopped",
            headers={"Retry-After": "5"},
        )
    return Problem(
        409,
        f"The run {run_id} cannot be cancelled from here. If a command executes it, press Ctrl-C "
        "there. If its process has ended, the sensor for dead runs ends it.",
        anchor="a-run-was-stopped",
    )


def _now(context: ServiceContext, export: ExportRuns) -> ExportRuns:
    return find(context.instance, export.id) or export
