"""The one partitions definition that all datasets share.

Dagster refuses a selection or a backfill over assets with different partitions definitions, so
start, end and zone are settings of the project and not of a dataset.
https://docs.dagster.io/guides/build/partitions-and-backfills
"""

from __future__ import annotations

import dagster as dg

from exporter_pipelines import settings


def daily_partitions() -> dg.DailyPartitionsDefinition:
    """Days from EXPORTER_START_DATE to yesterday, or to EXPORTER_END_DATE, in EXPORTER_TIMEZONE."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date(),
        end_date=settings.end_date(),
        timezone=settings.timezone(),
    )
