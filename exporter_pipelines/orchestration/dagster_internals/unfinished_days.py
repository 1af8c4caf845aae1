"""The days that a run should have materialized and that no later run has taken over.

Dagster shows such a day as failed when the run has failed, also if an older export of it is
published.

Reason: the public API does not return the newest attempt at a partition, which decides the color
    of the day in the UI.
Upstream: none found.
Test: test_stopped_exports.py::test_an_interrupted_export_does_not_show_published_days_as_failed
"""

from __future__ import annotations

import dagster as dg
from dagster._core.execution.plan.objects import ErrorSource


def unfinished_days(instance: dg.DagsterInstance, asset: str, run_id: str) -> list[str]:
    """Days whose newest attempt is this run, and which it did not materialize; sorted."""
    return sorted(day for day, by_run in _unfinished(instance, asset).items() if by_run == run_id)


def failed_days(instance: dg.DagsterInstance, asset: str) -> set[str]:
    """Days that Dagster shows as failed: their newest attempt is a failed run."""
    statuses = unfinished_statuses(instance, asset)
    return {day for day, status in statuses.items() if status == dg.DagsterRunStatus.FAILURE}


def unfinished_statuses(instance: dg.DagsterInstance, asset: str) -> dict[str, dg.DagsterRunStatus]:
    """Day -> status of the run that is its newest attempt and has not materialized it."""
    unfinished = _unfinished(instance, asset)
    if not unfinished:
        return {}
    records = instance.get_run_records(dg.RunsFilter(run_ids=list(set(unfinished.values()))))
    statuses = {record.dagster_run.run_id: record.dagster_run.status for record in records}
    return {day: statuses[run] for day, run in unfinished.items() if run in statuses}


def _unfinished(instance: dg.DagsterInstance, asset: str) -> dict[str, str]:
    """Day -> the run that is its newest attempt, for days that this run did not materialize."""
    history = instance.event_log_storage
    attempts = history.get_latest_asset_partition_materialization_attempts_without_materializations(
        dg.AssetKey(asset)
    )
    return {day: by_run for day, (by_run, _) in attempts.items()}


def was_interrupted(failure: dg.DagsterEvent) -> bool:
    """Whether a step failed because the process received SIGTERM or SIGINT."""
    return bool(failure.step_failure_data.error_source == ErrorSource.INTERRUPT)
