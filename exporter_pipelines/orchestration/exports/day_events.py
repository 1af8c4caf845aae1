"""The Dagster events for exported days, in a run of one day and in a run over a range.

A run of one day yields a `MaterializeResult`; downstream assets in the same run need this output.
A run over a range cannot yield one, because Dagster would record it for every day of the range,
published or not. It yields an `AssetMaterialization` and check evaluations for each day instead.
Nothing else differs between the two kinds of run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import dagster as dg

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.docs_links import linked
from exporter_pipelines.engine.export_day import DayOutcome
from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.orchestration.dagster_internals.run_selection import selected_children
from exporter_pipelines.orchestration.exports.checks import (
    check_results,
    day_evaluations,
    range_results,
)
from exporter_pipelines.orchestration.exports.exit_messages import repeat_at_exit
from exporter_pipelines.orchestration.exports.metadata import day_materialization, day_metadata
from exporter_pipelines.orchestration.exports.outcome import RunOutcome

NOT_PUBLISHED = "not_published"
"""Metadata of the observation about a day that was held or failed."""


class DayEvents(Protocol):
    """The events that a run yields for its days, and the lines that it logs."""

    def published(self, manifest: Manifest, outcome: DayOutcome) -> Iterator[object]:
        """Record a published day with its checks."""
        ...

    def held(self, outcome: DayOutcome) -> Iterator[object]:
        """Record the checks of a held day."""
        ...

    def changed(self, dataset: str, day: str, more: int) -> Iterator[object]:
        """Record that the rows of a published day changed while the range ran.

        Args:
            more: Rows that the source has more than were exported; negative for fewer.
        """
        ...

    def failed(self, day: str, problem: str) -> None:
        """Log why a day was not published."""
        ...

    def closing(self, run: RunOutcome) -> Iterator[object]:
        """The last events of the run. If a day was not published, the run then fails."""
        ...

    def succeeded(self, run: RunOutcome) -> None:
        """Called when every day was published."""
        ...


def day_events(context: dg.AssetExecutionContext, store: Store) -> DayEvents:
    """The `DayEvents` of a run. Like Dagster, it treats a range of one day as a range."""
    return (
        SingleDayEvents(context, store)
        if context.has_partition_key
        else RangeEvents(context, store)
    )


class SingleDayEvents:
    """See `DayEvents`."""

    def __init__(self, context: dg.AssetExecutionContext, store: Store) -> None:
        self._context, self._store = context, store

    def published(self, manifest: Manifest, outcome: DayOutcome) -> Iterator[object]:
        """See `DayEvents`."""
        folder = self._store.day_location(outcome.dataset, outcome.day)
        counts = manifest.counts
        done = outcome.kept or (
            f"published {counts.exported:,} of {counts.read:,} rows, {counts.rejected:,} rejected: "
            f"{folder}"
        )
        self._context.log.info(f"{outcome.dataset} {outcome.day}: {done}")
        yield dg.MaterializeResult(
            metadata=day_metadata(manifest, self._store),
            data_version=dg.DataVersion(manifest.data_version),
        )
        yield from check_results(outcome)

    def held(self, outcome: DayOutcome) -> Iterator[object]:
        """See `DayEvents`."""
        yield from check_results(outcome)

    def changed(self, dataset: str, day: str, more: int) -> Iterator[object]:  # noqa: ARG002
        """See `DayEvents`. There are none: one day is one snapshot."""
        yield from ()

    def failed(self, day: str, problem: str) -> None:
        """See `DayEvents`. Logs nothing: the failure of the run has the same message."""

    def closing(self, run: RunOutcome) -> Iterator[object]:  # noqa: ARG002 - see `DayEvents`
        """See `DayEvents`. There are none."""
        yield from ()

    def succeeded(self, run: RunOutcome) -> None:
        """See `DayEvents`. Does nothing."""


class RangeEvents:
    """See `DayEvents`. Published days are not logged one by one; there may be thousands."""

    def __init__(self, context: dg.AssetExecutionContext, store: Store) -> None:
        self._context, self._store = context, store

    def published(self, manifest: Manifest, outcome: DayOutcome) -> Iterator[object]:
        """See `DayEvents`."""
        yield day_materialization(manifest, self._store)
        yield from self._evaluations(outcome)

    def held(self, outcome: DayOutcome) -> Iterator[object]:
        """See `DayEvents`."""
        yield from self._evaluations(outcome)

    def changed(self, dataset: str, day: str, more: int) -> Iterator[object]:
        """See `DayEvents`."""
        what = f"{abs(more):,} {'more' if more > 0 else 'fewer'} rows"
        reason = f"The source has {what} than were exported: rows arrived or moved during the run."
        verdict = Verdict("source_unchanged", False, "WARN", reason, {"rows_more": more})
        yield from day_evaluations(self._context.instance, dataset, day, [verdict], None)

    def failed(self, day: str, problem: str) -> None:
        """See `DayEvents`."""
        self._context.log.error(f"{self._context.asset_key.to_user_string()} {day}: {problem}")

    def closing(self, run: RunOutcome) -> Iterator[object]:
        """See `DayEvents`. Dagster requires one result per check, besides the evaluations per day.

        A run that judged no day yields none, so that a check that failed earlier stays red.
        """
        if run.verdicts:
            yield from range_results(run.verdicts, run.not_judged)
        self._context.log.info(run.summary())

    def succeeded(self, run: RunOutcome) -> None:
        """See `DayEvents`. Warns about downstream assets, which Dagster skips without a message.

        They need an output of this run, and a run over a range yields none.
        """
        if names := selected_children(self._context):
            select = ",".join(names)
            message = (
                f"Dagster skips {select} in a run over a range. Materialize it now that "
                f"{run.dataset} is published: dagster asset materialize "
                f"-m exporter_pipelines.definitions --select {select} "
                f"--partition-range {run.days[0]}...{run.days[-1]}"
            )
            self._context.log.warning(message)
            repeat_at_exit(message)

    def _evaluations(self, outcome: DayOutcome) -> Iterator[object]:
        yield from day_evaluations(
            self._context.instance,
            outcome.dataset,
            outcome.day,
            outcome.verdicts,
            outcome.quarantine,
        )


def not_published(
    asset: str, day: str, problem: str, anchor: str, metadata: dict[str, Any]
) -> dg.AssetObservation:
    """The observation that the page of a held or failed day shows."""
    page = f"docs/failures.md#{anchor}"
    see = linked(page)
    return dg.AssetObservation(
        asset_key=asset,
        partition=day,
        description=problem,
        metadata={
            NOT_PUBLISHED: problem,
            "see": page if see == page else dg.MetadataValue.url(see),
            **metadata,
        },
    )
