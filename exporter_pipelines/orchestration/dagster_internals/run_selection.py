"""Finds assets of a run: those directly downstream of another asset, or those with a tag.

Reason: an asset's context names only the assets of the same definition. The selection of the run
    and the asset graph are attributes of the job that Dagster does not document.
Upstream: none found.
Test: test_downstream.py::test_in_a_run_over_a_range_the_downstream_is_skipped_and_the_log_says_so
"""

from __future__ import annotations

from collections.abc import Collection

import dagster as dg


def selected_children(context: dg.AssetExecutionContext) -> list[str]:
    """Names of the selected assets directly downstream of the running one, sorted."""
    layer = context.job_def.asset_layer
    children = layer.asset_graph.get(context.asset_key).child_keys
    return sorted(key.to_user_string() for key in children & layer.selected_asset_keys)


def selected_with_tag(
    context: dg.AssetExecutionContext, tag: str, values: Collection[str]
) -> list[str]:
    """Names of the selected assets whose tag has one of some values, sorted."""
    layer = context.job_def.asset_layer
    keys = layer.selected_asset_keys
    return sorted(
        key.to_user_string() for key in keys if layer.asset_graph.get(key).tags.get(tag) in values
    )
