"""Retention as a job: does the same as `exporter prune`, by hand or on a schedule.

https://docs.dagster.io/guides/build/jobs

No `from __future__ import annotations` here: Dagster reads the annotations of the op as classes.
"""

import datetime as dt
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from exporter_pipelines import output_folder, settings
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.docs_links import linked
from exporter_pipelines.engine.prune import Replaced, apply_prune, plan_prune
from exporter_pipelines.engine.retention import Removal
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.orchestration.exports.exit_messages import repeat_at_exit
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager


class PruneConfig(dg.Config):
    """Run config of `prune_job`."""

    apply: bool = Field(
        False, description="Remove exports past their retention. Off: only list them in the log."
    )
    force: bool = Field(
        False,
        description=linked(
            "Remove them even if the clock or the number of days looks wrong. "
            "See docs/retention.md."
        ),
    )


@dg.op(
    description=linked(
        "Removes exports that are past the `retention` of their dataset, or only lists "
        "them. See docs/retention.md."
    ),
    out=dg.Out(dg.Nothing),
)
def prune(  # type: ignore[no-untyped-def]
    context: dg.OpExecutionContext, config: PruneConfig, exports: dg.ResourceParam[ExportIOManager]
):
    """Log one line per day, and yield an observation for each day that was removed."""
    store, definitions = exports.store(), Definitions()
    require_output_folder(store)
    problems = [f"{each.name}: {mistake}" for each, mistake in definitions.broken()]
    now = dt.datetime.now(dt.UTC)
    for dataset in definitions.usable():
        found = plan_prune(store, dataset, settings.today(), now)
        if not config.apply:
            for removal in found.all():
                context.log.info(f"{_described(removal)} would be removed ({removal.reason})")
        elif found.refused and not config.force:
            problems.append(
                f"{dataset.name}: the prune is refused: {found.refused}. If this is right, run "
                "prune_job with `apply: true` and `force: true`."
            )
        else:
            for removal in apply_prune(store, found):
                yield from _removed(context, removal)
    if problems:
        message = "\n".join(["Exports of these datasets were kept:", *problems])
        repeat_at_exit(message)
        raise dg.Failure(message, allow_retries=False)
    yield dg.Output(None)


def require_output_folder(store: Store) -> None:
    """Fail the run if this is another output folder than before."""
    try:
        output_folder.require(store)
    except ExporterError as error:
        message = f"{error} See docs/failures.md#{error.docs_anchor}"
        repeat_at_exit(message)
        raise dg.Failure(message, allow_retries=False) from None


def _removed(
    context: dg.OpExecutionContext, removal: Removal | Replaced
) -> Iterator[dg.AssetObservation]:
    context.log.info(f"{_described(removal)} removed ({removal.reason})")
    if isinstance(removal, Removal):
        # The materialization stays in Dagster's history; the observation shows that it was removed.
        yield dg.AssetObservation(
            asset_key=removal.dataset,
            partition=removal.day,
            description=f"The {removal.what} was removed ({removal.reason}).",
            metadata={"removed": removal.what, "size_bytes": removal.size_bytes},
        )


def _described(removal: Removal | Replaced) -> str:
    what = f"{removal.dataset} {removal.day}: "
    if isinstance(removal, Replaced):
        return f"{what}replaced export"
    return f"{what}{removal.what}, {removal.size_bytes:,} bytes"


@dg.job(
    description=linked(
        "Removes exports that are past the `retention` of their dataset. Without "
        "`apply: true` in its config it only lists them. See docs/retention.md."
    )
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
        description=linked(
            "Removes exports that are past the `retention` of their dataset, every day at "
            "4:45. Run prune_job without `apply` before you start this schedule. "
            "See docs/retention.md"
        ),
    )
