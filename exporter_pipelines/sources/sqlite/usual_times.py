"""Usual text of times, and whole numbers, as SQL: SQLite computes their instants itself.

SQLite has no type for times, so a value would have to be read in Python several times per row: to
find the rows of a day, to count them and to order them. A function in Python takes three times as
long as an expression.

Text is usual if most programs write it so: `2026-11-01 09:30:00`, or with a T, with three, six or
no digits of a fraction, and with no offset or that of UTC. All other values are read in Python.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.sources.time_encodings import (
    EARLIEST_US,
    LATEST_US,
    MOST_OFFSET,
    NUMBERS,
    TO_MINUTES,
    ZONE_SLACK,
)

_DATE, _CLOCK = "????-??-??", "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
_TO_SECONDS = len("2026-11-01T09:30:00")
_DAY = dt.timedelta(days=1)
_MICROSECOND = dt.timedelta(microseconds=1)
_FIRST_OF_SQLITE = dt.date(1000, 1, 1)
"""SQLite's calendar has 29 February of the year 300."""


class Form(NamedTuple):
    """One form of usual text.

    Attributes:
        digits: Of the fraction of a second.
        suffix: Behind it.
    """

    digits: int
    suffix: str

    def holds(self, time: str, bytes_per_character: int, separators: str = " T") -> str:
        """Whether a value has this form. SQL functions end at a NUL, so the length is in bytes.

        `separators` are those allowed between date and time.
        """
        fraction = "." + "[0-9]" * self.digits if self.digits else ""
        length = _TO_SECONDS + (1 + self.digits if self.digits else 0) + len(self.suffix)
        # Blobs sort after all text.
        return (
            f"length(CAST({time} AS BLOB)) = {length * bytes_per_character} "
            f"AND {time} < x'' "
            f"AND {time} GLOB '{_DATE}[{separators}]{_CLOCK}{fraction}{self.suffix}'"
        )

    def instant(self, time: str) -> str:
        """The instant of such text in microseconds since 1970, as if its clock was that of UTC."""
        whole = f"strftime('%s', substr({time}, 1, {_TO_SECONDS}))*1000000"
        if not self.digits:
            return whole
        fraction = f"substr({time}, {_TO_SECONDS + 2}, {self.digits})"
        return f"{whole} + {fraction}*{10 ** (6 - self.digits)}"


_FORMS = [Form(digits, suffix) for suffix in ("", "Z", "+00:00") for digits in (6, 0, 3)]


class Dates(NamedTuple):
    """The dates of a window by the clock of some text.

    Attributes:
        offset: Of the clock from UTC.
        first, last: Dates.
    """

    offset: dt.timedelta
    first: dt.date
    last: dt.date

    @classmethod
    def of(cls, window: DayWindow, offset: dt.timedelta) -> Dates:
        """The dates of a window, by a clock with this offset."""
        instants = window.start, window.end - _MICROSECOND
        return cls(offset, *((instant + offset).date() for instant in instants))

    def hold(self, time: str) -> str:
        """Whether usual text has one of the dates. 24:00:00 is of the day after."""
        days = range((self.last - self.first).days + 1)
        dates = ", ".join(f"'{self.first + number * _DAY}'" for number in days)
        return f"substr({time}, 1, 10) IN ({dates}) AND substr({time}, 12, 2) < '24'"


class UsualTimes:
    """The usual text near one window.

    Args:
        window: Of the rows to be read.
        zone: Of text without an offset, which is usual only if the clock does not change near the
            window.
        encoding: Of the database.

    Attributes:
        forms: With the dates of the window by the clock of each.
    """

    def __init__(self, window: DayWindow, zone: ZoneInfo, encoding: str) -> None:
        self._bytes = bytes_per_character(encoding)
        self.forms: list[tuple[Form, Dates]] = []
        day = dt.date.fromisoformat(window.day)
        try:
            local, utc = _only_offset(window, zone), Dates.of(window, dt.timedelta())
            for form in _FORMS:
                if form.suffix:
                    self.forms.append((form, utc))
                elif local is not None:
                    self.forms.append((form, Dates.of(window, local)))
            # By any clock, and by the name of the day.
            self._first = min(day, *(dates.first for _, dates in self.forms))
            self._after = max(day, *(dates.last for _, dates in self.forms)) + _DAY
            self._before = self._first - _DAY
        except OverflowError:  # at the ends of the calendar
            self.forms = []

    def instant(self, time: str, numbers: str, otherwise: str) -> str:
        """The instant of a stored time in microseconds since 1970.

        Args:
            time: The stored time.
            numbers: Unit of numbers: a key of `NUMBERS`, or any other text for none.
            otherwise: For values that are neither usual text of the window nor whole numbers.
        """
        whens = [
            f"WHEN {form.holds(time, self._bytes)} AND {dates.hold(time)} "
            f"THEN {form.instant(time)} - {dates.offset // _MICROSECOND}"
            for form, dates in self.forms
        ]
        unit = NUMBERS.get(numbers)
        if unit and unit.us % 1 == 0 and unit.step_us == 1:
            us, origin = int(unit.us), unit.origin_us
            first, last = -((origin - EARLIEST_US) // us), (LATEST_US - origin) // us
            whens.insert(
                0,
                f"WHEN typeof({time}) = 'integer' AND {time} BETWEEN {first} AND {last} "
                f"THEN {time}*{us} + {origin}",
            )
        return f"CASE {' '.join(whens)} ELSE {otherwise} END" if whens else otherwise

    def of_other_days(self, time: str) -> str:
        """A condition that holds only for usual text outside of the window.

        The last minute before the window is left to `instant`, because 23:59:60 and 24:00:00 are of
        the next day.
        """
        if not self.forms:
            return "0"
        before, after = self._before, self._after
        outside = (
            f"({time} < '{before} 23:59' OR {time} >= '{before}T' AND {time} < '{before}T23:59' "
            f"OR {time} >= '{after}')"
        )
        forms = " OR ".join(form.holds(time, self._bytes) for form, _ in self.forms)
        # Numbers sort before all text, so they need no further look.
        return f"({time} >= '' AND {outside} AND ({forms}))"

    def dates(self, time: str) -> str:
        """A condition that holds for all usual text of the window, and can use an index."""
        if not self.forms:
            return "0"
        return f"({time} >= '{self._first}' AND {time} < '{self._after}')"


def usual_between(time: str, start: dt.datetime, end: dt.datetime, encoding: str) -> str:
    """A condition that holds only for usual text of an instant between two others.

    By any clock; so it may not hold for text of the two days at each end. It may be null.
    """
    size = bytes_per_character(encoding)
    try:
        first = max((start + MOST_OFFSET + _DAY).date(), _FIRST_OF_SQLITE)
        after = (end - MOST_OFFSET).date()
    except OverflowError:  # at the ends of the calendar
        return "0"
    forms = " OR ".join(form.holds(time, size) for form in _FORMS)
    # Adding to it makes 2 March of 30 February.
    exists = f"date(substr({time}, 1, 10), '+0 days') = substr({time}, 1, 10)"
    return (
        f"({time} >= '{first}' AND {time} < '{after}' AND ({forms}) "
        f"AND substr({time}, 12, 2) < '24' AND {exists})"
    )


def minute_of(time: str, encoding: str) -> str:
    """The minute of usual text of any day, as ISO 8601 with its offset; else null.

    A function in Python that is called with it finds its result in a cache.
    """
    size = bytes_per_character(encoding)
    whens = " ".join(
        f"WHEN {form.holds(time, size)} THEN substr({time}, 1, {TO_MINUTES})||'{form.suffix}'"
        for form in _FORMS
    )
    return f"CASE {whens} END"


def bytes_per_character(encoding: str) -> int:
    """Of ASCII text in a database with this encoding."""
    return 1 if encoding == "utf-8" else 2


def _only_offset(window: DayWindow, zone: ZoneInfo) -> dt.timedelta | None:
    """The offset of a zone, if its clock does not change near a window."""
    first, end = window.start - ZONE_SLACK, window.end + ZONE_SLACK
    hours = range((end - first) // dt.timedelta(hours=1) + 1)
    found = {(first + dt.timedelta(hours=n)).astimezone(zone).utcoffset() for n in hours}
    return found.pop() if len(found) == 1 else None
