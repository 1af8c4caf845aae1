"""Check evaluations that name their day: the one place that uses a private part of Dagster.

`AssetCheckResult` has no partition argument, so a ranged run yields the event itself. Without a
target materialization the evaluation is in the history but missing in the partition status bar,
and the class of that target is not exported. A test fails when Dagster moves it.
"""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

Target = AssetCheckEvaluationTargetMaterializationData


def newest_materialization(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, partition: str
) -> Target | None:
    """What the evaluations of a day are tied to; None when it never was materialized."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset_key, asset_partitions=[partition]), limit=1
    ).records
    if not records:
        return None
    newest = records[0]
    return Target(storage_id=newest.storage_id, run_id=newest.run_id, timestamp=newest.timestamp)


def check_evaluation(target: Target | None, **evaluation: Any) -> dg.AssetCheckEvaluation:
    """An evaluation of one day.

    Args:
        target: The newest materialization of that day.
        **evaluation: The other arguments of `dg.AssetCheckEvaluation`, `partition` among them.
    """
    return dg.AssetCheckEvaluation(target_materialization_data=target, **evaluation)
