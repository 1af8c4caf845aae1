"""Days in messages: neighbours become `2026-11-03 to 2026-11-09`, and similar reasons one line."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence

_MOST_SPANS = 5
"""A line names no more days and spans of days; the page of the run has all of them."""

_NUMBER = re.compile(r"(?<![\w.,:/-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w:/-]|[.,]\d)")
"""A number that stands alone: not a part of a date, a time, a path, an address or a name."""

_THAT_DAY = "that day"

Reasons = Sequence[tuple[str, str]]
"""(day, reason); the day is empty for a problem that is not about a day."""


def spans(days: Iterable[str]) -> str:
    """Days as text, at most five spans: `2026-11-01, 2026-11-03 to 2026-11-09 and 4 more`."""
    found: list[list[str]] = []
    for day in sorted(set(days)):
        if found and _follows(found[-1][-1], day):
            found[-1].append(day)
        else:
            found.append([day])
    shown, left = found[:_MOST_SPANS], sum(len(span) for span in found[_MOST_SPANS:])
    text = ", ".join(span[0] if len(span) == 1 else _joined(span) for span in shown)
    return f"{text} and {left} more" if left else text


def grouped(reasons: Reasons) -> list[tuple[list[str], str]]:
    """Days whose reasons differ only in numbers -> one reason, most days first.

    A number that differs becomes `20 to 35`, and the day itself `that day`.
    """
    alike: dict[str, list[tuple[str, str]]] = {}
    for day, reason in reasons:
        general = reason.replace(day, _THAT_DAY) if day else reason
        alike.setdefault(_NUMBER.sub("\0", general), []).append((day, general))
    groups = []
    for members in alike.values():
        days = sorted({day for day, _ in members if day})
        text = _merged([reason for _, reason in members])
        groups.append((days, text.replace(_THAT_DAY, days[0]) if len(days) == 1 else text))
    return sorted(groups, key=lambda group: (-len(group[0]), group[0]))


def _merged(reasons: Sequence[str]) -> str:
    """One text for reasons that differ only in numbers."""
    numbers = zip(*(_NUMBER.findall(reason) for reason in reasons), strict=True)
    ranges = iter([_range(sorted(set(same), key=_value)) for same in numbers])
    return _NUMBER.sub(lambda _: next(ranges), reasons[0])


def _range(numbers: Sequence[str]) -> str:
    return numbers[0] if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _joined(span: Sequence[str]) -> str:
    return ", ".join(span) if len(span) == 2 else f"{span[0]} to {span[-1]}"


def _follows(day: str, other: str) -> bool:
    """Whether `other` is the day after `day`; partition keys of other assets need not be days."""
    try:
        return dt.date.fromisoformat(other) - dt.date.fromisoformat(day) == dt.timedelta(days=1)
    except ValueError:
        return False
