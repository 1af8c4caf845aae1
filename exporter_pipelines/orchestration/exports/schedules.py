"""One daily schedule per dataset, stopped until an operator starts it.

https://docs.dagster.io/guides/automate/schedules
"""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from exporter_pipelines import settings

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

    @dg.schedule(
        name=f"{dataset}_schedule",
        cron_schedule=cron,
        execution_timezone=settings.timezone(),
        job=job,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Exports yesterday's {dataset} every day, at the time in its defs.yaml. "
        "See docs/operations.md",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        local = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone()))
        yesterday = (local.date() - timedelta(days=1)).isoformat()
        if not partitions_def.has_partition_key(yesterday):
            return dg.SkipReason(
                f"{yesterday} is not between EXPORTER_START_DATE and EXPORTER_END_DATE."
            )
        tags = {PRIORITY_TAG: _PRIORITY}
        return dg.RunRequest(run_key=yesterday, partition_key=yesterday, tags=tags)

    return schedule
