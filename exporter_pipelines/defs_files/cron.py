"""Which texts are cron expressions.

Dagster validates a schedule only when it loads all definitions, and one that it refuses would stop
all of them. Dagster accepts everything that is accepted here; `test_cron` compares the two. Dagster
also accepts seconds and random values, which a daily export does not need.
"""

from __future__ import annotations

import re

_ALIASES = {"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
"""Smallest and largest value of minute, hour, day, month and weekday, and their names."""

_PART = re.compile(r"(?P<first>\*|[a-z0-9]+)(-(?P<last>[a-z0-9]+))?(/(?P<step>[0-9]{1,4}))?")
_NTH_WEEKDAY = re.compile(r"l[0-7]|([0-7]|sun|mon|tue|wed|thu|fri|sat)#[1-5]")
"""The last Friday of a month, `l5`, or the second, `5#2`."""
_SHORTEST_MONTH = 29
_DAYS_OF = (31, _SHORTEST_MONTH, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_cron(text: str) -> bool:
    """Whether a text is an alias such as `@daily`, or five fields that meet some day."""
    text = text.lower()
    if text in _ALIASES:
        return True
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return False
    for number in (2, 4):  # `?` is another way to write `*` for a day or a weekday
        fields[number] = "*" if fields[number] == "?" else fields[number]
    # Every month has a last day, `l`; no month lacks its 28th.
    fields[2] = ",".join("28" if part == "l" else part for part in fields[2].split(","))
    if len({"#" in part for part in fields[4].split(",")}) == 1 and all(
        _NTH_WEEKDAY.fullmatch(part) for part in fields[4].split(",")
    ):
        fields[4] = "1"
    values = [_values(field, *known) for field, known in zip(fields, _FIELDS, strict=True)]
    if not all(values):
        return False
    _, _, days, months, _ = values
    # A weekday makes up for a day that no month has; in February, Dagster refuses that as well.
    by_weekday = fields[-1] != "*" and months != {2}
    return by_weekday or any(day <= _DAYS_OF[month - 1] for month in months for day in days)


def _values(field: str, least: int, most: int, names: dict[str, int]) -> set[int]:
    """The values that a field stands for; empty when it is not valid."""
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            return set()
        first, last, step = match["first"], match["last"], int(match["step"] or 1)
        if step < 1 or (first == "*" and last is not None):
            return set()
        low = least if first == "*" else _number(first, names)
        high = most if first == "*" or (last is None and match["step"]) else low
        if last is not None:
            high = _number(last, names)
        if low is None or high is None or not (least <= low <= most and least <= high <= most):
            return set()
        # `22-2` goes around the end; what is before the end is enough to know here.
        found.update(range(low, (high if low <= high else most) + 1, step))
    return found


def _number(text: str, names: dict[str, int]) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= 2 else names.get(text)
