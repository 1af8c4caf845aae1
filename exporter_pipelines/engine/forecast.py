"""What an export would do with the rows that the source has now: nothing is written.

The rows go through the same code as in an export. Days are read in chunks, since a query per day
costs more than the rows of a small day, and in an order that is spread over the whole range, so
that what is read until the time is up is a sample of it.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.outside_days import ExportableDays
from exporter_pipelines.contracts.row_schema import UTC_MICROSECONDS
from exporter_pipelines.contracts.source import NotComparedError, Session
from exporter_pipelines.contracts.tally import Tally
from exporter_pipelines.engine.account_for_rows import RowAccount
from exporter_pipelines.engine.held_causes import Reason, RejectedRows, days_per_cause
from exporter_pipelines.engine.judge import judge
from exporter_pipelines.engine.outside_days import CHECK
from exporter_pipelines.engine.rejection import Rejection
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS
from exporter_pipelines.engine.threads import read_ahead
from exporter_pipelines.errors import ExporterError

CHUNK_ROWS = 100_000
"""Days are read together up to this number of rows."""

_SMALL_CHUNK_ROWS = 20_000
"""The same for small tables, so that something is read early on a busy machine."""

_COUNTING_SHARE = 0.4
"""Share of the time in which the rows of all days may be counted."""

UNREADABLE_TIMES: Reason = (CHECK, None)
"""Not a rejection: rows that begin with the date of a day, but whose time cannot be read."""


@dataclass
class Forecast:
    """What an export of some days would do, as far as the time sufficed.

    Attributes:
        rows_total: Rows of all days; None if they were not counted in time.
        days_total: Days with rows; None likewise.
        rows_read, days_read: How much was read. A day that was read in part is not among the days.
        rows_rejected: Rows that would go to the quarantine.
        failures: Reason -> rows.
        tolerated: Rules whose rows do not count towards the limits of a day.
        held: Days that would be held, in order.
        holding: Rules of which a single row holds a day.
        held_by: Reason -> days that its rule holds: by a single row, or by the limits, alone or
            with others. A reason that is too small to hold a day is not counted.
        above_limits: The days above the limits.
        knows_unreadable_times: Whether all days with unreadable times are among the held ones.
    """

    rows_total: int | None = None
    days_total: int | None = None
    rows_read: int = 0
    days_read: int = 0
    rows_rejected: int = 0
    failures: Counter[Reason] = field(default_factory=Counter)
    tolerated: frozenset[str] = frozenset()
    holding: frozenset[str] = frozenset()
    held: list[str] = field(default_factory=list)
    held_by: Counter[Reason] = field(default_factory=Counter)
    above_limits: list[RejectedRows] = field(default_factory=list)
    knows_unreadable_times: bool = False

    @property
    def read_all(self) -> bool:
        """Whether every day was read to its end."""
        return self.days_read == self.days_total

    @property
    def is_complete(self) -> bool:
        """Whether every other day would be published."""
        return self.read_all and self.knows_unreadable_times

    def add(
        self, dataset: Dataset, day: str, tally: Tally, rejected: RejectedRows, *, is_whole: bool
    ) -> None:
        """Add the rows of a day, and its verdict if it was read to its end.

        Args:
            dataset: Whose day.
            day: Its partition key.
            tally: Its counts.
            rejected: Rows that break a rule that is neither tolerated nor in `holding`.
            is_whole: Whether the day was read to its end.
        """
        self.rows_read += tally.rows_read
        self.rows_rejected += tally.rows_rejected
        broken = {reason: count for reason, count in tally.failures.items() if count}
        self.failures.update(broken)
        if not is_whole:
            return
        self.days_read += 1
        # No row is lost on the way: all others are exported, or left out by a filter.
        tally.source_rows = tally.rows_read
        tally.rows_exported = tally.rows_read - tally.rows_rejected
        if any(verdict.holds for verdict in judge(dataset, tally)):
            self.held.append(day)
            self.held_by.update(reason for reason in broken if reason[0] in self.holding)
            if rejected.is_above(dataset.config):
                self.above_limits.append(rejected)

    def add_unreadable_times(self, day: str, count: int) -> None:
        """Add rows that hold a day because they may belong to it."""
        self.failures[UNREADABLE_TIMES] += count
        self.held_by[UNREADABLE_TIMES] += 1
        if day not in self.held:
            self.held.append(day)


def forecast(
    dataset: Dataset, windows: Sequence[DayWindow], session: Session, ends: float
) -> Forecast:
    """Read the rows of some days, and judge them as an export would.

    Args:
        dataset: What would be exported, and how.
        windows: The days, in order.
        session: Of the database; the caller closes it.
        ends: `time.monotonic()` after which nothing more is read.

    Raises:
        ExporterError: these days cannot be exported at all; not for lack of time.
    """
    config = dataset.config
    found = Forecast(tolerated=config.rules_that("warn"), holding=config.rules_that("hold"))
    rows_of_days = _counted(dataset, windows, session, ends)
    with_rows = [w for w in windows if rows_of_days is None or rows_of_days[w.day]]
    if rows_of_days is not None:
        found.rows_total, found.days_total = sum(rows_of_days.values()), len(with_rows)
    chunks = list(_chunks(with_rows, rows_of_days or {}, _rows_at_once(dataset, found)))
    for number in _spread(len(chunks)):
        if time.monotonic() >= ends or not _read(dataset, chunks[number], session, ends, found):
            break
    else:
        found.rows_total, found.days_total = found.rows_read, found.days_read
    found.knows_unreadable_times = _find_unreadable_times(dataset, windows, session, ends, found)
    found.held.sort()
    found.held_by.update(days_per_cause(config, found.above_limits))
    return found


def _counted(
    dataset: Dataset, windows: Sequence[DayWindow], session: Session, ends: float
) -> dict[str, int] | None:
    """Day -> rows; None if the source needs too long for it."""
    left_s = max(0.0, ends - time.monotonic())
    try:
        return session.count_days(dataset, windows, timeout_s=_COUNTING_SHARE * left_s)
    except NotComparedError:
        return None


def _find_unreadable_times(
    dataset: Dataset, windows: Sequence[DayWindow], session: Session, ends: float, found: Forecast
) -> bool:
    """Add the days that unreadable times hold; False if the time did not suffice.

    Such a day may have no other rows. If the table has such a time, each day is asked for.
    """
    try:
        if not _has_unreadable_times(dataset, windows, session, ends):
            return True
        for number in _spread(len(windows)):
            left_s = max(0.0, ends - time.monotonic())
            with session.day(dataset, windows[number], timeout_s=left_s) as snapshot:
                if snapshot.unreadable_times:
                    found.add_unreadable_times(windows[number].day, snapshot.unreadable_times)
    except ExporterError:
        if time.monotonic() < ends:
            raise
        return False
    return True


def _has_unreadable_times(
    dataset: Dataset, windows: Sequence[DayWindow], session: Session, ends: float
) -> bool:
    """Whether a time in the table cannot be read; True if that is not found out in time."""
    first, last = windows[0], windows[-1]
    days = ExportableDays(first.start, last.end, first.day, last.day, first.timezone)
    left_s = max(0.0, ends - time.monotonic())
    with session.day(dataset, first, timeout_s=left_s) as snapshot:
        # If this takes too long, a sample is counted, for as long again.
        rows = snapshot.rows_outside(days, timeout_s=left_s / 2)
    if not rows.counts:
        return True
    # No such count: the column has a type whose values can all be read.
    unreadable = rows.counts.get("unreadable")
    return unreadable is not None and (unreadable > 0 or rows.is_sample)


def _rows_at_once(dataset: Dataset, found: Forecast) -> int:
    """The size of a chunk; 0 for a day at a time.

    A rule of the `defs.yaml` may look at all rows of its day, so such days are read one by one.
    """
    if dataset.config.rules or not found.rows_total:
        return 0
    return min(CHUNK_ROWS, max(_SMALL_CHUNK_ROWS, found.rows_total // 10))


def _chunks(
    windows: Sequence[DayWindow], rows_of_days: dict[str, int], at_once: int
) -> Iterator[list[DayWindow]]:
    """Days to read with one query: as many as have `at_once` rows together, at least one."""
    chunk: list[DayWindow] = []
    rows = 0
    for window in windows:
        rows += rows_of_days.get(window.day, 0)
        if chunk and (rows > at_once or not at_once):  # without counts, no rows are known
            yield chunk
            chunk, rows = [], rows_of_days.get(window.day, 0)
        chunk.append(window)
    if chunk:
        yield chunk


def _spread(count: int) -> list[int]:
    """The numbers below `count`, so that the first ones are far apart: the bits are reversed."""
    bits = max(count - 1, 1).bit_length()
    return sorted(range(count), key=lambda number: int(f"{number:0{bits}b}"[::-1], 2))


def _read(
    dataset: Dataset, chunk: list[DayWindow], session: Session, ends: float, found: Forecast
) -> bool:
    """Add the rows of a chunk; False if the time did not suffice."""
    whole = DayWindow(chunk[0].day, chunk[0].start, chunk[-1].end, chunk[0].timezone)
    days = _Days(dataset, chunk)
    is_finished = False
    try:
        with session.day(dataset, whole, timeout_s=max(0.0, ends - time.monotonic())) as snapshot:
            account = RowAccount(dataset, snapshot.schema)
            batches = read_ahead(snapshot.batches(DEFAULT_BATCH_ROWS), snapshot.stop)
            with closing(batches):  # a generator
                for batch in batches:
                    days.count(batch)
                    account.valid(batch, whole, Tally(), days.reject)
                    if time.monotonic() >= ends:
                        break
                else:
                    is_finished = True
    except ExporterError:
        if time.monotonic() < ends:
            raise
    unfinished = None if is_finished else max(days.tallies, default=None)
    for day, tally in days.tallies.items():
        rejected = RejectedRows(tally.rows_read, days.against_limits[day])
        found.add(dataset, day, tally, rejected, is_whole=day != unfinished)
    return is_finished


class _Days:
    """Counts the rows of each day of a chunk. One pass judges the rows of all days.

    Rows that arrived between the days since these were counted belong to the day before them.
    """

    def __init__(self, dataset: Dataset, chunk: list[DayWindow]) -> None:
        self.tallies: dict[str, Tally] = {}
        self.against_limits: defaultdict[str, Counter[frozenset[Reason]]] = defaultdict(Counter)
        self._chunk = chunk
        self._time_column = dataset.config.source.time_column
        self._tolerated = dataset.config.rules_that("warn")
        self._apart = self._tolerated | dataset.config.rules_that("hold")
        self._borders = [int(pa.scalar(w.start, UTC_MICROSECONDS).value) for w in chunk]

    def count(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch as read."""
        for number, rows in zip(*np.unique(self._days_of(batch), return_counts=True), strict=True):
            self._tally(number).rows_read += int(rows)

    def reject(self, batch: pa.RecordBatch, rejections: list[Rejection]) -> int:
        """Count the rejected rows of a batch; see `account_for_rows.Reject`."""
        if not rejections:
            return 0
        days = self._days_of(batch)
        rejected = {r.row for r in rejections}
        serious = {r.row for r in rejections if r.rule not in self._tolerated}
        reasons: defaultdict[int, set[Reason]] = defaultdict(set)
        for row, rule, column, _ in rejections:
            if rule not in self._apart:
                reasons[row].add((rule, column))
        for row, found in reasons.items():
            self.against_limits[self._chunk[days[row]].day][frozenset(found)] += 1
        for row in rejected:
            tally = self._tally(days[row])
            tally.rows_rejected += 1
            tally.rows_tolerated += row not in serious
        for row, rule, column, _ in rejections:
            self._tally(days[row]).failures[rule, column] += 1
        return len(rejected)

    def _days_of(self, batch: pa.RecordBatch) -> np.ndarray:
        times = batch[self._time_column].cast(pa.int64()).to_numpy(zero_copy_only=False)
        days: np.ndarray = np.searchsorted(self._borders, times, side="right") - 1
        return days

    def _tally(self, number: int) -> Tally:
        return self.tallies.setdefault(self._chunk[number].day, Tally())
