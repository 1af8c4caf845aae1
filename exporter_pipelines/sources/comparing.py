"""What the comparisons of all sources share: a time limit, the borders of days, and the keys.

A comparison answers `times_of` or `count_days` of `contracts.source.Session`. Does not belong here:
SQL.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.row_schema import UTC_MICROSECONDS, Column
from exporter_pipelines.contracts.source import NotComparedError
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.sources.time_encodings import since_epoch_us

_MOST_SPANS = 50
"""More separate spans of days are read as one; a condition with thousands of parts is slow."""

_ROWS_PER_KEY = 10
_FEWEST_ROWS = 100_000


class TimeLimit:
    """The time limit of a comparison; a context manager.

    Any error of the source after the limit means that the comparison took too long.

    Raises:
        NotComparedError: on leaving the block with an error after the limit.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s, self.ends = timeout_s, time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        """Seconds until the limit, never negative."""
        return max(0.0, self.ends - time.monotonic())

    def __enter__(self) -> TimeLimit:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _stack: object) -> None:
        if isinstance(error, ExporterError) and not self.left_s:
            raise NotComparedError(f"the source needed more than {self._timeout_s:g} s") from None


class DayBorders:
    """The borders of some days, in order, and the parts of time between them.

    A part is named by the number of its first border. Days need not be adjacent, and may overlap.

    Attributes:
        instants: All borders, without those of days that a zone skipped.
    """

    def __init__(self, windows: Sequence[DayWindow]) -> None:
        self._windows = windows
        real = [w for w in windows if w.start < w.end]
        self.instants = sorted({border for w in real for border in (w.start, w.end)})
        self._instants_us = [since_epoch_us(instant) for instant in self.instants]
        self.spans = self._spans(sorted(real, key=lambda w: w.start))

    def part_of_us(self, instant_us: int) -> int:
        """Number of the part with this instant; -1 before the first border."""
        return bisect_right(self._instants_us, instant_us) - 1

    def parts(self) -> list[tuple[int, DayWindow]]:
        """The parts that belong to a day, with their numbers."""
        found = []
        for number, (start, end) in enumerate(pairwise(self.instants)):
            day = next((w for w in self._windows if w.start <= start < w.end), None)
            if day is not None:
                found.append((number, DayWindow(day.day, start, end, day.timezone)))
        return found

    def counts(self, rows_of_parts: Mapping[int, int]) -> dict[str, int]:
        """Day -> rows, from the rows of each part."""
        return {
            window.day: sum(
                rows_of_parts.get(part, 0)
                for part in range(
                    bisect_left(self.instants, window.start), bisect_left(self.instants, window.end)
                )
            )
            for window in self._windows
        }

    @staticmethod
    def _spans(ordered: list[DayWindow]) -> list[DayWindow]:
        """Windows without gaps that together hold all days; a few, if the days are far apart."""
        spans: list[DayWindow] = []
        for window in ordered:
            if spans and window.start <= spans[-1].end:
                spans[-1] = _joined(spans[-1], window)
            else:
                spans.append(window)
        return spans if len(spans) <= _MOST_SPANS else [_joined(spans[0], spans[-1])]


def _joined(first: DayWindow, last: DayWindow) -> DayWindow:
    return DayWindow(first.day, first.start, max(first.end, last.end), first.timezone)


def comparable(keys: pa.Array, column: Column) -> pa.Array:
    """The keys to look up, in the type of the key column; without nulls.

    Raises:
        NotComparedError: keys of this type cannot be looked up, or the column has another type.
    """
    is_text = pa.types.is_string(column.type)
    if column.is_json or not (is_text or pa.types.is_int64(column.type)):
        raise NotComparedError(f"a key of the type {column.described()['type']} is not looked up")
    given_text = pa.types.is_string(keys.type) or pa.types.is_large_string(keys.type)
    if given_text != is_text or not (is_text or pa.types.is_integer(keys.type)):
        raise NotComparedError("the key had another type when the day was published")
    return keys.drop_null().cast(column.type)


def most_rows(keys: pa.Array) -> int:
    """How many rows a lookup of these keys may have; more would not fit into memory."""
    return max(_FEWEST_ROWS, _ROWS_PER_KEY * len(keys))


def found(keys: pa.Array, rows: pa.Table) -> pa.Table:
    """The result of `times_of` from rows with a `key` and a `time`.

    Databases compare loosely: some collations ignore case, and 1.0 equals 1.00. So keys that are
    not among the given ones are left out.

    Raises:
        NotComparedError: there are too many rows.
    """
    if rows.num_rows > most_rows(keys):
        raise NotComparedError("too many rows have the same key")
    rows = rows.filter(pc.is_in(rows["key"], value_set=keys.cast(rows["key"].type)))
    return pa.table({
        "key": rows["key"].cast(keys.type), "time": rows["time"].cast(UTC_MICROSECONDS)
    })  # fmt: skip
