"""The partitions definition that all datasets share.

Dagster refuses a selection or a backfill over assets with different partitions definitions. So the
start date, end date and time zone are settings of the project, not of a dataset.
https://docs.dagster.io/guides/build/partitions-and-backfills
"""

from __future__ import annotations

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.orchestration.exports.exit_messages import repeat_at_exit


def daily_partitions() -> dg.DailyPartitionsDefinition:
    """Days from EXPORTER_START_DATE to yesterday, or to EXPORTER_END_DATE, in EXPORTER_TIMEZONE."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date(),
        end_date=settings.end_date(),
        timezone=settings.timezone(),
    )


def days_of_run(context: dg.AssetExecutionContext) -> list[str]:
    """The days of a run, in order.

    Raises:
        dg.Failure: the run has none. The Launchpad starts such a run after a confirmation.
    """
    if not (context.has_partition_key or context.has_partition_key_range):
        problem = "the run has no partition: choose a day. See docs/failures.md#no-such-partition"
    elif not (days := list(context.partition_keys)):
        problem = "the last day of the range is before its first."
    else:
        return days
    message = f"{context.asset_key.to_user_string()}: {problem}"
    repeat_at_exit(message)
    raise dg.Failure(message, allow_retries=False)
