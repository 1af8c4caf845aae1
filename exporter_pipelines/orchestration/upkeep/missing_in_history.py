"""Finds published days that Dagster's history does not have."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from exporter_pipelines.contracts.store import Store
from exporter_pipelines.orchestration.exports.history_lock import instance_at_home


def missing_in_history(store: Store, datasets: Iterable[str]) -> dict[str, list[str]]:
    """Dataset -> published days that the instance at DAGSTER_HOME has no materialization of.

    Exports through `api` are in no history, and a history can be lost. Such days are complete; only
    the UI does not show them.
    """
    missing = {}
    with instance_at_home() as instance:
        for dataset in datasets:
            known = instance.get_materialized_partitions(dg.AssetKey(dataset))
            days = [day for day in store.published_days(dataset) if day not in known]
            if days:
                missing[dataset] = days
    return missing
