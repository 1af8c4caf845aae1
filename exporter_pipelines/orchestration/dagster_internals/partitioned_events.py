"""Check evaluations that name their day, for runs over a range of days.

Reason: `AssetCheckResult` has no partition argument, so a run over a range yields the evaluation
    itself. An evaluation without a target materialization is missing in the partition status bar,
    and Dagster does not export the class of that target.
Upstream: https://github.com/dagster-io/dagster/issues/17005
Test: test_assets.py::test_an_evaluation_names_its_day_and_the_newest_materialization_of_it
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
    """The target for evaluations of a day; None when the day was never materialized."""
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
        **evaluation: The other arguments of `dg.AssetCheckEvaluation`, including `partition`.
    """
    return dg.AssetCheckEvaluation(target_materialization_data=target, **evaluation)
