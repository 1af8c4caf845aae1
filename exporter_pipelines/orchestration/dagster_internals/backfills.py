"""Starting a backfill from code: the one place that uses the private parts of Dagster for it.

What the UI's dialog does through GraphQL: the backfill lies in the instance, and the daemon starts
its runs. Dagster exports none of these classes; a test fails when it moves them.

https://docs.dagster.io/guides/build/partitions-and-backfills/backfilling-data
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
    """Ask for exactly these days of an asset.

    Args:
        partitions: Of the asset.
        days: Some of their keys.
        tags: Of the backfill and its runs.

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
    """The id of a backfill with these tags that has not ended; None when there is none."""
    filters = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED], tags=tags)
    found = instance.get_backfills(filters=filters, limit=1)
    return found[0].backfill_id if found else None
