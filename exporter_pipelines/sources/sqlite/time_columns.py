"""Reads the times of a batch at once with NumPy, as far as they are written as most programs do.

The results are those of `time_encodings`, which reads the other values one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from exporter_pipelines.sources.time_encodings import (
    EARLIEST_US,
    LATEST_US,
    OFFSET,
    TO_MINUTES,
    Unit,
    minute_us,
)

_FORM = re.compile(
    f".{{{TO_MINUTES}}}:[0-9][0-9](?P<fraction>[.][0-9]{{1,6}})?(?:{OFFSET})?".encode(), re.DOTALL
)
_ENDS = re.compile(f"(?:{OFFSET})?")
_SECOND = TO_MINUTES + 1
_FRACTION = TO_MINUTES + 3

Found = tuple[NDArray[np.int64], NDArray[np.bool_]]
"""Microseconds since 1970, and for which values they were found."""


def instants_of_texts(values: Sequence[bytes | None], zone: ZoneInfo) -> Found:
    """The instants of UTF-8 text. Without an offset it is local in `zone`."""
    texts = pa.array(values, pa.binary())
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1)
    content = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    lengths = np.diff(offsets)
    us, known = np.zeros(len(texts), np.int64), np.zeros(len(texts), bool)
    for length in np.unique(lengths[lengths > _SECOND + 1]).tolist():
        rows = np.flatnonzero(lengths == length)
        form = _FORM.fullmatch(bytes(content[offsets[rows[0]] : offsets[rows[0]] + length]))
        if form:
            digits = len(form["fraction"] or b".") - 1
            characters = content[offsets[rows, None] + np.arange(length)]
            us[rows], known[rows] = _of_one_form(characters, digits, zone)
    return us, known


def _of_one_form(characters: NDArray[np.uint8], digits: int, zone: ZoneInfo) -> Found:
    """The instants of texts of one length, most of which have this many digits of a fraction.

    Args:
        characters: One text per row.
        digits: After the dot; 0 for text without a dot.
        zone: Of text without an offset.
    """
    places = [_SECOND, _SECOND + 1, *range(_FRACTION + 1, _FRACTION + 1 + digits)]
    numbers = characters[:, places] - ord("0")  # unsigned: other characters are above 9
    tail = _FRACTION + (1 + digits if digits else 0)
    minutes = np.concatenate([characters[:, :TO_MINUTES], characters[:, tail:]], axis=1)
    known = (
        (characters[:, TO_MINUTES] == ord(":"))
        & (numbers <= 9).all(axis=1)
        & (numbers[:, 0] <= 5)
        & ((minutes >= ord(" ")) & (minutes <= ord("~"))).all(axis=1)
    )
    if digits:
        known &= characters[:, _FRACTION] == ord(".")
    units = [10_000_000, 1_000_000, *(10 ** (5 - place) for place in range(digits))]
    us = numbers.astype(np.int64) @ np.array(units, np.int64)
    # Rows are ordered by time, so many in a row are of the same minute.
    begins = np.flatnonzero(np.concatenate([[True], (minutes[1:] != minutes[:-1]).any(axis=1)]))
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(minutes)], strict=True):
        text = bytes(minutes[begin]).decode("latin-1")
        minute = minute_us(text, zone) if _ENDS.fullmatch(text, TO_MINUTES) else None
        if minute is None:
            known[begin:end] = False
        else:
            us[begin:end] += minute
    return us, known


def instants_of_integers(values: Sequence[int | None], unit: Unit) -> Found:
    """The instants of whole numbers of whole microseconds."""
    us, known = np.zeros(len(values), np.int64), np.zeros(len(values), bool)
    if unit.us % 1 or unit.step_us > 1:
        return us, known
    factor, origin = int(unit.us), unit.origin_us
    stored = pa.array(values, pa.int64())
    numbers = stored.fill_null(0).to_numpy()
    first, last = -((origin - EARLIEST_US) // factor), (LATEST_US - origin) // factor
    known = stored.is_valid().to_numpy(zero_copy_only=False)
    known &= (numbers >= first) & (numbers <= last)
    us[known] = numbers[known] * factor + origin
    return us, known
