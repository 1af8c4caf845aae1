"""The dates of `/export`: days, or moments that begin or end a day.

A day is included, as start and as end. A moment without a zone is in EXPORTER_TIMEZONE. A start
must be a midnight. An end at midnight excludes the day that begins then, as in `[start, end)`; an
end in the last second of a day includes this day. Any other moment would be a part of a day, which
is not exported.
"""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.service.problems import FieldError, Problem

_FORM = re.compile(
    r"\d{4}-\d\d-\d\d(?P<time>[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_ONE_DAY = dt.timedelta(days=1)
_LAST_SECOND = dt.time(23, 59, 59)


def first_day(text: str, timezone: str, pointer: str) -> dt.date:
    """The first day of a range.

    Args:
        text: As it was sent.
        timezone: EXPORTER_TIMEZONE.
        pointer: Of the field, for errors.

    Raises:
        Problem: 422 if it is neither a day nor the beginning of one.
    """
    found = _parsed(text, pointer)
    if not isinstance(found, dt.datetime):
        return found
    day = _local(found, timezone).date()
    if _utc(found, timezone) != DayWindow.of(str(day), timezone).start:
        raise _problem(pointer, f"{text} is not the beginning of a day in {timezone}. {_ADVICE}")
    return day


def last_day(text: str, timezone: str, pointer: str) -> dt.date:
    """The last day of a range, included; arguments as for `first_day`.

    Raises:
        Problem: 422 if it is neither a day, nor midnight, nor in the last second of a day.
    """
    found = _parsed(text, pointer)
    if not isinstance(found, dt.datetime):
        return found
    local = _local(found, timezone)
    if _utc(found, timezone) == DayWindow.of(str(local.date()), timezone).start:
        return local.date() - _ONE_DAY
    if local.time() >= _LAST_SECOND:
        return local.date()
    raise _problem(pointer, f"{text} is not the end of a day in {timezone}. {_ADVICE}")


_ADVICE = "Only whole days are exported. Write a day as YYYY-MM-DD."


def _parsed(text: str, pointer: str) -> dt.date | dt.datetime:
    form = _FORM.fullmatch(text)
    try:
        if form:
            kind = dt.datetime if form["time"] else dt.date
            found = kind.fromisoformat(text)
            # Conversions to other zones must not leave the years that exist.
            if 1 < found.year < 9999:
                return found
    except ValueError:
        pass  # as 2026-13-01; the same answer as for another form
    raise _problem(
        pointer, "Write a day as YYYY-MM-DD, or a moment as YYYY-MM-DDTHH:MM:SS with Z or +HH:MM."
    )


def _utc(moment: dt.datetime, timezone: str) -> dt.datetime:
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone))
    return zoned.astimezone(dt.UTC)


def _local(moment: dt.datetime, timezone: str) -> dt.datetime:
    return _utc(moment, timezone).astimezone(ZoneInfo(timezone))


def _problem(pointer: str, message: str) -> Problem:
    return Problem(422, f"{pointer}: {message}", errors=[FieldError(pointer, message)])
