"""Reads what asset checks found for one day.

Reason: the public API returns no check executions, neither by run nor by partition.
Upstream: https://github.com/dagster-io/dagster/issues/17005
Test: test_report.py::test_the_page_tells_published_held_failed_and_cancelled_exports
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import dagster as dg
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
    AssetCheckExecutionRecordStatus,
)

_LATEST = 20
"""Number of executions of a day that are read, newest first."""


@dataclass(frozen=True)
class FailedCheck:
    """What a check found that failed for a day.

    Attributes:
        day: Partition key.
        run_id: The run that evaluated it; None if it was reported without a run.
        at: When.
        evaluation: With severity and reason.
    """

    day: str
    run_id: str | None
    at: dt.datetime
    evaluation: dg.AssetCheckEvaluation


def check_failed(
    instance: dg.DagsterInstance, run_id: str, asset: str, check: str, day: str
) -> bool:
    """Whether the check failed for this day in this run."""
    failed = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(asset), check),
        limit=_LATEST,
        status={AssetCheckExecutionRecordStatus.FAILED},
        partition_filter=PartitionKeyFilter(key=day),
    )
    return any(execution.run_id == run_id for execution in failed)


def evaluations(
    instance: dg.DagsterInstance, run_ids: Collection[str], asset: str, check: str, day: str
) -> list[dg.AssetCheckEvaluation]:
    """What the check found for this day in some runs, newest first."""
    found = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(asset), check),
        limit=_LATEST,
        status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
        partition_filter=PartitionKeyFilter(key=day),
    )
    events = [each.event for each in found if each.run_id in run_ids and each.event]
    return [
        event.dagster_event.asset_check_evaluation_data for event in events if event.dagster_event
    ]


def failed_checks(
    instance: dg.DagsterInstance, asset: str, check: str, limit: int
) -> Iterator[FailedCheck]:
    """What the check found whenever it failed for a day, newest first.

    Args:
        instance: Has the history.
        asset, check: Their names.
        limit: Most executions that are read.
    """
    for found in instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(asset), check),
        limit=limit,
        status={AssetCheckExecutionRecordStatus.FAILED},
    ):
        entry = found.event
        if found.partition and entry and entry.dagster_event:
            yield FailedCheck(
                day=found.partition,
                run_id=None if found.run_id == RUNLESS_RUN_ID else found.run_id,
                # The record's own time has whole seconds in SQLite.
                at=dt.datetime.fromtimestamp(entry.timestamp, dt.UTC),
                evaluation=entry.dagster_event.asset_check_evaluation_data,
            )
