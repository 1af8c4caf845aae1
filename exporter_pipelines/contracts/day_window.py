"""A day as a half-open interval in UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class DayWindow:
    """One calendar day of a time zone, as `[start, end)` in UTC.

    Both ends are computed from local midnights and converted to UTC *before* anything is compared:
    Python's subtraction within one zone ignores daylight saving time and gives 24 hours for a
    23-hour day. Consecutive days share a border, so every instant belongs to exactly one day. A day
    that a zone skipped (Pacific/Apia, 2011-12-30) is an empty interval and holds no rows.

    Attributes:
        day: The partition key, `YYYY-MM-DD`.
        start: First instant of the day, in UTC.
        end: First instant after the day, in UTC.
        timezone: IANA name of the zone whose midnights bound the day.
    """

    day: str
    start: dt.datetime
    end: dt.datetime
    timezone: str

    @classmethod
    def of(cls, day: str, timezone: str) -> DayWindow:
        """The window of a partition key such as `2026-11-01` in the zone `timezone`."""
        date, zone = dt.date.fromisoformat(day), ZoneInfo(timezone)
        following = date + dt.timedelta(days=1)
        return cls(day, _midnight(date, zone), _midnight(following, zone), timezone)

    def __contains__(self, instant: dt.datetime) -> bool:
        return self.start <= instant < self.end


def is_day(text: str) -> bool:
    """Whether a text is a partition key, `YYYY-MM-DD`."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def days_between(first: str, last: str) -> list[str]:
    """All days from `first` to `last`, both included."""
    start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    return [str(start + dt.timedelta(days=number)) for number in range((end - start).days + 1)]


def _midnight(date: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The instant of a local midnight.

    With `fold=0` a midnight that happens twice is the first one, and one that the zone skipped
    is the instant of the skip, so windows stay contiguous in both cases.
    """
    return dt.datetime.combine(date, dt.time(), tzinfo=zone).astimezone(dt.UTC)
