"""Which rejections hold days by the limits, and which are too few to hold one.

A day with thousands of unknown levels may also have five rows without a message. Only the levels
hold it: a setting for the messages would publish no further day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.engine.judge import above_limits

Reason = tuple[str, str | None]
"""(rule, column) of a rejection."""


@dataclass(frozen=True)
class RejectedRows:
    """The rejected rows of a day that count towards its limits.

    Attributes:
        rows_read: Rows of the day.
        by_reasons: All reasons of a row -> rows with exactly these reasons.
    """

    rows_read: int
    by_reasons: Counter[frozenset[Reason]]

    def per_reason(self, without: Collection[Reason] = ()) -> Counter[Reason]:
        """Reason -> rows, except for these reasons. A row counts for each of its reasons."""
        rows: Counter[Reason] = Counter()
        for reasons, count in self.by_reasons.items():
            for reason in sorted(reasons.difference(without), key=str):
                rows[reason] += count
        return rows

    def is_above(self, config: DatasetConfig, without: Collection[Reason] = ()) -> bool:
        """Whether the day is above its limits once these reasons reject no row."""
        left = sum(n for reasons, n in self.by_reasons.items() if reasons.difference(without))
        return above_limits(config, left, self.rows_read)


def days_per_cause(config: DatasetConfig, days: Sequence[RejectedRows]) -> Counter[Reason]:
    """Reason -> days that it holds, alone or with others.

    Without these reasons, no day is above its limits; without all but one of them, a day is.

    Args:
        config: With the limits.
        days: Those above the limits.
    """
    causes = _causes(config, days)
    return Counter(reason for day in days for reason in _causes_of_day(config, day, causes))


def _causes(config: DatasetConfig, days: Sequence[RejectedRows]) -> list[Reason]:
    """What must be settled so that no day is above its limits: the largest first."""
    causes: list[Reason] = []
    held = list(days)
    while held := [day for day in held if day.is_above(config, causes)]:
        rows: Counter[Reason] = Counter()
        for day in held:
            rows.update(day.per_reason(causes))
        causes.append(rows.most_common(1)[0][0])
    # A larger reason that was settled first may hold no day beside the others.
    for reason in list(causes):
        others = [each for each in causes if each != reason]
        if not any(day.is_above(config, others) for day in days):
            causes = others
    return causes


def _causes_of_day(
    config: DatasetConfig, day: RejectedRows, causes: Sequence[Reason]
) -> set[Reason]:
    found: set[Reason] = set()
    for reason, _ in day.per_reason().most_common():
        if not day.is_above(config, found):
            break
        if reason in causes:
            found.add(reason)
    return found
