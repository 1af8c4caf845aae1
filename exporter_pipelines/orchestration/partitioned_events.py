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


def check_evaluation(
    instance: dg.DagsterInstance, *, asset_key: dg.AssetKey, partition: str, **evaluation: Any
) -> dg.AssetCheckEvaluation:
    """An evaluation of one day, tied to the newest materialization of that day, if any.

    Args:
        instance: Where the materialization is looked up.
        asset_key, partition: What was checked.
        **evaluation: The other arguments of `dg.AssetCheckEvaluation`.
    """
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset_key, asset_partitions=[partition]), limit=1
    ).records
    target = None
    if records:
        target = AssetCheckEvaluationTargetMaterializationData(
            storage_id=records[0].storage_id,
            run_id=records[0].run_id,
            timestamp=records[0].timestamp,
        )
    return dg.AssetCheckEvaluation(
        asset_key=asset_key,
        partition=partition,
        target_materialization_data=target,
        **evaluation,
    )
