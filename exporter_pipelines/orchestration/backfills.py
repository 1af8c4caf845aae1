"""Starting a backfill from code: the one place that uses the private parts of Dagster for it.

What the UI's dialog does through GraphQL: the backfill lies in the instance, and the daemon starts
its runs. Dagster exports none of these classes; a test fails when it moves them.

https://docs.dagster.io/guides/build/partitions-and-backfills/backfilling-data
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.execution.backfill import (
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)
from dagster._core.utils import make_new_backfill_id


def start_backfill(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    asset: str,
    days: Sequence[str],
    *,
    title: str,
    description: str,
    tags: Mapping[str, str],
) -> str:
    """Ask for exactly these days of an asset.

    Args:
        days: Partition keys, each of which exists.
        tags: Of the backfill and its runs.

    Returns:
        The id of the backfill; its page is `/runs/b/<id>`.
    """
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=make_new_backfill_id(),
        asset_graph=repository.asset_graph,
        backfill_timestamp=time.time(),
        tags=tags,
        asset_selection=[dg.AssetKey(asset)],
        partition_names=days,
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=title,
        description=description,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return backfill.backfill_id


def running_backfill(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> str | None:
    """The id of a backfill with these tags that has not ended; None when there is none."""
    filters = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED], tags=tags)
    found = instance.get_backfills(filters=filters, limit=1)
    return found[0].backfill_id if found else None
