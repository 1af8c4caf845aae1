"""Times that are stored as ISO 8601 text or as a number since some moment.

Belongs here: the pattern of readable text, which SQL uses as well, and arithmetic in whole
microseconds. Does not belong here: SQL, and other spellings of text (`time_spellings`).
"""

from __future__ import annotations

import datetime as dt
import math
import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter_pipelines.sources.compact_times import compact_us, midnight_us
from exporter_pipelines.sources.time_spellings import iso8601_of


class Unit(NamedTuple):
    """What a number in a time column counts.

    Attributes:
        us: Microseconds per unit.
        origin_us: The moment of 0, in microseconds since 1970.
        step_us: Times are rounded to multiples of this; 1 cuts off what is finer.
    """

    us: Decimal
    origin_us: int = 0
    step_us: int = 1

    def of_us(self, instant_us: int) -> Fraction:
        """The number that an instant has."""
        return Fraction(instant_us - self.origin_us) / Fraction(self.us)


_FROM_1601 = -11_644_473_600_000_000
_FROM_0001 = -62_135_596_800_000_000
_FROM_2001 = 978_307_200_000_000

NUMBERS = {
    "epoch_s": Unit(Decimal(1_000_000)),
    "epoch_ms": Unit(Decimal(1_000)),
    "epoch_us": Unit(Decimal(1)),
    "epoch_ns": Unit(Decimal("0.001")),
    # A day number has some 40 microseconds of precision in a double. SQLite rounds it to
    # milliseconds: https://www.sqlite.org/lang_datefunc.html
    "julian_day": Unit(Decimal(86_400_000_000), -210_866_760_000_000_000, 1_000),
    "core_data": Unit(Decimal(1_000_000), _FROM_2001),
    "webkit_us": Unit(Decimal(1), _FROM_1601),
    "filetime": Unit(Decimal("0.1"), _FROM_1601),
    "dotnet_ticks": Unit(Decimal("0.1"), _FROM_0001),
}
"""Encoding of the numbers in a time column -> what they count."""

ZONE_SLACK = dt.timedelta(hours=28)
"""More than the difference between any two offsets, of zones at any time and in text."""
DATE_SLACK = ZONE_SLACK + dt.timedelta(days=1)
"""The same behind a window, for a border that is a date: its day begins before the time."""
MOST_OFFSET = dt.timedelta(hours=16)
"""All offsets from UTC are smaller, those of zones at any time and in text."""

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - compared with other naive times
_MICROSECOND = dt.timedelta(microseconds=1)
# The range of ISO 8601 with a four-digit year.
EARLIEST_US = (dt.datetime(1, 1, 1) - _EPOCH) // _MICROSECOND  # noqa: DTZ001
_DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
LATEST_US = EARLIEST_US + dt.date.max.toordinal() * _DAY_US - 1

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
# 24:00 is the end of a day; a minute with a leap second has a second 60.
_TIME = (
    "(?:(?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9](?:[.][0-9]+)?|60))?"
    "|24:00(?::00(?:[.]0+)?)?)"
)
# PostgreSQL accepts offsets below 16 hours; the largest in use is 14.
OFFSET = " ?(?:[Zz]|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)"
ISO8601 = f"^{_DATE}(?:[Tt ]{_TIME}(?:{OFFSET})?)?$"
"""Pattern of text that is read as an instant; `time_spellings` rewrites other text to it."""

_ISO8601 = re.compile(ISO8601.strip("^$"))
TO_MINUTES = len("2026-11-01T09:30")
_SECONDS = re.compile(f":([0-5][0-9])(?:[.]([0-9]{{6}}))?({OFFSET})?")
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
    """Read ISO 8601 text, or one of the `time_spellings`. Without an offset it is local in `zone`.

    Raises:
        NotAnInstantError: `unreadable_time`, or `timestamp_out_of_range`.
    """
    # Rows in order have the same minutes, so these are found in a cache.
    if found := _SECONDS.fullmatch(text, TO_MINUTES):
        seconds, fraction, offset = found.groups("")
        begin_us = minute_us(text[:TO_MINUTES] + offset, zone)
        if begin_us is not None:
            return Instant(begin_us + int((seconds + fraction).ljust(8, "0")))
    if (us := compact_us(text, zone)) is not None:
        return Instant(us)
    if not _ISO8601.fullmatch(text):
        text = iso8601_of(text)
        if not _ISO8601.fullmatch(text):
            raise NotAnInstantError("unreadable_time")
    body, offset_us = _split(text)
    clock, _, fraction = body.partition(".")
    whole = _whole_us(clock, offset_us, zone)
    if not fraction:
        return _in_range(whole)
    us = whole + int(fraction[:6].ljust(6, "0"))
    return _in_range(us, is_truncated=bool(fraction[6:].strip("0")))


@lru_cache(maxsize=4096)
def minute_us(text: str, zone: ZoneInfo) -> int | None:
    """The instant at which a minute begins; None if the clock may change within it.

    Args:
        text: ISO 8601 to the minute, with or without an offset. Any other text gives None.
        zone: Of text without an offset.
    """
    if not _ISO8601.fullmatch(text) or text[11:13] == "24":
        return None
    minute, offset_us = _split(text)
    if offset_us is None:
        midnight = midnight_us(text[:4] + text[5:7] + text[8:10], zone)
        if midnight is not None:  # usual, and five times as fast as what follows
            return midnight + (int(text[11:13]) * 60 + int(text[14:16])) * MINUTE_US
    begin, end = (_whole_us(minute + seconds, offset_us, zone) for seconds in (":00", ":59"))
    return begin if end - begin == 59_000_000 and _is_in_range(begin) else None


def _whole_us(clock: str, offset_us: int | None, zone: ZoneInfo) -> int:
    local = _local(clock.upper())
    return _local_us(local, zone) if offset_us is None else _since_epoch_us(local) - offset_us


def of_number(number: int | float, unit: Unit) -> Instant:
    """Read a number. A float counts as its shortest decimal text.

    Raises:
        NotAnInstantError: `timestamp_out_of_range`.
    """
    # Check the range as a float first, because infinity cannot be computed as a decimal. The
    # range is a day wider, because a float is rounded.
    rough = number * float(unit.us) + unit.origin_us
    if not EARLIEST_US - _DAY_US <= rough <= LATEST_US + _DAY_US:
        raise NotAnInstantError("timestamp_out_of_range")
    # 0.1 s is 100,000 microseconds, although the double is slightly more: hence the decimal.
    exact = Fraction(Decimal(repr(number))) * Fraction(unit.us) + unit.origin_us
    if unit.step_us > 1:
        return _in_range(math.floor(exact / unit.step_us + Fraction(1, 2)) * unit.step_us)
    us = math.floor(exact)
    return _in_range(us, is_truncated=us != exact)


def _in_range(us: int, *, is_truncated: bool = False) -> Instant:
    if not _is_in_range(us):
        raise NotAnInstantError("timestamp_out_of_range")
    return Instant(us, is_truncated)


def _is_in_range(us: int) -> bool:
    return EARLIEST_US <= us <= LATEST_US


def _local(clock: str) -> dt.datetime:
    """A date, or a date and a time without a fraction, as a naive time."""
    if clock[11:13] == "24":
        return _later(clock[:10], dt.timedelta(days=1))
    if clock[17:19] == "60":
        return _later(f"{clock[:17]}59", dt.timedelta(seconds=1))
    return dt.datetime.fromisoformat(clock)


def _later(clock: str, by: dt.timedelta) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(clock) + by
    except OverflowError:
        raise NotAnInstantError("timestamp_out_of_range") from None


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
