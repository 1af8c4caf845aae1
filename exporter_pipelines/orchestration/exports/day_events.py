"""The Dagster events of exported days: of a run of one day, and of a run over a range.

A run of one day yields a `MaterializeResult`, which assets downstream in the same run wait for. A
range cannot: Dagster would record it for every day of the range, published or not. So each of its
days is recorded by an `AssetMaterialization` and by evaluations that name the day.
Nothing else differs between the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import dagster as dg

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.export_day import DayOutcome
from exporter_pipelines.orchestration.dagster_internals.run_selection import selected_children
from exporter_pipelines.orchestration.exports.checks import (
    check_results,
    day_evaluations,
    range_results,
)
from exporter_pipelines.orchestration.exports.last_words import remember
from exporter_pipelines.orchestration.exports.metadata import day_materialization, day_metadata
from exporter_pipelines.orchestration.exports.outcome import RunOutcome


class DayEvents(Protocol):
    """What a run yields and logs for its days."""

    def published(self, manifest: Manifest, outcome: DayOutcome) -> Iterator[object]:
        """Record a published day with its checks."""
        ...

    def held(self, outcome: DayOutcome) -> Iterator[object]:
        """Record the checks of a held day."""
        ...

    def failed(self, day: str, problem: str) -> None:
        """Log why a day is not published."""
        ...

    def closing(self, run: RunOutcome) -> Iterator[object]:
        """End the run, before it fails for its bad days."""
        ...

    def succeeded(self, run: RunOutcome) -> None:
        """Every day is published."""
        ...


def day_events(context: dg.AssetExecutionContext, store: Store) -> DayEvents:
    """The events of a run. A range of one day is a range: its checks know no day."""
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
        folder = self._store.day_folder(outcome.dataset, outcome.day)
        counts = manifest.counts
        self._context.log.info(
            f"{outcome.dataset} {outcome.day}: published {counts.exported:,} of "
            f"{counts.read:,} rows, {counts.rejected:,} rejected: {folder}"
        )
        yield dg.MaterializeResult(
            metadata=day_metadata(manifest, self._store),
            data_version=dg.DataVersion(manifest.data_version),
        )
        yield from check_results(outcome.verdicts, outcome.quarantine)

    def held(self, outcome: DayOutcome) -> Iterator[object]:
        """See `DayEvents`."""
        yield from check_results(outcome.verdicts, outcome.quarantine)

    def failed(self, day: str, problem: str) -> None:
        """See `DayEvents`; the run's own failure says it."""

    def closing(self, run: RunOutcome) -> Iterator[object]:  # noqa: ARG002 - see `DayEvents`
        """See `DayEvents`; nothing is left to say."""
        yield from ()

    def succeeded(self, run: RunOutcome) -> None:
        """See `DayEvents`; nothing is left to say."""


class RangeEvents:
    """See `DayEvents`. A published day has no line in the log: there may be thousands."""

    def __init__(self, context: dg.AssetExecutionContext, store: Store) -> None:
        self._context, self._store = context, store

    def published(self, manifest: Manifest, outcome: DayOutcome) -> Iterator[object]:
        """See `DayEvents`."""
        yield day_materialization(manifest, self._store)
        yield from self._evaluations(outcome)

    def held(self, outcome: DayOutcome) -> Iterator[object]:
        """See `DayEvents`."""
        yield from self._evaluations(outcome)

    def failed(self, day: str, problem: str) -> None:
        """See `DayEvents`."""
        self._context.log.error(f"{self._context.asset_key.to_user_string()} {day}: {problem}")

    def closing(self, run: RunOutcome) -> Iterator[object]:
        """See `DayEvents`. Dagster wants a result of each check at the end, beside those per day.

        A run that judged nothing fails anyway, and must not turn an earlier red check green.
        """
        if run.verdicts:
            yield from range_results(run.verdicts, run.not_judged)
        self._context.log.info(run.summary())

    def succeeded(self, run: RunOutcome) -> None:
        """See `DayEvents`. Warns of assets that Dagster skips without a message.

        A range yields no output, on which the assets downstream in the same run wait.
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
            remember(message)

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
    """What the page of a day shows when the day is held or failed."""
    return dg.AssetObservation(
        asset_key=asset,
        partition=day,
        description=problem,
        metadata={"not_published": problem, "see": f"docs/failures.md#{anchor}", **metadata},
    )
