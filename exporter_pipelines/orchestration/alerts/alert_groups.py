"""Which problems were reported by one message, so that one message reports their end.

A resolved message is sent when the last failure of an alert is resolved, and another one when its
last warning is: a warning such as drift may never end.
"""

from __future__ import annotations

from collections.abc import Iterable

from exporter_pipelines.notifications.kinds import KINDS
from exporter_pipelines.orchestration.alerts.incidents import Incident
from exporter_pipelines.orchestration.alerts.memory import Memory

_KEY = "groups"


def reported(memory: Memory, incidents: Iterable[Incident]) -> None:
    """Remember that one message has reported these incidents."""
    levels: dict[str, list[Incident]] = {}
    for incident in incidents:
        levels.setdefault(KINDS[incident.kind].level, []).append(incident)
    for members in levels.values():
        memory.extra.setdefault(_KEY, []).append({"open": members, "resolved": []})


def all_resolved(memory: Memory, ended: Iterable[Incident]) -> list[Incident]:
    """The incidents to report as resolved: those whose alert has no open ones left.

    Args:
        memory: Its groups are updated.
        ended: Incidents that a run has resolved.
    """
    found, waiting = set(ended), []
    report = {*found}
    for stored in memory.extra.get(_KEY, []):
        members = {Incident(*each) for each in stored["open"]}
        resolved = {Incident(*each) for each in stored["resolved"]} | (members & found)
        # Incidents that the memory has dropped are never resolved, and must not be waited for.
        still_open = members & memory.open.keys()
        resolved -= memory.open.keys()  # a day that is held again belongs to a newer alert
        if still_open:
            waiting.append({"open": sorted(still_open), "resolved": sorted(resolved)})
            report -= resolved
        else:
            report |= resolved
    memory.extra[_KEY] = waiting
    return sorted(report)
