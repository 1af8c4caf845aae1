"""Silences Dagster's warnings about beta and preview features that this project uses on purpose.

Dagster is pinned to one version and tests cover these features, so the warnings would only distract
on every command. All other warnings are shown.
"""

from __future__ import annotations

import re
import warnings

import dagster as dg

_KNOWN = {
    "Parameter `backfill_policy` of function `asset`": dg.BetaWarning,
    "Parameter `data_version` of initializer `Output.__init__`": dg.BetaWarning,
    # Dagster passes it to itself for a selection such as `group:exports`.
    "Parameter `include_sources` of function `AssetSelection.groups`": dg.BetaWarning,
    "Specifying a partitions_def on an AssetCheckSpec": dg.PreviewWarning,
}


def silence_all() -> None:
    """Ignore every warning of Dagster about its own features in this process."""
    for category in (dg.BetaWarning, dg.PreviewWarning, dg.SupersessionWarning):
        warnings.filterwarnings("ignore", category=category)


def silence() -> None:
    """Ignore the known warnings in this process."""
    for message, category in _KNOWN.items():
        warnings.filterwarnings("ignore", message=re.escape(message), category=category)
