"""Starts a backfill of chosen days, as the backfill dialog of the UI does.

The backfill is stored in the instance, and the daemon starts its runs.
https://docs.dagster.io/guides/build/partitions-and-backfills/backfilling-data

Reason: neither a sensor nor a job can request a backfill through the public API.
Upstream: https://github.com/dagster-io/dagster/issues/13852
Test: test_repair.py::test_the_job_has_exactly_these_days_exported_again
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import (
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)
from dagster._core.utils import make_new_backfill_id


def start_backfill(
    instance: dg.DagsterInstance,
    partitions: dg.PartitionsDefinition[str],
    asset: str,
    days: Sequence[str],
    *,
    title: str,
    description: str,
    tags: Mapping[str, str],
) -> str:
    """Start a backfill of exactly these days of an asset.

    Args:
        instance: Stores the backfill.
        partitions: Partitions definition of the asset.
        asset: Name of the asset.
        days: Partition keys.
        title: Shown in the list of backfills.
        description: Shown on the page of the backfill.
        tags: Set on the backfill and its runs.

    Returns:
        The id of the backfill; its page is `/runs/b/<id>`.
    """
    subset = partitions.subset_with_partition_keys(days)
    backfill = PartitionBackfill.from_asset_graph_subset(
        backfill_id=make_new_backfill_id(),
        backfill_timestamp=time.time(),
        tags=tags,
        dynamic_partitions_store=instance,
        # Its decorator hides the arguments from mypy.
        asset_graph_subset=AssetGraphSubset({dg.AssetKey(asset): subset}, set()),  # type: ignore[call-arg]
        title=title,
        description=description,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return str(backfill.backfill_id)


def running_backfill(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> str | None:
    """The id of an unfinished backfill with these tags; None when there is none."""
    filters = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED], tags=tags)
    found = instance.get_backfills(filters=filters, limit=1)
    return found[0].backfill_id if found else None
