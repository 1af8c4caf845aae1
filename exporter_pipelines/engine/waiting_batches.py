"""Batches that wait: small ones to be joined, and those of a small day to be used a second time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import pyarrow as pa

ROWS_AT_ONCE = 40_000
BYTES_AT_ONCE = 16 * 1024 * 1024
"""Batches of SQLite are smaller. What is done once per distinct value costs less in large ones."""

MOST_KEPT_BYTES = 64 * 1024 * 1024
"""A day of some 200,000 rows of 300 bytes."""


class JoinedBatches:
    """Joins small batches into larger ones, in their order."""

    def __init__(self) -> None:
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Add rows; all that wait are returned at once when they are enough."""
        if len(batch):
            self._waiting.append(batch)
            self._rows += len(batch)
            self._bytes += batch.nbytes
        if self._rows >= ROWS_AT_ONCE or self._bytes >= BYTES_AT_ONCE:
            yield from self.rest()

    def rest(self) -> Iterator[pa.RecordBatch]:
        """The rows that wait."""
        if self._waiting:
            rows = pa.concat_batches(self._waiting)
            self._waiting, self._rows, self._bytes = [], 0, 0
            yield rows


class KeptBatches:
    """Keeps the batches of a day, unless they need too much memory; then it keeps none."""

    def __init__(self) -> None:
        self._kept: deque[pa.RecordBatch] = deque()
        self._bytes = 0

    @property
    def has_all(self) -> bool:
        """Whether no batch was left out."""
        return self._bytes <= MOST_KEPT_BYTES

    def add(self, batch: pa.RecordBatch) -> None:
        """Keep a batch."""
        self._bytes += batch.nbytes
        if self.has_all:
            self._kept.append(batch)
        else:
            self._kept.clear()

    def taken(self) -> Iterator[pa.RecordBatch]:
        """The batches, each of which is forgotten when the next one is asked for."""
        while self._kept:
            yield self._kept.popleft()
