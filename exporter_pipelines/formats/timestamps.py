"""Timestamps as ISO-8601 text with fixed microseconds: `2026-11-01T09:30:00.123456Z`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US
_EXAMPLE = b"2026-11-01T09:30:00.000000Z"
_PAIRS = np.frombuffer("".join(f"{n:02}" for n in range(100)).encode(), np.uint16)
"""The two digits of the numbers up to 99, each pair as one integer."""
_PARTS = np.dtype(
    {
        "names": ["date", "hour", "minute", "second", "us_1_2", "us_3_4", "us_5_6"],
        "formats": ["S10", *["u2"] * 6],
        "offsets": [0, 11, 14, 17, 20, 22, 24],
        "itemsize": len(_EXAMPLE),
    }
)


def iso8601_utc(instants: pa.Array) -> pa.Array:
    """Format timestamps, fifteen times as fast as `pyarrow.compute.strftime`.

    Args:
        instants: Timestamps in microseconds UTC, within the years 1 to 9999.

    Returns:
        Strings of the same length; null where the timestamp is null.
    """
    # The value behind a null is undefined, so format 0 there; the result is masked at the end.
    micros = instants.cast(pa.int64()).fill_null(0).to_numpy()
    # Division and 32-bit integers where possible: numpy's divmod takes twice as long.
    days = micros // _DAY_US
    micros = micros - days * _DAY_US
    seconds = micros // _SECOND_US
    micro = (micros - seconds * _SECOND_US).astype(np.uint32)
    seconds = seconds.astype(np.uint32)
    minutes, hundreds = seconds // 60, micro // 100
    hours, tens_of_thousands = minutes // 60, hundreds // 100
    text = np.frombuffer(bytearray(_EXAMPLE) * len(micros), _PARTS)
    text["date"] = _dates(days)
    text["hour"] = _PAIRS[hours]
    text["minute"] = _PAIRS[minutes - hours * 60]
    text["second"] = _PAIRS[seconds - minutes * 60]
    text["us_1_2"] = _PAIRS[tens_of_thousands]
    text["us_3_4"] = _PAIRS[hundreds - tens_of_thousands * 100]
    text["us_5_6"] = _PAIRS[micro - hundreds * 100]
    offsets = np.arange(0, (len(micros) + 1) * len(_EXAMPLE), len(_EXAMPLE), dtype=np.int32)
    strings = pa.StringArray.from_buffers(len(micros), pa.py_buffer(offsets), pa.py_buffer(text))
    if not instants.null_count:
        return strings
    return pc.if_else(instants.is_valid(), strings, pa.scalar(None, pa.string()))


def _dates(days: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """`YYYY-MM-DD` of days since 1970: one text if all are the same day, else one per day."""
    distinct, which = days[:1], None
    if (days != distinct).any():
        distinct, which = np.unique(days, return_inverse=True)
    dates = np.datetime_as_string(distinct.astype("datetime64[D]"), unit="D").astype("S10")
    return dates if which is None else dates[which]
