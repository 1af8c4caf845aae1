"""Retention as a job: does the same as `exporter prune`, by hand or on a schedule.

https://docs.dagster.io/guides/build/jobs

No `from __future__ import annotations` here: Dagster reads the annotations of the op as classes.
"""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from exporter_pipelines import settings
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.engine.retention import Removal, plan, remove
from exporter_pipelines.orchestration.exports.exit_messages import repeat_at_exit
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.stores.local.store import LocalStore


class PruneConfig(dg.Config):
    """Run config of `prune_job`."""

    apply: bool = Field(
        False, description="Remove exports past their retention. Off: only list them in the log."
    )


@dg.op(
    description="Removes exports that are past the `retention` of their dataset, or only lists "
    "them. See docs/operations.md, Keep tidy.",
    out=dg.Out(dg.Nothing),
)
def prune(  # type: ignore[no-untyped-def]
    context: dg.OpExecutionContext, config: PruneConfig, exports: dg.ResourceParam[ExportIOManager]
):
    """Log one line per day, and yield an observation for each day that was removed."""
    store, definitions = exports.store(), Definitions()
    for dataset in definitions.usable():
        removals = plan(store, dataset, settings.today())
        for removal in removals:
            yield from _one(context, store, removal, apply=config.apply)
        if removals and config.apply:
            store.clean_up(dataset.name)
    if broken := definitions.broken():
        mistakes = "\n".join(f"{each.name}: {mistake}" for each, mistake in broken)
        message = f"Exports of broken datasets were kept.\n{mistakes}"
        repeat_at_exit(message)
        raise dg.Failure(message, allow_retries=False)
    yield dg.Output(None)


def _one(
    context: dg.OpExecutionContext, store: LocalStore, removal: Removal, *, apply: bool
) -> Iterator[dg.AssetObservation]:
    what = f"{removal.dataset} {removal.day}: {removal.what}, {removal.size_bytes:,} bytes"
    if not apply:
        context.log.info(f"{what} would be removed ({removal.reason})")
    elif remove(store, removal):
        context.log.info(f"{what} removed ({removal.reason})")
        # The materialization stays in Dagster's history; the observation shows that it was removed.
        yield dg.AssetObservation(
            asset_key=removal.dataset,
            partition=removal.day,
            description=f"The {removal.what} was removed ({removal.reason}).",
            metadata={"removed": removal.what, "size_bytes": removal.size_bytes},
        )
    else:
        context.log.info(f"{what} not removed: the day has changed in the meantime")


@dg.job(
    description="Removes exports that are past the `retention` of their dataset. Without "
    "`apply: true` in its config it only lists them. See docs/operations.md."
)
def prune_job() -> None:
    """See `prune`."""
    prune()


def prune_schedule() -> dg.ScheduleDefinition:
    """A daily schedule that removes exports; stopped until an operator starts it."""
    return dg.ScheduleDefinition(
        name="prune_schedule",
        job=prune_job,
        cron_schedule="45 4 * * *",
        execution_timezone=settings.timezone(),
        default_status=dg.DefaultScheduleStatus.STOPPED,
        run_config={"ops": {"prune": {"config": {"apply": True}}}},
        description="Removes exports that are past the `retention` of their dataset, every day at "
        "4:45. Run prune_job without `apply` before you start this schedule. "
        "See docs/retention.md",
    )
