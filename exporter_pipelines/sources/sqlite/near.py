"""Conditions on a stored time that hold near a day, and can use an index.

Stored times are text of any spelling or numbers, so the rows of a day are not one range of them.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any
from zoneinfo import ZoneInfo

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.sources.sqlite.usual_times import UsualTimes
from exporter_pipelines.sources.time_encodings import MOST_OFFSET, NUMBERS, since_epoch_us
from exporter_pipelines.sources.time_spellings import DATE_SEPARATORS

_DAY, _MICROSECOND = dt.timedelta(days=1), dt.timedelta(microseconds=1)


def near(
    source: SourceConfig, time: str, window: DayWindow, binary: str = ""
) -> tuple[str, list[Any]]:
    """A condition on the stored time, and its parameters, that holds for all rows of a window.

    It also holds for rows of the days around it, but it can use an index. Numbers and text have
    separate conditions, because a column may contain both. The first two parameters are the borders
    of text with hyphens. `binary` is that of `OwnCollations`.
    """
    time += binary
    # Before the first instant, because 24:00:00 is of the next day.
    ends = _date(window.start, -MOST_OFFSET - _MICROSECOND), _date(window.end, MOST_OFFSET + _DAY)
    # With digits alone, a column that prefers numbers would compare a number. The sign sorts before
    # all that may follow a date.
    dates = [
        date.replace("-", separator) + ("" if separator else "\x1f")
        for separator in DATE_SEPARATORS
        for date in ends
    ]
    # Some programs store text as blobs, which sort after all text.
    parameters: list[Any] = [*dates, *(date.encode() for date in dates)]
    ranges = [f"({time} >= ? AND {time} < ?)"] * (len(parameters) // 2)
    if unit := NUMBERS.get(source.encoding(source.time_column)):
        start, end = (unit.of_us(since_epoch_us(t)) for t in (window.start, window.end))
        ranges.append(f"({time} >= ? AND {time} <= ?)")
        parameters += [_int64(math.floor(start) - 1), _int64(math.ceil(end) + 1)]
    return f"({' OR '.join(ranges)})", parameters


def roughly(
    source: SourceConfig, time: str, window: DayWindow, encoding: str, binary: str = ""
) -> tuple[str, list[Any]]:
    """Like `near`, but does not hold for most rows of other days.

    `encoding` is that of the database.
    """
    condition, parameters = near(source, time, window, binary)
    usual = UsualTimes(window, ZoneInfo(source.timezone or "UTC"), encoding)
    return f"{condition} AND NOT {usual.of_other_days(time + binary)}", parameters


def _int64(number: int) -> int:
    return max(-(2**63), min(number, 2**63 - 1))


def _date(instant: dt.datetime, slack: dt.timedelta) -> str:
    """A date before or after all text of a day in the sort order.

    Text starts with the digits of its date, so a date that is far enough away is a safe border.
    """
    try:
        return (instant + slack).date().isoformat()
    except OverflowError:
        return "0000" if slack < dt.timedelta() else "9999-99"
