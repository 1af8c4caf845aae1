"""Judges by some values whether a column holds times, and how it stores them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from exporter_pipelines.contracts.table_profile import TimeCandidate, TimeKind
from exporter_pipelines.sources.likely_encoding import likely_encoding
from exporter_pipelines.sources.time_encodings import (
    NUMBERS,
    NotAnInstantError,
    of_text,
)

SAMPLED_ROWS = 200
"""First rows of a table that decide which columns are candidates."""

# From 1973 to 2099, in microseconds. Before, seconds look like row numbers.
_PLAUSIBLE_US = (10**8 * 10**6, 4_100_000_000 * 10**6)
_UTC, _ELSEWHERE = ZoneInfo("UTC"), ZoneInfo("Etc/GMT-5")


def time_candidate(column: str, kind: TimeKind, values: Sequence[Any]) -> TimeCandidate | None:
    """How a column stores times; None if its values are no times.

    Args:
        column: Its name.
        kind: How its type stores times.
        values: Of the first rows. Typed times as the text of the database, null as None.
    """
    present = [value for value in values if value is not None]
    if kind == "number":
        return _numbers(column, present, len(values))
    if kind == "text":
        return _texts(column, present, len(values))
    usable = sum(text[:1].isdigit() and not text.endswith("BC") for text in present)
    return TimeCandidate(column, kind, "iso8601", kind != "aware", usable, len(values))


def _numbers(column: str, numbers: Sequence[float], sampled: int) -> TimeCandidate | None:
    if not numbers:
        return None
    encoding = likely_encoding(max(numbers))
    if encoding is None:
        return None
    low, high = (float(NUMBERS[encoding].of_us(bound)) for bound in _PLAUSIBLE_US)
    usable = sum(low <= number <= high for number in numbers)
    if 2 * usable < len(numbers):
        return None
    return TimeCandidate(column, "number", encoding, False, usable, sampled)


def _texts(column: str, texts: Sequence[str], sampled: int) -> TimeCandidate | None:
    read = [pair for text in texts if (pair := _in_two_zones(text))]
    if not read or 2 * len(read) < len(texts):
        return None
    is_local = any(here != there for here, there in read)
    return TimeCandidate(column, "text", "iso8601", is_local, len(read), sampled)


def _in_two_zones(text: str) -> tuple[int, int] | None:
    """The instant of a text as local time of two zones: the same if the text has an offset."""
    try:
        return of_text(text, _UTC).us, of_text(text, _ELSEWHERE).us
    except NotAnInstantError:
        return None
