"""One daily schedule per dataset, stopped until an operator starts it.

https://docs.dagster.io/guides/automate/schedules
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import cache
from zoneinfo import ZoneInfo

import dagster as dg

from exporter_pipelines import dotenv_file, settings
from exporter_pipelines.docs_links import linked

_log = logging.getLogger(__name__)

PRIORITY_TAG = "dagster/priority"

_PRIORITY = "10"
"""Runs without the tag have priority 0, so the run of yesterday leaves the queue first."""


def dataset_schedule(
    dataset: str,
    cron: str,
    job: dg.UnresolvedAssetJobDefinition,
    partitions_def: dg.DailyPartitionsDefinition,
) -> dg.ScheduleDefinition:
    """A schedule that exports yesterday at each tick.

    Args:
        dataset: Name of the dataset.
        cron: Cron expression with five fields, in EXPORTER_TIMEZONE.
        job: The job to run.
        partitions_def: Of the job.
    """
    end_date = settings.end_date()
    ends = (
        f" It skips every day from {end_date} on: EXPORTER_END_DATE={end_date} in "
        f"{dotenv_file.origin('EXPORTER_END_DATE')} ends the range."
        if end_date
        else ""
    )

    @dg.schedule(
        name=f"{dataset}_schedule",
        cron_schedule=cron,
        execution_timezone=settings.timezone(),
        job=job,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=linked(
            f"Exports yesterday's {dataset} every day, at the time in its defs.yaml. "
            f"See docs/operations.md.{ends}"
        ),
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        local = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone()))
        yesterday = (local.date() - timedelta(days=1)).isoformat()
        if not partitions_def.has_partition_key(yesterday):
            reason = _why_skipped(yesterday)
            _warn_once(f"{dataset}_schedule exports nothing: {reason}")
            return dg.SkipReason(reason)
        tags = {PRIORITY_TAG: _PRIORITY}
        return dg.RunRequest(run_key=yesterday, partition_key=yesterday, tags=tags)

    return schedule


def _why_skipped(day: str) -> str:
    """Which setting leaves a day out, where it is set, and what to do."""
    end_date = settings.end_date()
    if end_date and day >= end_date:
        return (
            f"{day} is not exported: EXPORTER_END_DATE={end_date} in "
            f"{dotenv_file.origin('EXPORTER_END_DATE')} ends the range before it. Leave the "
            "setting empty to export every day, then restart the daemon and the web server."
        )
    return (
        f"{day} is not exported: it is before the first day, "
        f"EXPORTER_START_DATE={settings.start_date()} in "
        f"{dotenv_file.origin('EXPORTER_START_DATE')}."
    )


@cache
def _warn_once(message: str) -> None:
    _log.warning(message)
