"""A daily schedule per dataset, off until an operator switches it on.

https://docs.dagster.io/guides/automate/schedules
"""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from exporter_pipelines import settings

PRIORITY_TAG = "dagster/priority"

_PRIORITY = "10"
"""Runs without the tag have 0: of those that wait for a slot, yesterday comes first."""


def dataset_schedule(
    dataset: str,
    cron: str,
    job: dg.UnresolvedAssetJobDefinition,
    partitions_def: dg.DailyPartitionsDefinition,
) -> dg.ScheduleDefinition:
    """Exports, at each tick, the newest day that is over.

    Args:
        dataset: Name of the dataset.
        cron: Five fields, in EXPORTER_TIMEZONE.
        job: What to run.
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
            return dg.SkipReason(f"{yesterday} is not between the first and the last day.")
        tags = {PRIORITY_TAG: _PRIORITY}
        return dg.RunRequest(run_key=yesterday, partition_key=yesterday, tags=tags)

    return schedule
