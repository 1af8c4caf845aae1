"""Incidents: the problems that a finished run shows, and the ones that it resolves.

An incident has a kind, a subject and, if it concerns one, a day and a check. One message is sent
when it begins, and one when it is resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import dagster as dg

from exporter_pipelines import alert_settings
from exporter_pipelines.engine import outside_days
from exporter_pipelines.orchestration.alerts.ended_run import EndedRun
from exporter_pipelines.orchestration.exports.outcome import not_tried_in

_QUIET = {"rejected_rows", "required_fields"}
"""Checks that warn for every rejected row; `rejected_rate` and `day_held` cover them."""


_OF_THE_TABLE = {outside_days.CHECK}
"""Checks whose warning is about the table. All days share one incident: rows without a time would
otherwise send an alert about each new day."""


NOT_TRIED = "Not tried, since the run gave up."
"""The reason of a day that was planned, but that the run did not reach after a failure."""


class Incident(NamedTuple):
    """One problem.

    Attributes:
        kind: A name in `KINDS`.
        subject: Asset, job or variable.
        day: Partition key, or empty.
        check: Name of the check; only for `check_failed`.
    """

    kind: str
    subject: str
    day: str = ""
    check: str = ""


def found_in(ended: EndedRun, datasets: set[str]) -> dict[Incident, str]:
    """The incidents of a run -> the reason of each; ordered by day."""
    held = dict(_held(ended, datasets))
    found = {**held, **dict(_checks(ended, datasets, held)), **dict(_rates(ended, datasets, held))}
    if ended.failed:
        found.update(_failures(ended, {(each.subject, each.day) for each in held}))
    return dict(sorted(found.items()))


def resolved_by(
    ended: EndedRun, datasets: set[str], found: dict[Incident, str]
) -> Callable[..., bool]:
    """A function that says whether this run resolves an open incident."""
    materialized, succeeded = ended.materialized(), ended.run.status == dg.DagsterRunStatus.SUCCESS
    checked = {
        (asset, _day_of(check, day), check)
        for (asset, day, check), each in ended.evaluations.items()
        # A day that this check holds says nothing about the table.
        if each.passed or check not in _OF_THE_TABLE
    }

    def is_resolved(incident: Incident) -> bool:
        kind, subject, day, check = incident
        if incident in found:
            return False
        if kind in ("day_held", "run_failed"):
            same_job = subject == ended.run.job_name and not day and succeeded
            return (subject, day) in materialized or same_job
        if kind == "rejected_rate":
            return subject in datasets and (subject, day) in ended.published
        # A held day leaves the published export unchanged, so its failed checks stay open.
        held = Incident("day_held", subject, day) in found
        return kind == "check_failed" and (subject, day, check) in checked and not held

    return is_resolved


def holding_checks(ended: EndedRun, subject: str, days: Sequence[str]) -> dict[str, list[str]]:
    """Check -> those of the days that it holds."""
    wanted, found = set(days), dict[str, list[str]]()
    for (asset, day, check), evaluation in ended.evaluations.items():
        if asset == subject and day in wanted and _holds(evaluation):
            found.setdefault(check, []).append(day)
    return found


def numbers_of(ended: EndedRun, subject: str, day: str, check: str) -> dict[str, float | int]:
    """The numbers of a check of a day."""
    return {
        name: value.value
        for name, value in ended.evaluations[subject, day, check].metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
        and value.value is not None
    }


def _holds(found: dg.AssetCheckEvaluation) -> bool:
    return not found.passed and found.severity == dg.AssetCheckSeverity.ERROR


def _held(ended: EndedRun, datasets: set[str]) -> Iterator[tuple[Incident, str]]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for (asset, day, _), found in ended.evaluations.items():
        if asset in datasets and day and _holds(found):
            reasons.setdefault((asset, day), []).append(found.description or found.check_name)
    for (asset, day), texts in reasons.items():
        if (asset, day) not in ended.published:
            yield Incident("day_held", asset, day), " ".join(texts)


def _checks(
    ended: EndedRun, datasets: set[str], held: dict[Incident, str]
) -> Iterator[tuple[Incident, str]]:
    for (asset, day, check), found in ended.evaluations.items():
        ours = asset in datasets
        # An evaluation without a day summarizes a range; its days have evaluations of their own.
        quiet = ours and (check in _QUIET or not day or Incident("day_held", asset, day) in held)
        if not found.passed and not quiet:
            # Descriptions of other people's checks may quote rows.
            reason = f"{check}: {found.description}" if ours else f"{check} failed."
            yield Incident("check_failed", asset, _day_of(check, day), check), reason


def _day_of(check: str, day: str) -> str:
    """The day of an incident: empty for a check that is about the table."""
    return "" if check in _OF_THE_TABLE else day


def _rates(
    ended: EndedRun, datasets: set[str], held: dict[Incident, str]
) -> Iterator[tuple[Incident, str]]:
    """Published days with a large share of rejected rows."""
    for (asset, day, check), found in ended.evaluations.items():
        incident = Incident("rejected_rate", asset, day)
        if asset not in datasets or check != "rejected_rows" or not day:
            continue
        limits = ended.evaluations.get((asset, day, "rejection_limits"))
        limit = alert_settings.alert_rejected_pct()
        if limit is None and limits:
            limit = _number(limits.metadata, "max_rejected_pct")
        above = limit is not None and _number(found.metadata, "rejected_pct") > limit
        if above and Incident("day_held", asset, day) not in held:
            yield incident, f"{found.description} The limit is {limit:g} %."


def _failures(ended: EndedRun, held: set[tuple[str, str]]) -> Iterator[tuple[Incident, str]]:
    failed = ended.missing() - held
    for asset, day in failed:
        reason = ended.failed_steps.get(ended.planned[asset, day], ended.last_words)
        yield Incident("run_failed", asset, day), _reason_of_day(reason, asset, day)
    if not failed and not held:
        reason = " ".join(ended.failed_steps.values()) or ended.last_words
        yield Incident("run_failed", ended.run.job_name), reason


def _reason_of_day(reason: str, asset: str, day: str) -> str:
    """The line about this day, if the failure has a line per day; otherwise the whole text."""
    prefix = f"{asset} {day}: "
    line = next((line for line in reason.splitlines() if line.startswith(prefix)), None)
    if line is None and not_tried_in(reason, asset):
        return NOT_TRIED
    return line.removeprefix(prefix) if line else reason


def _number(metadata: object, name: str) -> float:
    value = metadata.get(name) if isinstance(metadata, dict) else None
    return float(value.value) if value is not None else 0.0
