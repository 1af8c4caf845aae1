"""Text of times without separators, `20261101T120000` or `20261101120000`, read with little work.

`time_spellings` reads them as well, with five times the work: each value is rewritten and checked
against the calendar. Here each day is checked once.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from zoneinfo import ZoneInfo

_FORM = re.compile(
    "([0-9]{8})[Tt ]?([01][0-9]|2[0-3])([0-5][0-9])([0-5][0-9])(?:[.,]([0-9]{1,6}))?([Zz]?)"
)
_UTC = ZoneInfo("UTC")
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - compared with other naive times
_MICROSECOND, _HOUR = dt.timedelta(microseconds=1), dt.timedelta(hours=1)


def compact_us(text: str, zone: ZoneInfo) -> int | None:
    """Microseconds since 1970 of such text. Without a `Z` it is local in `zone`.

    None for other text, for a date that does not exist, and for a day with a change of the clock.
    """
    found = _FORM.fullmatch(text)
    if not found:
        return None
    date, hour, minute, second, fraction, is_utc = found.groups("")
    midnight = midnight_us(date, _UTC if is_utc else zone)
    if midnight is None:
        return None
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
    return midnight + seconds * 1_000_000 + int(fraction.ljust(6, "0"))


@lru_cache(maxsize=1024)
def midnight_us(date: str, zone: ZoneInfo) -> int | None:
    """The instant at which a day begins, such as `20261101`.

    None if there is no such day, if the clock changes on it, or at the ends of the calendar.
    """
    try:
        midnight = dt.datetime(int(date[:4]), int(date[4:6]), int(date[6:]))  # noqa: DTZ001
        hours = [midnight + number * _HOUR for number in range(25)]
    except (ValueError, OverflowError):
        return None
    both = (hour.replace(tzinfo=zone, fold=fold) for hour in hours for fold in (0, 1))
    offsets = {local.utcoffset() for local in both}
    offset = offsets.pop()
    if offsets or offset is None or midnight.year == 1:  # in UTC it may be before the first year
        return None
    return (midnight - _EPOCH - offset) // _MICROSECOND
