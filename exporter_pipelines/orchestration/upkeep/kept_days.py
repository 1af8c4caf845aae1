"""Shows in Dagster that held days are kept: their partitions and checks become green."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.judge import CHECKS, PRIVACY_CHECKS
from exporter_pipelines.engine.kept_days import KeptDay
from exporter_pipelines.orchestration.dagster_internals.reported_checks import forget_reported
from exporter_pipelines.orchestration.exports.checks import day_evaluations
from exporter_pipelines.orchestration.exports.history_lock import instance_at_home
from exporter_pipelines.orchestration.exports.metadata import day_materialization

_REASON = "The published export stays: an operator keeps it."


def record_kept_days(store: Store, dataset: str, days: Sequence[str]) -> None:
    """As `record_kept_days_in`, in the instance of DAGSTER_HOME."""
    with instance_at_home() as instance:
        record_kept_days_in(instance, store, dataset, days)


def record_kept_days_in(
    instance: dg.DagsterInstance, store: Store, dataset: str, days: Sequence[str]
) -> None:
    """Record the published exports of kept days, and passed checks, in the instance's history.

    Args:
        instance: Has the history.
        store: The exports.
        dataset: Its name.
        days: Days that an operator keeps. A day with a damaged manifest is left out.
    """
    for day in days:
        manifest = Manifest.if_readable(store.read_manifest(dataset, day))
        if manifest is None:
            continue
        instance.report_runless_asset_event(day_materialization(manifest, store, _REASON))
        checks = {**CHECKS, **(PRIVACY_CHECKS if manifest.privacy else {})}
        verdicts = KeptDay(manifest, _REASON, tuple(checks)).verdicts()
        for event in day_evaluations(instance, dataset, day, verdicts, None):
            forget_reported(instance, event)
            instance.report_runless_asset_event(event)
