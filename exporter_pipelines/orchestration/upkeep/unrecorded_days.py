"""Records days in Dagster's history that a killed run published but did not record."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.orchestration.exports.metadata import DATA_VERSION_TAG, day_materialization
from exporter_pipelines.stores.local.store import LocalStore


def record_days_of(instance: dg.DagsterInstance, run: dg.DagsterRun, store: LocalStore) -> int:
    """Record the days that an ended run published, except those that are recorded already.

    Returns:
        How many days were recorded now.
    """
    recorded = 0
    for manifest in _published_by(run, store):
        key = dg.AssetKey(manifest.dataset)
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[manifest.partition])
        newest = instance.fetch_materializations(wanted, limit=1).records
        if not newest or _version(newest[0]) != manifest.data_version:
            instance.report_runless_asset_event(
                day_materialization(
                    manifest,
                    store,
                    f"Published by run {run.run_id}, which was killed before it could record it.",
                )
            )
            recorded += 1
    return recorded


def _published_by(run: dg.DagsterRun, store: LocalStore) -> Iterator[Manifest]:
    for key in run.asset_selection or ():
        dataset = key.path[-1]
        for day in store.published_days(dataset):
            manifest = Manifest.if_readable(store.read_manifest(dataset, day))
            if manifest and manifest.run.run_id == run.run_id:
                yield manifest


def _version(record: dg.EventLogRecord) -> str | None:
    materialization = record.asset_materialization
    return (materialization.tags or {}).get(DATA_VERSION_TAG) if materialization else None
