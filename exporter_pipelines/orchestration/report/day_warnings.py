"""Which published days have a check that warned about them, from Dagster's history.

Manifests do not have the verdicts. Those of another run of the day, which was held or failed, are
not about the published export and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from exporter_pipelines.contracts.export_attempts import DaySummary, DayWarning
from exporter_pipelines.engine.judge import CHECKS, PRIVACY_CHECKS
from exporter_pipelines.orchestration.dagster_internals.check_history import (
    FailedCheck,
    failed_checks,
)

_MOST = 2_000
"""Failures of a check that are read: those of each of 400 days, if it was exported five times."""


def day_warnings(instance: dg.DagsterInstance, published: Iterable[DaySummary]) -> list[DayWarning]:
    """The warnings about published days: by dataset, check and day, newest day first."""
    by_dataset: dict[str, dict[str, DaySummary]] = {}
    for each in published:
        by_dataset.setdefault(each.dataset, {})[each.day] = each
    found = []
    for dataset, days in by_dataset.items():
        for check in (*CHECKS, *PRIVACY_CHECKS):
            reasons: dict[str, str] = {}
            for failed in failed_checks(instance, dataset, check, _MOST):
                if failed.day in days and _is_about(failed, days[failed.day]):
                    reasons.setdefault(failed.day, failed.evaluation.description or "")
            found += [
                DayWarning(dataset, day, check, reasons[day])
                for day in sorted(reasons, reverse=True)
            ]
    return found


def _is_about(failed: FailedCheck, published: DaySummary) -> bool:
    """Whether a warning is about the export that is published now."""
    if failed.evaluation.severity != dg.AssetCheckSeverity.WARN:
        return False
    if failed.run_id is None:  # `late_data_sensor` looked at the day again
        return published.published_at is not None and failed.at > published.published_at
    return failed.run_id == published.run_id
