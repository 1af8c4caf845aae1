"""Rows of a table that belong to no day that can be exported."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, get_args
from zoneinfo import ZoneInfo

from exporter_pipelines.contracts.day_window import DayWindow

Kind = Literal["null", "infinite", "unreadable", "before", "after"]
KINDS: tuple[Kind, ...] = get_args(Kind)
UNUSABLE: tuple[Kind, ...] = ("null", "infinite", "unreadable")
"""Rows that are in no day whatever days are exported."""

MOST_COUNTED = 100_000
"""Rows of a kind are counted up to this number, so that a count of a large range stays cheap."""

SAMPLE_ROWS = 20_000
"""Rows that are looked at when the whole table takes too long."""


@dataclass(frozen=True)
class ExportableDays:
    """The days that can be exported, from `first` to `last`.

    Attributes:
        start: First instant of the first day, in UTC; None if there is no first day.
        end: First instant after the last day, in UTC.
        first: `YYYY-MM-DD`; empty if there is no first day.
        last: `YYYY-MM-DD`: today, or the day before `EXPORTER_END_DATE` if that is earlier.
        timezone: IANA name of the zone whose midnights bound the days.
    """

    start: dt.datetime | None
    end: dt.datetime
    first: str
    last: str
    timezone: str

    @classmethod
    def of(cls, first: str, end: str | None, timezone: str) -> Self:
        """From `first` until today, or until the day before `end` if that is earlier."""
        today = dt.datetime.now(ZoneInfo(timezone)).date()
        last = min(today, dt.date.fromisoformat(end) - dt.timedelta(days=1)) if end else today
        start = DayWindow.of(first, timezone).start if first else None
        return cls(start, DayWindow.of(str(last), timezone).end, first, str(last), timezone)


@dataclass(frozen=True)
class OutsideRows:
    """How many rows of a table belong to no day.

    Attributes:
        counts: Kind -> rows; `null`: no time; `infinite`: infinity, or outside of the years 1 to
            9999; `unreadable`: no time that can be read; `before` the first and `after` the last
            day. `MOST_COUNTED` means this number or more.
        is_sample: Whether only the first `SAMPLE_ROWS` rows were counted.
        has_usable: Whether a row has a time that can be used, in a day or not; True if not known.
    """

    counts: Mapping[Kind, int]
    is_sample: bool
    has_usable: bool

    @property
    def unusable(self) -> int:
        """Rows without a usable time."""
        return sum(self.counts.get(kind, 0) for kind in UNUSABLE)
