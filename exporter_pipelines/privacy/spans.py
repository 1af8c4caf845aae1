"""Replaces parts of many texts at once, in Arrow's buffers, without a loop over rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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


def strings(texts: Sequence[str]) -> pa.Array:
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


def replaced(texts: pa.Array, parts: Sequence[Parts]) -> pa.Array:
    """The texts with other text in place of some parts.

    Args:
        texts: A `large_string` array without nulls.
        parts: In any order. None of them overlaps another, or leaves its text.
    """
    starts = np.concatenate([each.starts for each in parts])
    if not len(starts):
        return texts
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.concatenate([each.ends for each in parts])[order]
    by = pa.concat_arrays([each.by for each in parts]).take(pa.array(order))
    data, offsets = bytes_of(texts)
    # Three ascending sequences, which a stable sort merges; `np.unique` would hash them.
    edges = np.sort(np.concatenate([offsets, starts, ends]), kind="stable")
    edges = edges[np.concatenate(([True], edges[1:] != edges[:-1]))]
    pieces = _texts(edges, data)
    changes = np.zeros(len(edges) - 1, bool)
    changes[np.searchsorted(edges, starts)] = True
    joined = pc.replace_with_mask(pieces, pa.array(changes), by)
    # Pieces follow each other without gaps, so their bytes are already those of the new texts.
    new_data, new_offsets = bytes_of(joined)
    return _texts(new_offsets[np.searchsorted(edges, offsets)], new_data)


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
    changes = np.zeros(len(data) + 1, np.int8)
    changes[starts] += 1
    changes[ends] -= 1
    inside = np.cumsum(changes[:-1], dtype=np.int8).astype(bool)
    return _texts(offsets, np.where(inside, np.uint8(0), data))


def _texts(offsets: Positions, data: Bytes) -> pa.Array:
    return pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)
    )
