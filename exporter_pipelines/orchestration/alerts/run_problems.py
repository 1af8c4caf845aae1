"""The problems of a run, as its message shows them: one per kind and subject."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from exporter_pipelines import settings
from exporter_pipelines.contracts.day_window import is_day
from exporter_pipelines.contracts.late_data import LateDataConfig
from exporter_pipelines.defs_files import dataset_named
from exporter_pipelines.engine.actions import action
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.notifications.kinds import KINDS
from exporter_pipelines.notifications.message import Problem
from exporter_pipelines.orchestration.alerts.ended_run import EndedRun
from exporter_pipelines.orchestration.alerts.incidents import (
    NOT_TRIED,
    Incident,
    holding_checks,
    numbers_of,
)
from exporter_pipelines.orchestration.exports.outcome import not_tried_in


def without_history(found: Mapping[Incident, str], datasets: set[str]) -> dict[Incident, str]:
    """Without the warnings about days before the late-data window of their dataset."""
    today = settings.today()
    oldest = {
        subject: today - dt.timedelta(days=_lookback_days(subject))
        for subject in {each.subject for each in found} & datasets
    }

    def is_history(incident: Incident) -> bool:
        day, first = incident.day, oldest.get(incident.subject)
        warns = KINDS[incident.kind].level == "warning"
        return warns and first is not None and is_day(day) and dt.date.fromisoformat(day) < first

    return {incident: why for incident, why in found.items() if not is_history(incident)}


def problems_of(
    ended: EndedRun,
    begun: Mapping[Incident, str],
    slow: Mapping[Incident, list[tuple[str, str]]],
) -> list[Problem]:
    """One problem per kind and subject, with the reason for each day.

    Args:
        ended: The run.
        begun: Its new incidents -> the reason of each.
        slow: Slow datasets -> the reason for each slow day.
    """
    reasons: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for incident, why in begun.items():
        found = slow.get(incident, [(incident.day, why)])
        reasons.setdefault((incident.kind, incident.subject), []).extend(found)
    return [_problem(ended, kind, subject, found) for (kind, subject), found in reasons.items()]


def _problem(ended: EndedRun, kind: str, subject: str, reasons: list[tuple[str, str]]) -> Problem:
    if kind == "day_held":
        return _held(ended, subject, reasons)
    note = ""
    if kind == "run_failed" and NOT_TRIED not in dict(reasons).values():
        # A run that plans its days as it reaches them has no incident for the others.
        days = not_tried_in(ended.failed_steps.get(subject, ""), subject)
        note = f"Not tried: {days}" if days else ""
    return Problem(kind, subject, reasons, note)


def _held(ended: EndedRun, subject: str, reasons: list[tuple[str, str]]) -> Problem:
    days = [day for day, _ in reasons]
    held_by = holding_checks(ended, subject, days)
    todo = dict.fromkeys(
        action(check, subject, held, [numbers_of(ended, subject, day, check) for day in held])
        for check, held in held_by.items()
    )
    return Problem("day_held", subject, reasons, _what_stays(ended, subject, days), [*todo])


def _what_stays(ended: EndedRun, subject: str, days: Sequence[str]) -> str:
    """Which of the held days have a published export; empty if a run of 0.1.0 does not say it."""
    seen = [ended.observed.get((subject, day)) for day in days]
    found = [each.metadata.get("published_export") for each in seen if each]
    times = [str(each.value) for each in found if each]
    if len(times) < len(days):
        return ""
    published = [time for time in times if time != "none"]
    if len(days) == 1:
        stays = f"The published export of {times[0]} stays."
        return stays if published else "This day has no published export."
    if len(published) in (0, len(days)):
        return (
            "The published exports of these days stay."
            if published
            else "These days have no published export."
        )
    return f"{len(published)} of these {len(days)} days have a published export, which stays."


def _lookback_days(dataset: str) -> int:
    try:
        return dataset_named(dataset).config.late_data.lookback_days
    except ExporterError:  # its definition has become invalid, which has an alert of its own
        return LateDataConfig().lookback_days
