"""The headers that name the days which `missing=skip` left out of a range.

Shared by the service and `exporter_pipelines.client`. They are headers, because the body has the
bytes of files and nothing else.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

COUNT, DAYS = "Missing-Days-Count", "Missing-Days"
_MOST_SPANS = 100
"""2.3 KB: proxies take 4 KB of headers."""
_MOST_DAYS = 366
_SPAN = re.compile(r"(\d{4}-\d\d-\d\d)(?:/(\d{4}-\d\d-\d\d))?")


def headers_of(days: Sequence[str]) -> dict[str, str]:
    """How many days were left out, and which: `2026-11-04, 2026-11-06/2026-11-09`.

    Args:
        days: In order. Of more than 100 spans the first ones are named.
    """
    spans: list[list[dt.date]] = []
    for day in map(dt.date.fromisoformat, days):
        if spans and day - spans[-1][-1] == dt.timedelta(1):
            spans[-1].append(day)
        else:
            spans.append([day])
    named = [
        str(span[0]) if len(span) == 1 else f"{span[0]}/{span[-1]}" for span in spans[:_MOST_SPANS]
    ]
    return {COUNT: str(len(days)), **({DAYS: ", ".join(named)} if named else {})}


def read_headers(headers: Mapping[str, str]) -> tuple[tuple[str, ...], int | None]:
    """The days that are named, and how many were left out; None if the service does not say."""
    count = headers.get(COUNT, "")
    days = tuple(islice(_named(headers.get(DAYS, "")), _MOST_DAYS))
    return days, int(count) if re.fullmatch("[0-9]{1,9}", count) else None


def _named(text: str) -> Iterator[str]:
    for part in text.split(", "):
        if not (span := _SPAN.fullmatch(part)):
            return
        try:
            day, last = (dt.date.fromisoformat(each) for each in (span[1], span[2] or span[1]))
        except ValueError:  # no day of the calendar
            return
        while day <= last:
            yield str(day)
            day += dt.timedelta(1)
