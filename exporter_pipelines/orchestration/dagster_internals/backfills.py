"""Starts a backfill of chosen days, as the backfill dialog of the UI does, and reads backfills.

The backfill is stored in the instance, and the daemon starts its runs.
https://docs.dagster.io/guides/build/partitions-and-backfills/backfilling-data

Reason: neither a sensor nor a job can request a backfill through the public API, and the class of
    a backfill, with its target, is private.
Upstream: https://github.com/dagster-io/dagster/issues/13852
Test: test_repair.py::test_the_job_has_exactly_these_days_exported_again
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Backfill:
    """A backfill as Dagster stores it.

    Attributes:
        id: Its page is `/runs/b/<id>`.
        days: Asset -> partitions that are to be materialized; empty if that is not known.
        tags: Of the backfill and its runs.
        title: That was chosen when it was started.
        created_at: Seconds since 1970.
        is_active: Whether it starts further runs.
        is_cancelled: Whether it was cancelled, also if the daemon has yet to act on it.
        problem: Why it failed by itself.
    """

    id: str
    days: Mapping[str, Sequence[str]]
    tags: Mapping[str, str]
    title: str | None
    created_at: float
    is_active: bool
    is_cancelled: bool
    problem: str | None


def read_backfill(instance: dg.DagsterInstance, backfill_id: str) -> Backfill | None:
    """A backfill; None if there is none of this id."""
    found = instance.get_backfill(backfill_id)
    return _backfill(found) if found else None


def waiting_backfills(instance: dg.DagsterInstance, limit: int) -> list[Backfill]:
    """Backfills that start further runs, newest first."""
    filters = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    return [_backfill(found) for found in instance.get_backfills(filters=filters, limit=limit)]


def _backfill(found: PartitionBackfill) -> Backfill:
    data = found.asset_backfill_data
    subsets = data.target_subset.partitions_subsets_by_asset_key if data else {}
    return Backfill(
        id=found.backfill_id,
        days={
            key.to_user_string(): sorted(subset.get_partition_keys())
            for key, subset in subsets.items()
        },
        tags=found.tags,
        title=found.title,
        created_at=found.backfill_timestamp,
        is_active=found.status == BulkActionStatus.REQUESTED,
        is_cancelled=found.status in (BulkActionStatus.CANCELING, BulkActionStatus.CANCELED),
        problem=found.error.message if found.error else None,
    )
