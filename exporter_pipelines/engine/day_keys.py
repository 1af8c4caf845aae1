"""Which rows of a published day are missing in a newly staged one.

Rows are identified by their key, or by key and time. Only hashes of the new rows are in memory, 8
bytes each. A day with more rows than `_PASS_ROWS` is compared in several passes over both sides, so
memory is bounded for a day of any size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.manifest import Manifest, same_pseudonyms
from exporter_pipelines.contracts.source import NotComparedError
from exporter_pipelines.contracts.staged_day import StagedDay
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.load import decoded, open_day
from exporter_pipelines.engine.quarantine import lines_of

_PASS_ROWS = 4_000_000
"""Hashes of a pass: 32 MB."""

MAX_MISSING = 1_000_000
"""Most missing keys that are collected; more cannot be looked up in the time that there is."""

_REJECTED_ROWS = 50_000

Rows = tuple[pa.Array, pa.Array | None]
"""Keys, and times in UTC; None for rejected rows, which are identified by their key alone."""


@dataclass
class MissingRows:
    """Rows of one export of a day that another one does not have.

    Attributes:
        compared: Rows that were compared.
        missing: Those that are missing.
        keys: Distinct keys of the missing rows, in pieces; none after `MAX_MISSING`.
    """

    compared: int = 0
    missing: int = 0
    keys: list[pa.Array] = field(default_factory=list)

    @property
    def all_collected(self) -> bool:
        """Whether `keys` has the keys of all missing rows."""
        return self.missing <= MAX_MISSING

    @property
    def present_pct(self) -> float:
        """Percentage of the compared rows that are not missing; 100 when there are none."""
        return round(100 * (1 - self.missing / self.compared), 2) if self.compared else 100.0

    def add(self, keys: pa.Array, missing: np.ndarray) -> None:
        """Count compared rows; `missing` says for each of them whether it is missing."""
        self.compared += len(keys)
        count = int(missing.sum())
        self.missing += count
        if count and self.all_collected:
            self.keys.append(pc.unique(keys.filter(pa.array(missing))))


def missing_rows(
    store: Store, published: Manifest, staged: StagedDay, *, with_time: bool = False
) -> MissingRows:
    """Rows of a published day that a new export lacks, by key; rejected rows count on both sides.

    Args:
        store: Where the day is published.
        published: Its manifest.
        staged: The new export.
        with_time: Identify rows by key and time, and leave out rejected rows.

    Raises:
        NotComparedError: the published day has another key or time column.
        PublishedDayDamagedError: the published day does not match its manifest.
        OutputUnavailableError: a file may not be read.
    """
    source = staged.dataset.config.source
    sides = _Sides(store, published, staged, source.key, source.time_column, with_time)
    return _compared(sides.published, sides.new, staged.tally.rows_read)


def shared_pct(store: Store, published: Manifest, staged: StagedDay) -> tuple[float, float]:
    """Which percentage of the exported rows the two exports share, by key and time.

    Returns:
        Of the published rows those that the new export has, and of the new rows those that the
        published export has; 100 of a side without rows. Raises as `missing_rows`.
    """
    source = staged.dataset.config.source
    sides = _Sides(store, published, staged, source.key, source.time_column, with_time=True)
    forward = _compared(sides.published, sides.new, staged.tally.rows_exported)
    backward = _compared(sides.new, sides.published, published.record_count)
    return forward.present_pct, backward.present_pct


def _compared(
    these: Callable[[], Iterator[Rows]], others: Callable[[], Iterator[Rows]], count: int
) -> MissingRows:
    """Rows of `these` that `others`, some `count` rows, do not have."""
    passes = 1 + count // _PASS_ROWS
    result = MissingRows()
    for number in range(passes):
        known = _sorted_hashes(others(), passes, number)
        for keys, times in these():
            hashes = _hashes(keys, times)
            mine = hashes % passes == number if passes > 1 else np.ones(len(hashes), bool)
            result.add(keys.filter(pa.array(mine)), ~_contained(hashes[mine], known))
    return result


@dataclass(frozen=True)
class _Sides:
    """The rows of both exports; each can be read repeatedly."""

    store: Store
    manifest: Manifest
    staged: StagedDay
    key: str
    time: str
    with_time: bool

    def published(self) -> Iterator[Rows]:
        manifest, names = self.manifest, {column.name for column in self.manifest.columns}
        if manifest.files and not {self.key, self.time} <= names:
            raise NotComparedError("the published day has another key or time column")
        if not same_pseudonyms(manifest.privacy, self.staged.privacy):
            raise NotComparedError("the published day has another privacy policy")
        dataset, day = self.staged.dataset.name, self.staged.window.day
        for batch in open_day(self.store, dataset, day):
            yield self._exported(batch)
        if manifest.quarantine and not self.with_time:
            name = manifest.quarantine.path.rpartition("/")[2]
            with suppress(FileNotFoundError):  # retention may remove it before its day
                yield from self._rejected(
                    lambda: self.store.open_quarantine(dataset, day, name),
                    name,
                )

    def new(self) -> Iterator[Rows]:
        staging = self.staged.staging
        for entry in self.staged.files:
            with staging.open(entry.path) as file:
                for batch in decoded(file, entry, self.staged.schema):
                    yield self._exported(batch)
        rejected = self.staged.quarantine
        if rejected and not self.with_time:
            yield from self._rejected(lambda: staging.open(rejected.name), rejected.name)

    def _exported(self, batch: pa.RecordBatch) -> Rows:
        return batch[self.key], batch[self.time] if self.with_time else None

    def _rejected(self, open_file: Callable[[], BinaryIO], name: str) -> Iterator[Rows]:
        """Keys of rejected rows. A row without a usable key identifies nothing."""
        kind = self.staged.schema.arrow.field(self.key).type
        found: list[str] = []
        with open_file() as file:
            for line in lines_of(file, name):
                # What Python's parser refuses, such as huge numbers, or no line of an export.
                with suppress(ValueError, AttributeError, RecursionError):
                    if (key := json.loads(line).get(self.key)) is not None:
                        found.append(str(key))
                if len(found) >= _REJECTED_ROWS:
                    yield _cast(found, kind), None
                    found = []
        yield _cast(found, kind), None


def _cast(keys: list[str], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(keys, pa.string()).cast(kind)
    except pa.ArrowInvalid:
        return pa.array([], kind)


def _hashes(keys: pa.Array, times: pa.Array | None) -> np.ndarray:
    """64-bit hashes of rows; that two of a million rows have the same is one in 37 million."""
    import pandas as pd  # here: a day that is exported for the first time needs no hashes

    texts = keys.cast(pa.string()).to_numpy(zero_copy_only=False)
    hashes: np.ndarray = pd.util.hash_array(texts, categorize=False)
    if times is None:
        return hashes
    instants = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    both: np.ndarray = hashes ^ (pd.util.hash_array(instants) * np.uint64(3))
    return both


def _sorted_hashes(rows: Iterator[Rows], passes: int, number: int) -> np.ndarray:
    pieces = []
    for keys, times in rows:
        hashes = _hashes(keys, times)
        pieces.append(hashes[hashes % passes == number] if passes > 1 else hashes)
    joined = np.concatenate(pieces) if pieces else np.empty(0, np.uint64)
    joined.sort()
    return joined


def _contained(hashes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which hashes are in `known`, which is sorted."""
    if not len(known):
        return np.zeros(len(hashes), bool)
    found: np.ndarray = known[np.searchsorted(known, hashes).clip(0, len(known) - 1)] == hashes
    return found
