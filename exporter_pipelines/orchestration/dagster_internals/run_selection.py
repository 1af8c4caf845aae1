"""Finds assets of a run: those directly downstream of another asset, or those with a tag.

Reason: an asset's context names only the assets of the same definition. The selection of the run
    and the asset graph are attributes of the job that Dagster does not document.
Upstream: none found.
Test: test_downstream.py::test_in_a_run_over_a_range_the_downstream_is_skipped_and_the_log_says_so
"""

from __future__ import annotations

import dagster as dg


def selected_children(context: dg.AssetExecutionContext) -> list[str]:
    """Names of the selected assets directly downstream of the running one, sorted."""
    layer = context.job_def.asset_layer
    children = layer.asset_graph.get(context.asset_key).child_keys
    return sorted(key.to_user_string() for key in children & layer.selected_asset_keys)


def selected_with_tag(context: dg.AssetExecutionContext, tag: str) -> list[str]:
    """Names of the selected assets that have a tag, sorted."""
    layer = context.job_def.asset_layer
    keys = layer.selected_asset_keys
    return sorted(key.to_user_string() for key in keys if tag in layer.asset_graph.get(key).tags)
