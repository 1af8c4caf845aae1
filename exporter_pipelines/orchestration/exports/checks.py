"""The engine's verdicts as Dagster asset checks, with a status per day.

https://docs.dagster.io/guides/test/asset-checks
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from exporter_pipelines.engine.judge import CHECKS, Verdict
from exporter_pipelines.orchestration.dagster_internals.partitioned_events import (
    check_evaluation,
    newest_materialization,
)

_OF_REJECTED_ROWS = ("rejected_rows", "rejection_limits", "required_fields")

_MEND = (
    "Look at the rejected rows; mend them in the backend, or the rule, or the limits in defs.yaml; "
    "then Materialize with Failed and missing. See docs/failures.md#a-day-is-held"
)
_LOST = (
    "Find out why the source has no rows of this day. The published export stays. To replace it, "
    "accept the loss with accept_loss_days in the run config. See docs/failures.md#a-day-is-held"
)
_A_BUG = (
    "The database or its driver gave other rows than it counted or was asked for: run the day "
    "again, and report it if it stays. See docs/failures.md#a-day-is-held"
)
_WHAT_TO_DO = {"rejected_rows": _MEND, "rejection_limits": _MEND, "no_lost_rows": _LOST}

_LISTED = 10
"""Most days that a summary names; the check's Partitions tab has them all."""


def check_specs(
    asset: str, partitions_def: dg.PartitionsDefinition[str]
) -> list[dg.AssetCheckSpec]:
    """One spec per check of a dataset."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=asset,
            description=f"{text} See docs/quality.md",
            partitions_def=partitions_def,
        )
        for name, text in CHECKS.items()
    ]


def check_results(
    verdicts: Sequence[Verdict], quarantine: Path | None
) -> Iterable[dg.AssetCheckResult]:
    """Results of a run of a single day; Dagster files them under that day."""
    for verdict in verdicts:
        yield dg.AssetCheckResult(
            check_name=verdict.check,
            passed=verdict.passed,
            severity=dg.AssetCheckSeverity[verdict.severity],
            description=verdict.reason,
            metadata=_metadata(verdict, quarantine),
        )


def day_evaluations(
    instance: dg.DagsterInstance,
    asset: str,
    day: str,
    verdicts: Sequence[Verdict],
    quarantine: Path | None,
) -> Iterable[dg.AssetCheckEvaluation]:
    """Evaluations of one day of a ranged run; a plain result could not name its day."""
    key = dg.AssetKey(asset)
    target = newest_materialization(instance, key, day)
    for verdict in verdicts:
        yield check_evaluation(
            target,
            asset_key=key,
            check_name=verdict.check,
            partition=day,
            passed=verdict.passed,
            severity=dg.AssetCheckSeverity[verdict.severity],
            description=verdict.reason,
            metadata=_metadata(verdict, quarantine),
        )


def range_results(
    verdicts_by_day: dict[str, list[Verdict]], unfinished: Sequence[str]
) -> Iterable[dg.AssetCheckResult]:
    """The closing results that Dagster demands of a ranged run: the worst day of each check.

    Args:
        verdicts_by_day: Of the days that were judged.
        unfinished: Days that failed before they were judged.
    """
    for check in CHECKS:
        judged = {
            day: verdict
            for day, verdicts in verdicts_by_day.items()
            for verdict in verdicts
            if verdict.check == check
        }
        failed = {day: verdict for day, verdict in judged.items() if not verdict.passed}
        # Dagster's list of checks takes its colour from here even where an earlier day is red.
        severities = {verdict.severity for verdict in (failed or judged).values()}
        held = [day for day in failed if any(v.holds for v in verdicts_by_day[day])]
        warned = [day for day in failed if day not in held]
        yield dg.AssetCheckResult(
            check_name=check,
            passed=not failed and not unfinished,
            severity=dg.AssetCheckSeverity["ERROR" if "ERROR" in severities else "WARN"],
            description=f"{len(verdicts_by_day)} days judged."
            + _listed("Held", held)
            + _listed("Published with a warning", warned)
            + _listed("Not judged", unfinished)
            + (" The page of each day says why." if held or unfinished else ""),
            metadata={
                "days_judged": len(judged),
                "days_failed": len(failed),
                "days_not_judged": len(unfinished),
            },
        )


def _listed(what: str, days: Sequence[str]) -> str:
    if not days:
        return ""
    more = f" and {len(days) - _LISTED} more" if len(days) > _LISTED else ""
    return f" {what}: {', '.join(days[:_LISTED])}{more}."


def _metadata(verdict: Verdict, quarantine: Path | None) -> dict[str, Any]:
    """The numbers; of a failure, also where its rows lie and what to do next."""
    shown: dict[str, Any] = dict(verdict.numbers)
    if verdict.passed:
        return shown
    if quarantine and verdict.check in _OF_REJECTED_ROWS:
        shown["quarantine"] = dg.MetadataValue.path(str(quarantine))
    if verdict.holds:
        shown["what_to_do"] = _WHAT_TO_DO.get(verdict.check, _A_BUG)
    return shown
