"""Times that are stored alike near a day, so that they sort by time: usual text, or whole numbers.

The rows of the day are then one range of an index, and the index has them in order. SQLite need
not compute the instant of each row to find and to sort them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.sources.sqlite.usual_times import (
    Dates,
    Form,
    UsualTimes,
    bytes_per_character,
)
from exporter_pipelines.sources.time_encodings import Unit, since_epoch_us

_DATE_CHARS = len("2026-11-01")


class PlainText(NamedTuple):
    """Text with one separator between date and time, and either local or in UTC.

    Attributes:
        example: One of the texts.
        forms: That they may have. They differ in the digits of the fraction.
        dates: Of the window, by the clock of the text.
        start, end: The borders of the window as text. A border sorts before all text that begins
            with it, so it is that of all forms.
    """

    example: str
    forms: tuple[Form, ...]
    dates: Dates
    start: str
    end: str

    @classmethod
    def like(cls, example: str, window: DayWindow, usual: UsualTimes) -> PlainText | None:
        """Text that is written like an example, near a window; None if it does not sort by time."""
        separator, is_utc = _separator(example), example.endswith(("Z", "+00:00"))
        forms = [(form, dates) for form, dates in usual.forms if bool(form.suffix) == is_utc]
        if separator not in (" ", "T") or not forms:
            return None
        dates = forms[0][1]
        try:
            start, end = (
                (border + dates.offset).replace(tzinfo=None).isoformat(separator, "seconds")
                for border in (window.start, window.end)
            )
        except OverflowError:  # at the ends of the calendar
            return None
        return cls(example, tuple(form for form, _ in forms), dates, start, end)

    def hold(self, time: str, encoding: str) -> str:
        """Whether a value is such text, of any day. 24:00:00 is not: it is of the next day."""
        size = bytes_per_character(encoding)
        separator = _separator(self.example)
        forms = " OR ".join(form.holds(time, size, separator) for form in self.forms)
        return f"(({forms}) AND substr({time}, 12, 2) < '24')"

    def inside(self, time: str) -> str:
        """Whether such text is between the borders; can use an index."""
        return f"({time} >= '{self.start}' AND {time} < '{self.end}')"

    def dated(self, time: str) -> str:
        """The number of rows whose date exists, of those `inside`."""
        return f"count(CASE WHEN {self.dates.hold(time)} THEN 1 END)"

    def are_sorted(self, time: str) -> str:
        """Whether the rows `inside` sort by time: all of one length do."""
        length = f"length(CAST({time} AS BLOB))"
        return f"min({length}) IS max({length})"


class PlainNumbers(NamedTuple):
    """Whole numbers of whole microseconds.

    Attributes:
        first, after: The numbers of the window are from the one to before the other.
    """

    first: int
    after: int

    @classmethod
    def of(cls, unit: Unit, window: DayWindow) -> PlainNumbers | None:
        """The numbers of a window; None if a number is not one instant exactly."""
        if unit.us % 1 or unit.step_us > 1:
            return None
        borders = (since_epoch_us(border) for border in (window.start, window.end))
        return cls(*(math.ceil(unit.of_us(border)) for border in borders))

    @property
    def example(self) -> str:
        """Empty: there is no text."""
        return ""

    def hold(self, time: str, encoding: str) -> str:  # noqa: ARG002 - as of text
        """Whether a value is such a number."""
        return f"typeof({time}) = 'integer'"

    def inside(self, time: str) -> str:
        """Whether such a number is of the window; can use an index."""
        return f"({time} >= {self.first} AND {time} < {self.after})"

    def dated(self, time: str) -> str:  # noqa: ARG002 - as of text
        """The number of rows: each has a date."""
        return "count(*)"

    def are_sorted(self, time: str) -> str:  # noqa: ARG002 - as of text
        """Numbers sort by time."""
        return "1"


PlainTimes = PlainText | PlainNumbers


def _separator(text: str) -> str:
    """What stands between date and time."""
    return text[_DATE_CHARS : _DATE_CHARS + 1]
