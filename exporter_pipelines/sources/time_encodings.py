"""Instants as databases without a time type hold them: ISO 8601 text, and seconds since 1970.

Belongs here: the one pattern that says what is readable, used in SQL as well, and the arithmetic
in whole microseconds. Does not belong here: SQL.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

UNITS_US = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
"""Encoding of a number -> microseconds in one of it."""

ZONE_SLACK = dt.timedelta(hours=28)
"""Farther than any zone's offset has ever been from another's, and than any offset in text."""

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - compared with other naive times
_MICROSECOND = dt.timedelta(microseconds=1)
# What ISO 8601 with a four-digit year can say.
EARLIEST_US = (dt.datetime(1, 1, 1) - _EPOCH) // _MICROSECOND  # noqa: DTZ001
LATEST_US = EARLIEST_US + dt.date.max.toordinal() * 86_400_000_000 - 1

# The pattern is part of SQL text too: no braces, which a template would fill in, and no
# backslashes, which a server may read as escapes. It knows the calendar, so that no cast of a text
# that fits it can fail, on servers of any age.
_LEAP_YEAR = "(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DATE = (
    "(?!0000)(?:[0-9][0-9][0-9][0-9]-(?:"
    "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]+)?)?"
# PostgreSQL takes offsets below 16 hours; the largest in use is 14.
OFFSET = " ?(?:[Zz]|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)"
ISO8601 = f"^{_DATE}(?:[Tt ]{_TIME}(?:{OFFSET})?)?$"
"""What a text must be to be read as an instant."""

_ISO8601 = re.compile(ISO8601)
_OFFSET = re.compile(f"(?<=[0-9]){OFFSET}$")


class Instant(NamedTuple):
    """Microseconds since 1970 in UTC, and whether finer digits were cut off."""

    us: int
    is_truncated: bool = False


class NotAnInstantError(ValueError):
    """A stored value is no instant; `rule` says why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def since_epoch_us(moment: dt.datetime) -> int:
    """Whole microseconds from 1970 in UTC to a moment with a zone."""
    return (moment - _EPOCH.replace(tzinfo=dt.UTC)) // _MICROSECOND


def of_text(text: str, zone: ZoneInfo) -> Instant:
    """Read ISO 8601 text; a time without an offset is local in `zone`.

    Raises:
        NotAnInstantError: `unreadable_time`, or `timestamp_out_of_range`.
    """
    # `$` would also match before a line break at the end.
    if not _ISO8601.match(text) or text[-1] == "\n":
        raise NotAnInstantError("unreadable_time")
    body, offset_us = _split(text)
    clock, _, fraction = body.partition(".")
    local = dt.datetime.fromisoformat(clock.upper())
    whole = _local_us(local, zone) if offset_us is None else _since_epoch_us(local) - offset_us
    if not fraction:
        return _in_range(whole)
    us = whole + int(fraction[:6].ljust(6, "0"))
    return _in_range(us, is_truncated=bool(fraction[6:].strip("0")))


def of_number(number: int | float, unit_us: int) -> Instant:
    """Read a count of units since 1970; the digits that a fraction is written with are meant.

    Raises:
        NotAnInstantError: `timestamp_out_of_range`.
    """
    if isinstance(number, int):
        return _in_range(number * unit_us)
    # 0.1 s is 100,000 microseconds, though its double is a little more. Compared as a float
    # first: far out, and infinite, there is nothing to compute.
    if not EARLIEST_US <= number * unit_us <= LATEST_US:
        raise NotAnInstantError("timestamp_out_of_range")
    exact = Decimal(repr(number)) * unit_us
    us = int(exact // 1) if exact >= 0 else -int(-exact // 1) - (exact % 1 != 0)
    return _in_range(us, is_truncated=us != exact)


def _in_range(us: int, *, is_truncated: bool = False) -> Instant:
    if not EARLIEST_US <= us <= LATEST_US:
        raise NotAnInstantError("timestamp_out_of_range")
    return Instant(us, is_truncated)


def _split(text: str) -> tuple[str, int | None]:
    """A readable text without its offset, and the offset in microseconds; None if it has none."""
    if text[-1] in "Zz":
        return text[:-1].rstrip(), 0
    found = _OFFSET.search(text, 11)
    if not found:
        return text, None
    offset = found[0].strip()
    digits = offset[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return text[: found.start()], (-minutes if offset[0] == "-" else minutes) * 60_000_000


def _since_epoch_us(whole_seconds: dt.datetime) -> int:
    passed = whole_seconds - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000


@lru_cache(maxsize=4096)
def _local_us(local: dt.datetime, zone: ZoneInfo) -> int:
    """A local time as an instant: of two, the later one, which is what PostgreSQL takes.

    That holds for an hour that is repeated and for one that is skipped.
    """
    offsets = [
        local.replace(tzinfo=zone, fold=fold).utcoffset() or dt.timedelta() for fold in (0, 1)
    ]
    return _since_epoch_us(local) - min(offsets) // _MICROSECOND
