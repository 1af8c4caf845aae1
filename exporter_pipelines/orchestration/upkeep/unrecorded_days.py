"""Records published days that Dagster shows as failed because their newest run was stopped.

A run that was killed or interrupted leaves two kinds of such days:

- It published the day, but was stopped before it recorded it.
- It did not reach the day, whose earlier export stays. Dagster shows the day as failed, because its
  newest attempt belongs to a failed run, although nothing is known against the export.
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.orchestration.dagster_internals.unfinished_days import unfinished_days
from exporter_pipelines.orchestration.exports.day_events import NOT_PUBLISHED
from exporter_pipelines.orchestration.exports.metadata import day_materialization
from exporter_pipelines.orchestration.upkeep.ended_runs import failed_assets, planned_days

_BATCH = 50
"""Days that are recorded before Dagster is asked again whether a newer run has begun with them. A
day that the newer run holds must not become green."""
_OBSERVATIONS = 20


def record_days_of(instance: dg.DagsterInstance, run: dg.DagsterRun, store: Store) -> Iterator[str]:
    """Record the published days of an ended run that it did not record itself, and yield each.

    A day that was held or failed since it was last published stays as it is. So do the days that an
    asset did not reach because it failed by itself: its error concerns them as well.
    """
    failed = failed_assets(instance, run)
    # Dagster does not show the days of a cancelled run as failed.
    has_failed = run.status == dg.DagsterRunStatus.FAILURE
    for asset, days in planned_days(instance, run).items():
        for first in range(0, len(days), _BATCH):
            unfinished = set(unfinished_days(instance, asset, run.run_id))
            if not unfinished.intersection(days[first:]):
                break
            for day in unfinished.intersection(days[first : first + _BATCH]):
                manifest = Manifest.if_readable(store.read_manifest(asset, day))
                if not manifest or _will_be_recorded(instance, manifest, run):
                    continue
                if manifest.run.run_id == run.run_id:
                    why = f"Published by run {run.run_id}, which was stopped before it recorded it."
                elif has_failed and asset not in failed and not _was_refused(instance, asset, day):
                    why = f"The earlier export stays: run {run.run_id} was stopped before this day."
                else:
                    continue
                instance.report_runless_asset_event(day_materialization(manifest, store, why))
                yield day


def _will_be_recorded(
    instance: dg.DagsterInstance, manifest: Manifest, ended: dg.DagsterRun
) -> bool:
    """Whether another run has published the day in the meantime, and not recorded it yet."""
    publisher = instance.get_run_by_id(manifest.run.run_id)
    return bool(publisher and publisher.run_id != ended.run_id and not publisher.is_finished)


def _was_refused(instance: dg.DagsterInstance, asset: str, day: str) -> bool:
    """Whether the day was held or failed since it was last materialized."""
    key = dg.AssetKey(asset)
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[day])
    newest = instance.fetch_materializations(wanted, limit=1).records
    since = dg.AssetRecordsFilter(
        asset_key=key,
        asset_partitions=[day],
        after_storage_id=newest[0].storage_id if newest else None,
    )
    observations = instance.fetch_observations(since, limit=_OBSERVATIONS).records
    return any(
        record.asset_observation and NOT_PUBLISHED in record.asset_observation.metadata
        for record in observations
    )
