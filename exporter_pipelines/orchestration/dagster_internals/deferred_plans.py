"""Plans each day of a run when the run reaches it, instead of all days before the run starts.

When a run over a range is created, Dagster stores an event per day and asset, and a row per day and
check. For long ranges this takes minutes, and cannot be interrupted. A tag of the run turns it off.
The run then stores the event of a day itself, so the day is shown as running, published or failed
as in any other run. A run that is stopped has not planned the days that it did not reach.

Reason: the public API plans all partitions of a run, or none, and has no event for a single one.
    Nothing else reads the tag for a run that yields its materializations itself.
Upstream: none found.
Test: test_export_command.py::test_days_are_recorded_as_in_a_run_of_the_ui
"""

from __future__ import annotations

import logging

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster._core.storage.dagster_run import assets_are_externally_managed
from dagster._core.storage.tags import EXTERNALLY_MANAGED_ASSETS_TAG

DEFERRED = {EXTERNALLY_MANAGED_ASSETS_TAG: "true"}
"""Tags of a run that plans its days itself."""


def plan_if_deferred(context: dg.AssetExecutionContext, day: str) -> None:
    """Store the event that the running asset is about to materialize a day, if nobody has."""
    if not assets_are_externally_managed(context.run):
        return
    planned = AssetMaterializationPlannedData(context.asset_key, partition=day)
    event = DagsterEvent.build_asset_materialization_planned_event(
        context.job_name, context.op_execution_context.op_handle.name, planned
    )
    context.instance.report_dagster_event(event, context.run.run_id, logging.DEBUG)
