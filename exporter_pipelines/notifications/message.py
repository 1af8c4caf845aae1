"""The text of messages. It never contains row content, a secret or a traceback.

A message about a run has all its problems, worst first, and a bounded length: it says how many days
and problems it leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter_pipelines.contracts.similar_days import Reasons, grouped, spans
from exporter_pipelines.docs_links import linked
from exporter_pipelines.notifications.kinds import KINDS, Kind, Level

_MOST_IN_TITLE = 3
_MOST_PROBLEMS = 5
"""A body has no more problems; the link leads to all of them."""
_MOST_ADVICE = 2
_REASON_CHARS = 300
_LINK_CHARS = 300
_ADVICE_CHARS = 420
_BODY_CHARS = 1800
"""Some receivers accept at most 2,000 characters."""
_MORE_CHARS = len("\nand 100,000 more days")


@dataclass(frozen=True)
class Message:
    """One message."""

    title: str
    body: str
    level: Level


@dataclass(frozen=True)
class Problem:
    """A problem of one dataset, job or variable, with all its days.

    Attributes:
        kind: A name in `KINDS`.
        subject: The dataset, job or variable.
        reasons: Why, by day.
        note: What is true of all the days; one sentence.
        todo: What to do, one text per way; empty for that of the kind.
    """

    kind: str
    subject: str
    reasons: Reasons
    note: str = ""
    todo: Sequence[str] = ()

    @property
    def known(self) -> Kind:
        """Its kind."""
        return KINDS[self.kind]

    @property
    def title(self) -> str:
        """`logs 40 days: held`."""
        return f"{_named(self.subject, {day for day, _ in self.reasons})}: {self.known.title}"


def alert(problems: Sequence[Problem], link: str) -> Message:
    """The message about problems that began together, worst first.

    Args:
        problems: One or more.
        link: Address of the run, or of another page of the UI.
    """
    ranks = [*KINDS]
    found = sorted(problems, key=lambda each: (ranks.index(each.kind), each.subject))
    level = found[0].known.level
    urgent = [each for each in found if each.known.level == level]
    advice = dict.fromkeys(text for p in urgent for text in (p.todo or [p.known.todo]))
    todo = "\n".join(linked(_shortened(text, _ADVICE_CHARS)) for text in [*advice][:_MOST_ADVICE])
    tail = f"See: {link[:_LINK_CHARS]}\nWhat to do: {todo}"
    body = _body(found, _BODY_CHARS - len(tail) - 1)
    title = _some([each.title for each in found], _MOST_IN_TITLE, "; ", "problems")
    return Message(f"[exporter] {title}", f"{body}\n{tail}", level)


def resolution(what: Sequence[tuple[str, str, Sequence[str]]], link: str) -> Message:
    """The message that problems are resolved.

    Args:
        what: (kind, subject, days) of the resolved problems.
        link: Address of the run that resolved the last one, or of another page of the UI.
    """
    subjects: dict[str, set[str]] = {}
    for _, subject, days in what:
        subjects.setdefault(subject, set()).update(days)
    lines = []
    for kind, subject, days in what:
        named = f"{subject} {spans(days)}".strip() if len(subjects) > 1 else spans(days)
        lines.append(f"Resolved: {KINDS[kind].title}" + (f" ({named})." if named else "."))
    body = _some(lines, _MOST_PROBLEMS, "\n", "problems")
    names = [_named(subject, days) for subject, days in subjects.items()]
    title = f"[exporter] {_some(names, _MOST_IN_TITLE, ', ', 'subjects')}: resolved"
    return Message(title, f"{body}\nSee: {link}\nWhat to do: No action needed.", "success")


def _body(problems: Sequence[Problem], room_for_all: int) -> str:
    """The reasons, while there is room; headings, notes and the number of what is left out."""
    shown, alone = problems[:_MOST_PROBLEMS], len(problems) == 1
    left_out = len(problems) - len(shown)
    more = [f"and {left_out} more problems"] if left_out else []
    headings = ["Why:" if alone else each.title for each in shown]
    notes = [each.note for each in shown]
    fixed = sum(len(text) + 1 for text in (*headings, *notes, *more))
    room = room_for_all - fixed - _MORE_CHARS * len(shown)
    parts = []
    for heading, problem in zip(headings, shown, strict=True):
        lines = _lines(problem, room)
        room -= sum(len(line) + 1 for line in lines)
        joined = alone and len(lines) == 1
        parts += [f"{heading} {lines[0]}"] if joined else [heading, *lines]
        parts += [problem.note] if problem.note else []
    return _shortened("\n".join([*parts, *more]), room_for_all)


def _lines(problem: Problem, room: int) -> list[str]:
    """A line per group of days while there is room, then the number of further days."""
    groups = grouped(problem.reasons)
    lines: list[str] = []
    titled = len({day for day, _ in problem.reasons}) == 1  # its only day is in the title
    for number, (days, reason) in enumerate(groups):
        line = _shortened(reason, _REASON_CHARS)
        if days and not titled:
            line = f"{spans(days)}: {line}"
        if len(line) >= room:
            left = {day for others, _ in groups[number:] for day in others}
            more = f"and {len(left)} more days" if left else "and more reasons"
            return [*lines, more]
        room -= len(line) + 1
        lines.append(line)
    return lines


def _named(subject: str, days: set[str]) -> str:
    known = sorted(days - {""})
    brief = known[0] if len(known) == 1 else f"{len(known)} days" if known else ""
    return f"{subject} {brief}".strip()


def _some(texts: Sequence[str], most: int, separator: str, what: str) -> str:
    left = len(texts) - most
    more = [f"and {left} more {what}"] if left > 0 else []
    return separator.join([*texts[:most], *more])


def _shortened(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"
