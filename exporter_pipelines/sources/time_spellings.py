"""Text of times that common programs write otherwise than ISO 8601 recommends.

`2026-11-01 09:30:00,123` (Python, Java), `2026-11-01 09:30:00.5 +0000 UTC` (Go),
`2026/11/01 09:30:00` (nginx), `20261101T093000Z` (ISO 8601 basic),
`2026-11-01T09:30+01:00[Europe/Paris]` (Java).

Belongs here: one pattern, which Python and PostgreSQL use, and rewriting its parts to the usual
form, whose calendar is then checked. Does not belong here: reading the result (`time_encodings`).
"""

from __future__ import annotations

import re

# As part of SQL text, the pattern has no braces and no backslashes: see `time_encodings`.
_TWO = "[0-9][0-9]"
_DATE = f"({_TWO}{_TWO})(?:-({_TWO})-({_TWO})|/({_TWO})/({_TWO})|({_TWO})({_TWO}))"
# Between date and time: T, a space, or nothing between eight and six digits.
_BETWEEN = f"(?:[Tt ] ?|(?<={_TWO}{_TWO})(?={_TWO}{_TWO}{_TWO}))"
_FRACTION = "(?:[.,]([0-9]+))?"
_CLOCK = (
    f"(?:([0-9]?[0-9]):({_TWO})(?::({_TWO}){_FRACTION})?"
    f"|({_TWO})(?:({_TWO})(?:({_TWO}){_FRACTION})?)?)"
)
# After an offset, Go repeats it as a name and may append its monotonic clock; Java appends the
# name of the zone.
_NAMES = "(?: (?:[A-Z]+|[+-][0-9]+))?(?: m=[+-][0-9.]+)?"
_ZONE = f"(?: ?(?:(Z|z|UTC|GMT)|([+-]{_TWO}):?({_TWO})?{_NAMES})(?:[[][^]]+[]])*)?"

DATE_SEPARATORS = ("-", "/", "")
"""Between year, month and day. Text with each of them sorts separately."""

PATTERN = f"^{_DATE}(?:{_BETWEEN}{_CLOCK}{_ZONE})? *$"
"""Groups: year; month and day in each of three forms; hour, minute, second, fraction in each of
two; a name of UTC; hours and minutes of an offset."""

FORM_ROWS = 10_000
"""First rows whose times are looked at for their forms."""

_LONGEST_FORM = 40

# Python warns about brackets in a set that are not escaped.
_PATTERN = re.compile(
    PATTERN.strip("^$").replace("[[]", r"\[").replace("[]]", r"\]").replace("[^]]", r"[^\]]")
)


def form_of(value: object) -> str:
    """The form of a time that cannot be read, without its content: digits are 9, letters a or A."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return "null" if value is None else "a number"
    if value.lower().lstrip("-") in ("infinity", "nan", ""):
        return value or "empty text"
    form = "".join(map(_kind_of, value[:_LONGEST_FORM]))
    return form + ("..." if len(value) > _LONGEST_FORM else "")


def _kind_of(character: str) -> str:
    if character.isdigit():
        return "9"
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return character if character.isascii() else "?"


def iso8601_of(text: str) -> str:
    """The text in the usual form; unchanged if it has none of the spellings."""
    found = _PATTERN.fullmatch(text)
    if not found:
        return text
    year, m1, d1, m2, d2, m3, d3, *clock, utc, hours, minutes = found.groups()
    date = f"{year}-{m1 or m2 or m3}-{d1 or d2 or d3}"
    hour, minute, second, fraction = (clock[n] or clock[n + 4] for n in range(4))
    if hour is None:
        return date
    offset = "Z" if utc else f"{hours}:{minutes or '00'}" if hours else ""
    digits = f".{fraction}" if fraction else ""
    return f"{date} {hour:0>2}:{minute or '00'}:{second or '00'}{digits}{offset}"
