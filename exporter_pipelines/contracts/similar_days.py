"""Days in messages: neighbours become `2026-11-03 to 2026-11-09`, and similar reasons one line."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence

_MOST_SPANS = 5

_MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?= UTC)"
_NUMBER = r"(?<![\w.,:/-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w:/-]|[.,]\d)"
"""A number that stands alone: not a part of a date, a time, a path, an address or a name."""
_VARIES = re.compile(f"{_MOMENT}|{_NUMBER}")
_QUARANTINE = re.compile(r" Rejected rows: [^\n]*?/quarantine/date=\S+")
"""Where the rejected rows of a day are; each day has a file of its own."""

_THAT_DAY = "that day"

Reasons = Sequence[tuple[str, str]]
"""(day, reason); the day is empty for a problem that is not about a day."""


def spans(days: Iterable[str], most: int = _MOST_SPANS) -> str:
    """Days as text: `2026-11-01, 2026-11-03 to 2026-11-09 and 4 more`.

    Args:
        days: In any order.
        most: Days and spans of days that are named.
    """
    found: list[list[str]] = []
    for day in sorted(set(days)):
        if found and _follows(found[-1][-1], day):
            found[-1].append(day)
        else:
            found.append([day])
    shown, left = found[:most], sum(len(span) for span in found[most:])
    text = ", ".join(span[0] if len(span) == 1 else _joined(span) for span in shown)
    return f"{text} and {left} more" if left else text


def grouped(reasons: Reasons) -> list[tuple[list[str], str]]:
    """Days whose reasons differ only in numbers -> one reason, most days first.

    A number that differs becomes `20 to 35`, and the day itself `that day`. Where the rejected rows
    are is left out.
    """
    alike: dict[str, list[tuple[str, str]]] = {}
    for day, reason in reasons:
        general = _QUARANTINE.sub("", reason)
        general = general.replace(day, _THAT_DAY) if day else general
        alike.setdefault(_VARIES.sub(_kind, general), []).append((day, reason))
    groups = [(sorted({day for day, _ in each if day}), _merged(each)) for each in alike.values()]
    return sorted(groups, key=lambda group: (-len(group[0]), group[0]))


def _kind(found: re.Match[str]) -> str:
    return "\1" if ":" in found[0] else "\0"


def _merged(reasons: Reasons) -> str:
    """One text for reasons that differ only in numbers; the text itself where they do not."""
    texts = {reason for _, reason in reasons}
    if len(texts) == 1:
        return texts.pop()
    general = [
        _QUARANTINE.sub("", reason).replace(day, _THAT_DAY) if day else reason
        for day, reason in reasons
    ]
    numbers = zip(*(_VARIES.findall(reason) for reason in general), strict=True)
    ranges = iter([_range(sorted(set(same), key=_value)) for same in numbers])
    text = _VARIES.sub(lambda _: next(ranges), general[0])
    days = {day for day, _ in reasons}
    return text.replace(_THAT_DAY, days.pop()) if len(days) == 1 else text


def _range(numbers: Sequence[str]) -> str:
    return numbers[0] if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _value(number: str) -> float | str:
    """What orders the numbers, or the moments, at one place of the reasons."""
    return number if ":" in number else float(number.replace(",", ""))


def _joined(span: Sequence[str]) -> str:
    return ", ".join(span) if len(span) == 2 else f"{span[0]} to {span[-1]}"


def _follows(day: str, other: str) -> bool:
    """Whether `other` is the day after `day`; partition keys of other assets need not be days."""
    try:
        return dt.date.fromisoformat(other) - dt.date.fromisoformat(day) == dt.timedelta(days=1)
    except ValueError:
        return False
