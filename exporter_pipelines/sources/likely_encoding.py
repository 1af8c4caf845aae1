"""Guesses the encoding of the numbers in a time column."""

from __future__ import annotations

import datetime as dt

from exporter_pipelines.contracts.source_config import TimeEncoding
from exporter_pipelines.sources.time_encodings import NUMBERS, since_epoch_us

_FIRST = since_epoch_us(dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
_AHEAD = dt.timedelta(days=366)
# Seconds since 2001 and seconds since 1970 overlap. A smaller number would be a second before 2000.
_ORDER: tuple[TimeEncoding, ...] = (
    "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "julian_day", "webkit_us", "filetime",
    "dotnet_ticks", "core_data",
)  # fmt: skip
_SMALLEST_CORE_DATA = 126_230_400  # 2005; smaller numbers are more likely to count something


def likely_encoding(number: float) -> TimeEncoding | None:
    """The encoding in which a number is a time from 2000 to a year from now; None without one."""
    last = since_epoch_us(dt.datetime.now(dt.UTC) + _AHEAD)
    for encoding in _ORDER:
        unit = NUMBERS[encoding]
        if _FIRST <= number * float(unit.us) + unit.origin_us < last and (
            encoding != "core_data" or number >= _SMALLEST_CORE_DATA
        ):
            return encoding
    return None
