"""Times that are stored as ISO 8601 text or as a number since 1970.

Belongs here: the pattern of readable text, which SQL uses as well, and arithmetic in whole
microseconds. Does not belong here: SQL.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

UNITS_US = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
"""Encoding of a number -> microseconds per unit."""

ZONE_SLACK = dt.timedelta(hours=28)
"""More than the difference between any two offsets, of zones at any time and in text."""

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - compared with other naive times
_MICROSECOND = dt.timedelta(microseconds=1)
# The range of ISO 8601 with a four-digit year.
EARLIEST_US = (dt.datetime(1, 1, 1) - _EPOCH) // _MICROSECOND  # noqa: DTZ001
LATEST_US = EARLIEST_US + dt.date.max.toordinal() * 86_400_000_000 - 1

# The pattern is also part of SQL text. So it has no braces, which templates would fill in, and no
# backslashes, which a server may read as escapes. It checks the calendar, so that casting a text
# that matches never fails, on any version of the server.
_LEAP_YEAR = "(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DATE = (
    "(?!0000)(?:[0-9][0-9][0-9][0-9]-(?:"
    "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]+)?)?"
# PostgreSQL accepts offsets below 16 hours; the largest in use is 14.
OFFSET = " ?(?:[Zz]|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)"
ISO8601 = f"^{_DATE}(?:[Tt ]{_TIME}(?:{OFFSET})?)?$"
"""Pattern of text that is read as an instant."""

_ISO8601 = re.compile(ISO8601)
_OFFSET = re.compile(f"(?<=[0-9]){OFFSET}$")


class Instant(NamedTuple):
    """Microseconds since 1970 in UTC, and whether finer digits were cut off."""

    us: int
    is_truncated: bool = False


class NotAnInstantError(ValueError):
    """A stored value is not an instant; `rule` is the reason."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def since_epoch_us(moment: dt.datetime) -> int:
    """Whole microseconds since 1970 of a time with a zone."""
    return (moment - _EPOCH.replace(tzinfo=dt.UTC)) // _MICROSECOND


def of_text(text: str, zone: ZoneInfo) -> Instant:
    """Read ISO 8601 text. A time without an offset is a local time in `zone`.

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
    """Read a number of units since 1970. A float counts as its shortest decimal text.

    Raises:
        NotAnInstantError: `timestamp_out_of_range`.
    """
    if isinstance(number, int):
        return _in_range(number * unit_us)
    # 0.1 s is 100,000 microseconds, although the double is slightly more: hence the decimal.
    # Check the range as a float first, because infinity cannot be computed as a decimal.
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
    """Text without its offset, and the offset in microseconds; None if there is no offset."""
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
    """A local time as an instant. If two instants are possible, the later one, as in PostgreSQL.

    Two are possible in the hour that a change of the clock repeats or skips.
    """
    offsets = [
        local.replace(tzinfo=zone, fold=fold).utcoffset() or dt.timedelta() for fold in (0, 1)
    ]
    return _since_epoch_us(local) - min(offsets) // _MICROSECOND
