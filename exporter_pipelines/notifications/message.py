"""The text of messages. It never contains row content, a secret or a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter_pipelines.notifications.kinds import KINDS, Level

LISTED = 10
"""Maximum number of days and reasons in a message; the link leads to all of them."""

_REASON_CHARS = 300
_BODY_CHARS = 1800
"""Some receivers accept at most 2,000 characters."""


@dataclass(frozen=True)
class Message:
    """One message."""

    title: str
    body: str
    level: Level


def alert(
    kind: str, subject: str, *, days: Sequence[str] = (), why: Sequence[str] = (), link: str
) -> Message:
    """The message about a problem.

    Args:
        kind: A name in `KINDS`.
        subject: The dataset, job or variable.
        days: Partition keys; empty if the problem is not about days.
        why: One reason per line, the most important first.
        link: Address of the run, or of another page of the UI.
    """
    known = KINDS[kind]
    lines = [f"Days: {listed(days)}"] if len(days) > 1 else []
    lines += ["Why: " + "\n".join(_reasons(why))] if why else []
    which = f" {_brief(days)}" if days else ""
    return _message(f"{subject}{which}: {known.title}", lines, link, known.todo, known.level)


def resolution(subject: str, what: Sequence[tuple[str, Sequence[str]]], link: str) -> Message:
    """The message that problems are resolved.

    Args:
        subject: As in the alert.
        what: (kind, its days) of the resolved alerts.
        link: Address of the run that resolved them, or of another page of the UI.
    """
    lines = [f"Resolved: {KINDS[kind].title}{f' ({listed(days)})' if days else ''}."
             for kind, days in what]  # fmt: skip
    every = sorted({day for _, days in what for day in days})
    which = f" {_brief(every)}" if every else ""
    return _message(f"{subject}{which}: resolved", lines, link, "No action needed.", "success")


def listed(days: Sequence[str]) -> str:
    """At most `LISTED` days, and the number of further days."""
    more = f" and {len(days) - LISTED} more" if len(days) > LISTED else ""
    return ", ".join(days[:LISTED]) + more


def _brief(days: Sequence[str]) -> str:
    return days[0] if len(days) == 1 else f"{len(days)} days"


def _reasons(why: Sequence[str]) -> list[str]:
    lines = [line[:_REASON_CHARS] + ("…" if len(line) > _REASON_CHARS else "") for line in why]
    more = [f"and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return lines[:LISTED] + more


def _message(title: str, lines: list[str], link: str, todo: str, level: Level) -> Message:
    tail = f"\nSee: {link}\nWhat to do: {todo}"
    body, room = "\n".join(lines), _BODY_CHARS - len(tail)
    body = body if len(body) <= room else body[: room - 1] + "…"
    return Message(f"[exporter] {title}", (body + tail).strip(), level)
