"""Retention as a job: what `exporter prune` does, started by hand or by its schedule.

https://docs.dagster.io/guides/build/jobs

No `from __future__ import annotations` here: Dagster reads the annotations of the op as classes.
"""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from exporter_pipelines import settings
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.engine.retention import Removal, plan, remove
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.exports.last_words import remember
from exporter_pipelines.stores.local.store import LocalStore


class PruneConfig(dg.Config):
    """Run config of `prune_job`."""

    apply: bool = Field(
        False, description="Remove what is past its retention. Off: only say what would go."
    )


@dg.op(
    description="Removes exports that are past the `retention` of their dataset, or says which "
    "they are. See docs/operations.md, Keep tidy.",
    out=dg.Out(dg.Nothing),
)
def prune(  # type: ignore[no-untyped-def]
    context: dg.OpExecutionContext, config: PruneConfig, exports: dg.ResourceParam[ExportIOManager]
):
    """One line and, for what was removed, one observation per day."""
    store, definitions = exports.store(), Definitions()
    for dataset in definitions.usable():
        removals = plan(store, dataset, settings.today())
        for removal in removals:
            yield from _one(context, store, removal, apply=config.apply)
        if removals and config.apply:
            store.clean_up(dataset.name)
    if broken := definitions.broken():
        said = "\n".join(f"{each.name}: {mistake}" for each, mistake in broken)
        message = f"Exports of broken datasets were kept.\n{said}"
        remember(message)
        raise dg.Failure(message, allow_retries=False)
    yield dg.Output(None)


def _one(
    context: dg.OpExecutionContext, store: LocalStore, removal: Removal, *, apply: bool
) -> Iterator[dg.AssetObservation]:
    what = f"{removal.dataset} {removal.day}: {removal.what}, {removal.size_bytes:,} bytes"
    if not apply:
        context.log.info(f"{what} would go ({removal.reason})")
    elif remove(store, removal):
        context.log.info(f"{what} removed ({removal.reason})")
        # Dagster keeps the record of what once was; the day's own page says that it is gone.
        yield dg.AssetObservation(
            asset_key=removal.dataset,
            partition=removal.day,
            description=f"The {removal.what} was removed ({removal.reason}).",
            metadata={"removed": removal.what, "size_bytes": removal.size_bytes},
        )
    else:
        context.log.info(f"{what} left alone, since the day has changed meanwhile")


@dg.job(
    description="Removes exports that are past the `retention` of their dataset. Without "
    "`apply: true` in its config it only says what would go. See docs/operations.md."
)
def prune_job() -> None:
    """See `prune`."""
    prune()


def prune_schedule() -> dg.ScheduleDefinition:
    """Once a day; off until an operator switches it on, and then it removes."""
    return dg.ScheduleDefinition(
        name="prune_schedule",
        job=prune_job,
        cron_schedule="45 4 * * *",
        execution_timezone=settings.timezone(),
        default_status=dg.DefaultScheduleStatus.STOPPED,
        run_config={"ops": {"prune": {"config": {"apply": True}}}},
        description="Removes, every day at 4:45, the exports that are past the `retention` of "
        "their dataset. Try prune_job without `apply` before you switch it on. "
        "See docs/retention.md",
    )
