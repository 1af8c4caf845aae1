"""Replaces parts of many texts at once, in Arrow's buffers, without a loop over rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Positions = NDArray[np.int64]
Bytes = NDArray[np.uint8]


class Parts(NamedTuple):
    """Parts of texts, and what is written instead.

    Attributes:
        starts, ends: Positions of their first bytes, and after their last ones.
        by: A `large_string` array.
    """

    starts: Positions
    ends: Positions
    by: pa.Array


def strings(texts: Sequence[str | None]) -> pa.Array:
    """Texts as a `large_string` array."""
    return pa.array(texts, pa.large_string())


_NOTHING = np.empty(0, np.int64)
NO_PARTS = Parts(_NOTHING, _NOTHING, strings([]))


def bytes_of(texts: pa.Array) -> tuple[Bytes, Positions]:
    """The bytes of texts without nulls, and where each begins and the last one ends.

    Args:
        texts: A `large_string` array. The bytes are not copied.
    """
    offsets = np.frombuffer(texts.buffers()[1], np.int64, len(texts) + 1, texts.offset * 8)
    data = texts.buffers()[2]
    return np.frombuffer(data if data is not None else b"", np.uint8), offsets


def all_bytes(texts: pa.Array) -> Bytes:
    """The bytes of all texts, one after the other; the arguments are those of `bytes_of`."""
    data, offsets = bytes_of(texts)
    return data[offsets[0] : offsets[-1]]


def joined(*parts: Parts) -> Parts:
    """Parts of the same texts in one; they are in no order."""
    starts, ends = (np.concatenate([each[i] for each in parts]) for i in (0, 1))
    return Parts(starts, ends, pa.concat_arrays([each.by for each in parts]))


def replaced(texts: pa.Array, parts: Sequence[Parts]) -> pa.Array:
    """The texts with other text in place of some parts.

    Args:
        texts: A `large_string` array without nulls.
        parts: In any order. None of them overlaps another, or leaves its text.
    """
    starts, ends, by = joined(*parts)
    if not len(starts):
        return texts
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    data, offsets = bytes_of(texts)
    # What stays and what is replaced, in turns.
    edges = np.concatenate(([offsets[0]], np.stack([starts, ends], 1).ravel(), [offsets[-1]]))
    pieces = np.arange(len(edges) - 1)
    pieces[1::2] = len(pieces) + order
    result = pa.concat_arrays([_texts(edges, data), by]).take(pa.array(pieces))
    longer = np.diff(bytes_of(by)[1])[order] - (ends - starts)
    longer_before = np.concatenate(([0], np.cumsum(longer)))
    new_offsets = offsets - offsets[0] + longer_before[np.searchsorted(starts, offsets)]
    return _texts(new_offsets, bytes_of(result)[0])


def blanked(texts: pa.Array, parts: Parts) -> pa.Array:
    """The texts with zero bytes in place of some parts; all positions stay.

    Args:
        texts: A `large_string` array without nulls.
        parts: As for `replaced`.
    """
    starts, ends, _ = parts
    if not len(starts):
        return texts
    data, offsets = bytes_of(texts)
    changed = data.copy()
    changed[ranges(starts, ends - starts)] = 0
    return _texts(offsets, changed)


def ranges(first: Positions, count: Positions) -> Positions:
    """For each `first`, the next `count` numbers, one after the other."""
    before = np.cumsum(count) - count
    found: Positions = np.arange(int(count.sum())) + np.repeat(first - before, count)
    return found


def between(texts: pa.Array, starts: Positions, ends: Positions) -> pa.Array:
    """Parts of texts, in ascending order.

    Args:
        texts: A `large_string` array without nulls.
        starts, ends: Of the parts.
    """
    edges = np.stack([starts, ends], axis=1).ravel()
    if not len(edges):
        return strings([])
    return _texts(edges, bytes_of(texts)[0]).take(pa.array(np.arange(0, len(edges), 2)))


def _texts(offsets: Positions, data: Bytes) -> pa.Array:
    return pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)
    )
