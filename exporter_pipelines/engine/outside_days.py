"""Counts and judges the rows of a table that belong to no day: they are in no export.

The table is counted once in a run, in the snapshot of the first day that is exported. Every day of
the run shows the result. Text that begins with the date of a day might be one of its rows, so it is
counted with each day, and holds it.
"""

from __future__ import annotations

from typing import Any

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.outside_days import (
    KINDS,
    MOST_COUNTED,
    SAMPLE_ROWS,
    ExportableDays,
    Kind,
    OutsideRows,
)
from exporter_pipelines.contracts.source import DaySnapshot
from exporter_pipelines.engine.judge import Verdict

CHECK = "rows_outside_every_day"

TIMEOUT_S = 2.0
"""Time limit of counting, and again of counting a sample. With an index on a time column that is
not text, counting takes milliseconds."""

_NAMES: dict[Kind, str] = {
    "null": "without a time",
    "infinite": "with an infinite time or one outside of the years 1 to 9999",
    "unreadable": "with a time that cannot be read",
    "before": "before the first day",
    "after": "after the last day",
}


class OutsideDays:
    """What one run knows about rows outside of all days; keep one for a whole run.

    Args:
        days: The days that can be exported.
    """

    def __init__(self, days: ExportableDays) -> None:
        self.days = days
        self._known: dict[str, OutsideRows] = {}

    def count(self, dataset: Dataset, snapshot: DaySnapshot) -> None:
        """Count the rows of a dataset's table, unless this run already did."""
        if dataset.name not in self._known:
            self._known[dataset.name] = snapshot.rows_outside(self.days, timeout_s=TIMEOUT_S)

    def judge(self, dataset: Dataset, day: str, unreadable_times: int) -> Verdict:
        """The verdict on a day, after `count`.

        Args:
            dataset: Of the day.
            day: `YYYY-MM-DD`.
            unreadable_times: See `contracts.source.DaySnapshot`.
        """
        rows = self._known[dataset.name]
        time = dataset.source_name(dataset.config.source.time_column)
        numbers: dict[str, Any] = {f"rows_{kind}": rows.counts.get(kind, 0) for kind in KINDS}
        numbers["rows_unreadable_of_the_day"] = unreadable_times
        lost = bool(rows.unusable)
        # Then each day looks empty, most likely because the times are written in another way.
        is_unusable = lost and not rows.has_usable and not rows.is_sample
        reason = " ".join(
            [*self._of_the_day(day, time, unreadable_times), self._of_the_table(rows, time)]
        )
        return Verdict(
            CHECK,
            passed=not lost and not unreadable_times and bool(rows.counts),
            severity="ERROR" if unreadable_times or is_unusable else "WARN",
            reason=reason,
            numbers=numbers,
        )

    @staticmethod
    def _of_the_day(day: str, time: str, count: int) -> list[str]:
        if not count:
            return []
        return [
            f"{_rows(count)} may belong to this day: {time} begins with {day}, but cannot be read "
            "as a time."
        ]

    def _of_the_table(self, rows: OutsideRows, time: str) -> str:
        if not rows.counts:
            return (
                f"Not counted: reading {SAMPLE_ROWS:,} values of {time} took more than "
                f"{TIMEOUT_S:g} s. Create an index on it, or read a table instead of a slow view."
            )
        basis = (
            f"Of the first {SAMPLE_ROWS:,} rows of the table" if rows.is_sample else "In the table"
        )
        found = [f"{_at_least(n)} {_NAMES[kind]}" for kind, n in rows.counts.items() if n]
        text = f"{basis}, {', '.join(found)}." if found else f"{basis}, every row belongs to a day."
        if not rows.has_usable and any(rows.counts.values()):
            text += f" No row has a time in {time} that can be used."
        elif rows.unusable:
            text += " Rows without a usable time are never exported: correct them in the source."
        if rows.counts.get("before"):
            text += f" EXPORTER_START_DATE is {self.days.first}."
        if rows.counts.get("after"):
            text += (
                f" The last day is {self.days.last}: today, or the day before EXPORTER_END_DATE."
            )
        if rows.is_sample:
            text += f" Counting all rows took more than {TIMEOUT_S:g} s."
        return text


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _at_least(count: int) -> str:
    return f"{count:,} or more rows" if count >= MOST_COUNTED else _rows(count)
