"""Types of values in published files, which somebody may have changed since they were written.

Every reader compares moments, builds names from hashes, and adds numbers up. A value that cannot
be used like that makes the whole file unreadable, which readers expect, and not an error later.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from exporter_pipelines.contracts.day_window import is_day


def _convertible(moment: dt.datetime) -> dt.datetime:
    try:
        moment.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("it cannot be converted to UTC") from None
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_convertible)]
"""A time with its zone, so that it can be compared with any other."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""A SHA-256 in hexadecimal. It becomes part of file names and headers."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=-]{0,254}")


def _day(text: str) -> str:
    if not is_day(text):
        raise ValueError("it is not a day")
    return text


def _file_name(text: str) -> str:
    if not _FILE_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a plain file name")
    return text


DayName = Annotated[str, AfterValidator(_day)]
"""`YYYY-MM-DD`. It becomes part of a path."""

FileName = Annotated[str, AfterValidator(_file_name)]
"""A file of a day, without folders."""

_MAX = 2**63 - 1

Number = Annotated[int, Field(ge=0, le=_MAX)]
"""A count or a size. Larger ones cannot be stored or printed everywhere."""

Metric = float | Annotated[int, Field(ge=-_MAX, le=_MAX)]
"""Of a metric; whole numbers stay whole."""
