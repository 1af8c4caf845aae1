"""Sums up how often each of many texts was found, batch by batch, in Arrow's buffers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

_ROWS = 50_000
"""So many texts of batches are kept before they are summed up."""


class _Part(NamedTuple):
    """Texts and how often each was found."""

    texts: pa.Array
    numbers: np.ndarray


class Totals:
    """Texts and how often each was found; `len` is the number of distinct texts, roughly."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._distinct = self._rows = 0

    def __len__(self) -> int:
        return self._distinct

    def add(self, texts: pa.Array, numbers: np.ndarray) -> None:
        """Add texts, each of which was found so often."""
        if not len(texts):
            return
        self._parts.append(_Part(texts, numbers))
        self._rows += len(texts)
        if self._rows > 2 * self._distinct + _ROWS:
            self._sum_up()

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        """Each text once, with its total."""
        self._sum_up()
        for texts, numbers in self._parts:
            yield from zip(texts.to_pylist(), numbers.tolist(), strict=True)

    def _sum_up(self) -> None:
        if self._parts:
            texts = pa.concat_arrays([part.texts for part in self._parts])
            self._parts = [_summed(texts, np.concatenate([p.numbers for p in self._parts]))]
        self._distinct = self._rows = sum(len(part.texts) for part in self._parts)


def _summed(texts: pa.Array, numbers: np.ndarray) -> _Part:
    distinct = texts.dictionary_encode()
    totals = np.bincount(distinct.indices.to_numpy(), numbers, len(distinct.dictionary))
    return _Part(distinct.dictionary, totals.astype(np.int64))
