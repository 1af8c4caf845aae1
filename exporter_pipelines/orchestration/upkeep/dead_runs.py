"""Fails runs whose process has ended; without this sensor they stay `STARTED` for hours.

Dagster's run monitoring asks the run launcher whether the process of a run is alive, and the
default launcher does not support it:
https://docs.dagster.io/deployment/execution/run-monitoring

Belongs here: the sensor, and how a run is judged. Only runs of this Dagster instance are judged.
Does not belong here: what a run leaves while it is alive (`exports.run_presence`), leases of other
hosts (`leases`), and the days of ended runs (`unrecorded_days`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import dagster as dg

from exporter_pipelines.defs_files import exported_names
from exporter_pipelines.docs_links import linked
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.orchestration.dagster_internals.engine_errors import newest_engine_error
from exporter_pipelines.orchestration.dagster_internals.run_processes import has_no_process
from exporter_pipelines.orchestration.exports.jobs import ALL_EXPORTS_JOB
from exporter_pipelines.orchestration.exports.run_presence import (
    forget,
    locks_folder,
    presence_of,
)
from exporter_pipelines.orchestration.upkeep.ended_runs import EndedRuns
from exporter_pipelines.orchestration.upkeep.leases import EXPIRED_SECONDS, Leases
from exporter_pipelines.orchestration.upkeep.unrecorded_days import record_days_of
from exporter_pipelines.stores.local.run_locks import locked_runs
from exporter_pipelines.stores.opening import open_store

_ANNOUNCE_DELAY_S = 60.0
"""A run announces itself some seconds after it started; a younger run may not have done so yet."""
_NEVER_SEEN_S = 240.0
"""An export announces itself before its first day. One that has not done so for this long was
killed before it could, on a machine whose processes cannot be seen from here."""
_TICK_BUDGET_S = 20.0
"""No further day is recorded after this time; the next tick continues."""
_DAYS = "Days that it published stay published; export the others with `Failed and missing`."
_ENDED = "The process of this run has ended: it was killed, or the machine went down."
_SILENT = (
    "This run on the host {host} has not renewed its lease for {minutes:.0f} minutes: it was "
    "killed, or the host or its network went down."
)
_UNSEEN = (
    "This run has started, but its process has not been seen since: it was killed, or its host or "
    "its network went down."
)


@dg.sensor(
    name="dead_runs_sensor",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=linked(
        "Fails runs whose process was killed, so that they do not stay `Started`. Records "
        "published days that such a run did not record or did not reach; `Failed and missing` "
        "exports the others. See docs/runs.md#a-run-was-killed."
    ),
)
def dead_runs_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Fail each started run whose process has ended, and record the days of ended runs."""
    instance, cursor = context.instance, json.loads(context.cursor or "{}")
    ended_runs = EndedRuns.from_text(instance, cursor.get("ended_runs", ""))
    leases = Leases.from_text(cursor.get("leases", ""))

    failed = []
    for run, reason in _dead(instance, leases):
        error = newest_engine_error(instance, run.run_id)
        dagster_says = f" Dagster says: {error}" if error else ""
        instance.report_run_failed(run, f"{reason} {_DAYS}{dagster_says}")
        failed.append(run.run_id)
    recorded = 0
    try:
        for _ in _recorded(instance, ended_runs):
            recorded += 1
    except ExporterError as error:  # the output folder is away; the next tick tries again
        context.log.warning(f"Published days of ended runs are not recorded yet: {error}")
    _forget_ended(instance)

    context.update_cursor(
        json.dumps({"ended_runs": ended_runs.to_text(), "leases": leases.to_text()})
    )
    said = [f"Failed {', '.join(failed)}."] if failed else []
    if failed or recorded:
        said.append(f"Recorded {recorded} published days.")
    return dg.SkipReason(" ".join(said) or "The process of every started run is alive.")


def _dead(instance: dg.DagsterInstance, leases: Leases) -> Iterator[tuple[dg.DagsterRun, str]]:
    """Started runs whose process has ended, and why that is known."""
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    for record in instance.get_run_records(started):
        run = record.dagster_run
        reason = _reason(instance, record, leases)
        # It may have ended normally since the query.
        if reason and instance.get_run_by_id(run.run_id).status == run.status:  # type: ignore[union-attr]
            yield run, reason


def _reason(instance: dg.DagsterInstance, record: dg.RunRecord, leases: Leases) -> str:
    """Why the process of a run must have ended; empty if it is alive or unknown."""
    run = record.dagster_run
    presence = presence_of(instance, run.run_id)
    if presence is None:
        age = time.time() - (record.start_time or time.time())
        if age > _ANNOUNCE_DELAY_S and has_no_process(instance, run):
            return _ENDED
        return _UNSEEN if age > _NEVER_SEEN_S and _exports(run) else ""
    if (holds_lock := presence.holds_lock) is not None:
        return "" if holds_lock else _ENDED
    if leases.has_expired(run.run_id, presence):
        return _SILENT.format(host=presence.host, minutes=EXPIRED_SECONDS / 60)
    return ""


def _exports(run: dg.DagsterRun) -> bool:
    """Whether a run exports a dataset, so that it announces itself."""
    datasets = set(exported_names())
    selected = {key.to_user_string() for key in run.asset_selection or ()}
    jobs = {ALL_EXPORTS_JOB, *(f"{name}_job" for name in datasets)}
    return bool(selected & datasets) or run.job_name in jobs


def _recorded(instance: dg.DagsterInstance, ended_runs: EndedRuns) -> Iterator[str]:
    """Record the days of ended runs, one after another."""
    store, deadline = open_store(), time.monotonic() + _TICK_BUDGET_S
    for run in ended_runs.unread():
        for day in record_days_of(instance, run, store):
            yield day
            if time.monotonic() > deadline:
                return
        forget(instance, run.run_id)


def _forget_ended(instance: dg.DagsterInstance) -> None:
    """Remove what runs left that were killed after their last event."""
    for run_id in locked_runs(locks_folder(instance)):
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            forget(instance, run_id)
