"""Repair by rule as a job: exports the days with rows that a rule rejected again.

https://docs.dagster.io/guides/build/jobs

No `from __future__ import annotations` here: Dagster reads the annotations of the op as classes.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from exporter_pipelines import settings
from exporter_pipelines.defs_files import dataset_named
from exporter_pipelines.docs_links import linked
from exporter_pipelines.engine.repair import Repair, days_to_repair
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.orchestration.dagster_internals.backfills import (
    running_backfill,
    start_backfill,
)
from exporter_pipelines.orchestration.exports.exit_messages import repeat_at_exit
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.exports.partitions import daily_partitions


class RepairConfig(dg.Config):
    """Run config of `repair_job`."""

    dataset: str = Field(description="Dataset or preset to repair, for example logs.")
    rule: str = Field(
        description="Rule that rejected the rows, as named in the check rejected_rows, for example "
        "known_level."
    )
    column: str = Field("", description="Only rows that the rule rejected because of this column.")
    apply: bool = Field(
        False, description="Export the days again, as a backfill. Off: only list them."
    )


@dg.op(
    description=linked(
        "Finds the published and held days with rows that a rule rejected, and starts a "
        "backfill of these days. See docs/operations.md#repair-by-rule."
    ),
    out=dg.Out(dg.Nothing),
)
def repair(  # type: ignore[no-untyped-def]
    context: dg.OpExecutionContext, config: RepairConfig, exports: dg.ResourceParam[ExportIOManager]
):
    """List the days in the log and in the metadata of the output."""
    try:
        dataset = dataset_named(config.dataset)
        found = days_to_repair(exports.store(), dataset, config.rule, config.column or None)
    except ExporterError as error:
        message = f"{error} See docs/failures.md#{error.docs_anchor}"
        repeat_at_exit(message)
        raise dg.Failure(message, allow_retries=False) from None
    context.log.info("\n".join([str(found), *(f"  {day.day}" for day in found.days)]))
    for path in found.unreadable:
        context.log.warning(f"{path} cannot be read; run `exporter verify` for details.")
    shown: dict[str, Any] = {"days": len(found.days), "table": dg.MetadataValue.md(_table(found))}
    if config.apply:
        shown |= _start(context, found)
    elif found.days:
        context.log.info("Nothing was exported. Set `apply: true` to export these days again.")
    yield dg.Output(None, metadata=shown)


def _start(context: dg.OpExecutionContext, found: Repair) -> dict[str, dg.MetadataValue]:
    """Start the backfill, unless the same one is running."""
    partitions = daily_partitions()
    existing = set(partitions.get_partition_keys())
    days = [day.day for day in found.days if day.day in existing]
    if outside := [day.day for day in found.days if day.day not in existing]:
        context.log.warning(
            f"Left out, as they are not between EXPORTER_START_DATE and EXPORTER_END_DATE: "
            f"{', '.join(outside)}."
        )
    if not days:
        return {}
    what = "/".join(filter(None, [found.dataset, found.rule, found.column]))
    tags = {"exporter/reason": "repair", "exporter/repair": what}
    if backfill := running_backfill(context.instance, tags):
        context.log.warning(f"Not started: backfill {backfill} is already repairing {what}.")
    else:
        backfill = start_backfill(
            context.instance,
            partitions,
            found.dataset,
            days,
            title=f"Repair {what}",
            description=str(found),
            tags=tags,
        )
        context.log.info(f"Backfill {backfill} exports {len(days)} days again: {', '.join(days)}.")
    return {"backfill": dg.MetadataValue.url(f"{settings.ui_url()}/runs/b/{backfill}")}


def _table(found: Repair) -> str:
    lines = [f"| {day.day} | {day.published:,} | {day.held:,} |" for day in found.days]
    head = [
        "| day | rejected rows of the published export | rejected rows of a held export |",
        "|---|--:|--:|",
    ]
    return "\n".join([str(found), "", *head, *lines]) if lines else str(found)


@dg.job(
    description=linked(
        "Exports all days with rows that a rule rejected again, for use after the rule was "
        "corrected. Without `apply: true` in its config it only lists the days. "
        "See docs/operations.md#repair-by-rule."
    )
)
def repair_job() -> None:
    """See `repair`."""
    repair()
