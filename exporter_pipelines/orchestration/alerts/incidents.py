"""What an ended run says: what is wrong now, and what is well.

An incident is a kind, a subject and, where it is about one, a day and a check. It is told when it
begins and when it is over, and never in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.orchestration.alerts.ended_run import EndedRun

_QUIET = {"rejected_rows", "required_fields"}
"""Checks that warn for every day with a rejected row; `rejected_rate` and `day_held` tell more."""


class Incident(NamedTuple):
    """What is wrong, to be compared with what was wrong before.

    Attributes:
        kind: A name in `KINDS`.
        subject: Asset, job or variable.
        day: Partition key, or empty.
        check: Of `check_failed` only.
    """

    kind: str
    subject: str
    day: str = ""
    check: str = ""


def found_in(ended: EndedRun, datasets: set[str]) -> dict[Incident, str]:
    """What is wrong -> why; in the order of days."""
    held = dict(_held(ended, datasets))
    found = {**held, **dict(_checks(ended, datasets, held)), **dict(_rates(ended, datasets, held))}
    if ended.failed:
        found.update(_failures(ended, {(each.subject, each.day) for each in held}))
    return dict(sorted(found.items()))


def over_by(ended: EndedRun, datasets: set[str], found: dict[Incident, str]) -> Callable[..., bool]:
    """Whether an incident that was told is over by what this run did."""
    well, succeeded = ended.well(), ended.run.status == dg.DagsterRunStatus.SUCCESS

    def over(incident: Incident) -> bool:
        kind, subject, day, check = incident
        if incident in found:
            return False
        if kind in ("day_held", "run_failed"):
            same_job = subject == ended.run.job_name and not day and succeeded
            return (subject, day) in well or same_job
        if kind == "rejected_rate":
            return subject in datasets and (subject, day) in ended.published
        # A day that is held was judged, not published: what is published is as it was.
        held = Incident("day_held", subject, day) in found
        return kind == "check_failed" and (subject, day, check) in ended.evaluations and not held

    return over


def _held(ended: EndedRun, datasets: set[str]) -> Iterator[tuple[Incident, str]]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for (asset, day, _), found in ended.evaluations.items():
        holds = not found.passed and found.severity == dg.AssetCheckSeverity.ERROR
        if asset in datasets and day and holds:
            reasons.setdefault((asset, day), []).append(found.description or found.check_name)
    for (asset, day), said in reasons.items():
        if (asset, day) not in ended.published:
            yield Incident("day_held", asset, day), " ".join(said)


def _checks(
    ended: EndedRun, datasets: set[str], held: dict[Incident, str]
) -> Iterator[tuple[Incident, str]]:
    for (asset, day, check), found in ended.evaluations.items():
        ours = asset in datasets
        # Without a day it is the summary of a range, whose days speak for themselves.
        quiet = ours and (check in _QUIET or not day or Incident("day_held", asset, day) in held)
        if not found.passed and not quiet:
            # Descriptions of others' checks may quote rows.
            said = f"{check}: {found.description}" if ours else f"{check} failed."
            yield Incident("check_failed", asset, day, check), said


def _rates(
    ended: EndedRun, datasets: set[str], held: dict[Incident, str]
) -> Iterator[tuple[Incident, str]]:
    """Days that are published although a large share of their rows is not."""
    for (asset, day, check), found in ended.evaluations.items():
        incident = Incident("rejected_rate", asset, day)
        if asset not in datasets or check != "rejected_rows" or not day:
            continue
        limits = ended.evaluations.get((asset, day, "rejection_limits"))
        limit = settings.alert_rejected_pct()
        if limit is None and limits:
            limit = _number(limits.metadata, "max_rejected_pct")
        above = limit is not None and _number(found.metadata, "rejected_pct") > limit
        if above and Incident("day_held", asset, day) not in held:
            yield incident, f"{found.description} The limit is {limit:g} %."


def _failures(ended: EndedRun, held: set[tuple[str, str]]) -> Iterator[tuple[Incident, str]]:
    failed = ended.missing() - held
    for asset, day in failed:
        said = ended.failed_steps.get(ended.planned[asset, day], ended.last_words)
        yield Incident("run_failed", asset, day), _of_day(said, asset, day)
    if not failed and not held:
        said = " ".join(ended.failed_steps.values()) or ended.last_words
        yield Incident("run_failed", ended.run.job_name), said


def _of_day(said: str, asset: str, day: str) -> str:
    """The line of a failure that names many days which is about this one; else all of it."""
    prefix = f"{asset} {day}: "
    line = next((line for line in said.splitlines() if line.startswith(prefix)), None)
    return line.removeprefix(prefix) if line else said


def _number(metadata: object, name: str) -> float:
    value = metadata.get(name) if isinstance(metadata, dict) else None
    return float(value.value) if value is not None else 0.0
