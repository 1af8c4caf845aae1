"""Dagster asset checks from the engine's verdicts, with one status per day.

https://docs.dagster.io/guides/test/asset-checks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from exporter_pipelines.docs_links import linked
from exporter_pipelines.engine.actions import action
from exporter_pipelines.engine.export_day import DayOutcome
from exporter_pipelines.engine.judge import CHECKS, PRIVACY_CHECKS, Verdict
from exporter_pipelines.orchestration.dagster_internals.partitioned_events import (
    check_evaluation,
    newest_materialization,
)
from exporter_pipelines.orchestration.exports.metadata import place

_QUARANTINE_CHECKS = ("rejected_rows", "rejection_limits", "required_fields")

_MAX_LISTED_DAYS = 10
"""A summary names no more days; the Partitions tab of the check has all of them."""


def check_specs(
    asset: str, partitions_def: dg.PartitionsDefinition[str], checks: Mapping[str, str]
) -> list[dg.AssetCheckSpec]:
    """One spec for each check of a dataset (name -> what it judges)."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=asset,
            description=linked(f"{text} See docs/quality.md"),
            partitions_def=partitions_def,
        )
        for name, text in checks.items()
    ]


def check_results(outcome: DayOutcome) -> Iterable[dg.AssetCheckResult]:
    """Results for a run of a single day; Dagster assigns them to that day."""
    for verdict in outcome.verdicts:
        yield dg.AssetCheckResult(
            check_name=verdict.check,
            passed=verdict.passed,
            severity=dg.AssetCheckSeverity[verdict.severity],
            description=linked(verdict.reason),
            metadata=_metadata(verdict, outcome.dataset, outcome.day, outcome.quarantine),
        )


def day_evaluations(
    instance: dg.DagsterInstance,
    asset: str,
    day: str,
    verdicts: Sequence[Verdict],
    quarantine: str | None,
) -> Iterable[dg.AssetCheckEvaluation]:
    """Evaluations for one day of a run over a range; an `AssetCheckResult` cannot name its day."""
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
            description=linked(verdict.reason),
            metadata=_metadata(verdict, asset, day, quarantine),
        )


def range_results(
    verdicts_by_day: dict[str, Sequence[Verdict]], unfinished: Sequence[str]
) -> Iterable[dg.AssetCheckResult]:
    """The result per check that Dagster requires at the end of a run over a range.

    A check passes if it passed on every day.

    Args:
        verdicts_by_day: Verdicts of the days that were judged.
        unfinished: Days that failed before they were judged.
    """
    every = {verdict.check for verdicts in verdicts_by_day.values() for verdict in verdicts}
    for check in (each for each in (*CHECKS, *PRIVACY_CHECKS) if each in every):
        judged = {
            day: verdict
            for day, verdicts in verdicts_by_day.items()
            for verdict in verdicts
            if verdict.check == check
        }
        failed = {day: verdict for day, verdict in judged.items() if not verdict.passed}
        # Dagster's list of checks shows this result, whatever the results of earlier days are.
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
            + (" The page of each day shows why." if held or unfinished else ""),
            metadata={
                "days_judged": len(judged),
                "days_failed": len(failed),
                "days_held": len(held),
                "days_warned": len(warned),
                "days_not_judged": len(unfinished),
            },
        )


def _listed(what: str, days: Sequence[str]) -> str:
    if not days:
        return ""
    unlisted = len(days) - _MAX_LISTED_DAYS
    more = f" and {unlisted} more" if unlisted > 0 else ""
    return f" {what}: {', '.join(days[:_MAX_LISTED_DAYS])}{more}."


def held_metadata(outcome: DayOutcome) -> dict[str, Any]:
    """What the page of a held day shows: reason, numbers, what to do, and what stays published."""
    holding = [verdict for verdict in outcome.verdicts if verdict.holds]
    actions = dict.fromkeys(
        action(v.check, outcome.dataset, [outcome.day], [v.numbers]) for v in holding
    )
    shown: dict[str, Any] = {
        "reason": " ".join(outcome.reasons),
        "action": with_links(" ".join(actions)),
        "published_export": outcome.published_at or "none",
    }
    for verdict in holding:
        shown |= verdict.numbers
    if outcome.quarantine:
        shown["quarantine"] = place(outcome.quarantine)
    return shown


def with_links(text: str) -> dg.MetadataValue | str:
    """A text with references to docs/, as metadata: Markdown if they can be links."""
    text_with_links = linked(text)
    return text if text_with_links == text else dg.MetadataValue.md(text_with_links)


def _metadata(verdict: Verdict, dataset: str, day: str, quarantine: str | None) -> dict[str, Any]:
    """The numbers. For a failed check also why, where the rejected rows are, and what to do."""
    shown: dict[str, Any] = dict(verdict.numbers)
    if verdict.passed:
        return shown
    todo = with_links(action(verdict.check, dataset, [day], [verdict.numbers], held=verdict.holds))
    if quarantine and verdict.check in _QUARANTINE_CHECKS:
        shown["quarantine"] = place(quarantine)
    if verdict.holds:
        shown["what_to_do"] = todo  # the name of `action` in 0.1.0
    return {"reason": linked(verdict.reason), "action": todo, **shown}
