"""Keeps the export report up to date: renders it after exports have succeeded or failed.

https://docs.dagster.io/guides/automate/sensors
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import dagster as dg

from exporter_pipelines.docs_links import linked
from exporter_pipelines.extras import MissingExtraError, is_installed
from exporter_pipelines.orchestration.exports.jobs import EXPORT_REPORT_JOB
from exporter_pipelines.orchestration.report.asset import NAME
from exporter_pipelines.orchestration.report.run_history import planned_days

_ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


def export_report_sensor(
    datasets: Iterable[str], partitions_def: dg.PartitionsDefinition[str]
) -> dg.SensorDefinition:
    """A sensor that renders the report of the newest day after exports have ended."""
    exported = set(datasets)

    @dg.sensor(
        name=f"{NAME}_sensor",
        job_name=EXPORT_REPORT_JOB,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=linked(
            "Renders the export report of the newest day after exports have succeeded or "
            "failed, at most once a minute. See docs/report.md"
        ),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not is_installed("report"):
            return dg.SkipReason(str(MissingExtraError("report")))
        now = dt.datetime.now(dt.UTC)
        if context.cursor is None:
            context.update_cursor(now.isoformat())
            return dg.SkipReason("First tick: waiting for exports to end.")
        ended = context.instance.get_run_records(
            dg.RunsFilter(statuses=_ENDED, updated_after=dt.datetime.fromisoformat(context.cursor))
        )
        if not ended:
            return dg.SkipReason("No run has ended.")
        newest = max(record.update_timestamp for record in ended).replace(tzinfo=dt.UTC)
        context.update_cursor(newest.isoformat())
        last_day = partitions_def.get_last_partition_key()
        if last_day is None or not any(
            _only_exported(context.instance, record.dagster_run.run_id, exported)
            for record in ended
        ):
            return dg.SkipReason("No export has ended.")
        return dg.RunRequest(run_key=newest.isoformat(), partition_key=last_day)

    return sensor


def _only_exported(instance: dg.DagsterInstance, run_id: str, exported: set[str]) -> bool:
    """Whether a run exported something and did not render the report as well."""
    assets = {asset for asset, _ in planned_days(instance, run_id)}
    return bool(assets & exported) and NAME not in assets
