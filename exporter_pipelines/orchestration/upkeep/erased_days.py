"""Shows in Dagster that days were published again by `exporter erase`."""

from __future__ import annotations

from collections.abc import Iterable

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.orchestration.exports.history_lock import instance_at_home
from exporter_pipelines.orchestration.exports.metadata import day_materialization


def record_erased_days(store: Store, days: Iterable[tuple[str, str]], request: str) -> None:
    """Record the new exports in the instance of DAGSTER_HOME.

    Args:
        store: The exports.
        days: Dataset and day.
        request: Id of the request.
    """
    with instance_at_home() as instance:
        for dataset, day in days:
            manifest = Manifest.if_readable(store.read_manifest(dataset, day))
            if manifest is not None:
                why = f"A subject was erased (request {request})."
                instance.report_runless_asset_event(day_materialization(manifest, store, why))
