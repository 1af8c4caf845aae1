"""Finds days of a range whose rows changed while the range was exported.

Each day is one snapshot, but the days of a range are snapshots of different moments. A row that
moves from a later day to an earlier one in between is in neither. So the days are counted again
after the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import NotComparedError, Session
from exporter_pipelines.errors import ExporterError

COUNT_S = 10.0
"""Time limit of counting the days again."""


@dataclass(frozen=True)
class RangeCounts:
    """The days of a range, counted again after its last day.

    Attributes:
        changed: Day -> rows that the source has more (or fewer, if negative) than were exported.
        not_compared: Why the days were not counted again; "" if they were.
    """

    changed: Mapping[str, int] = field(default_factory=dict)
    not_compared: str = ""

    def sentence(self, dataset: str) -> str:
        """One sentence for the log; "" if there is nothing to report."""
        if self.not_compared:
            return (
                f"{dataset}: whether rows arrived or moved while the range ran was not compared: "
                f"{self.not_compared}."
            )
        if not self.changed:
            return ""
        days = ", ".join(f"{day} ({more:+,})" for day, more in [*self.changed.items()][:10])
        rest = f" and {len(self.changed) - 10} more days" if len(self.changed) > 10 else ""
        return (
            f"{dataset}: rows arrived or moved while the range ran: {days}{rest}. Export these "
            "days again."
        )


def count_again(
    dataset: Dataset, exported: Mapping[str, int], timezone: str, session: Session
) -> RangeCounts:
    """Count the exported days of a range once more, with one statement.

    Args:
        dataset: What was exported.
        exported: Day -> source rows that were exported, for days published by this run.
        timezone: Whose midnights bound the days.
        session: Of the run.
    """
    if len(exported) < 2:
        return RangeCounts()
    windows = [DayWindow.of(day, timezone) for day in exported]
    try:
        counts = session.count_days(dataset, windows, timeout_s=COUNT_S)
    except NotComparedError as error:
        return RangeCounts(not_compared=error.reason)
    except ExporterError as error:  # the days are published; counting them must not fail the run
        return RangeCounts(not_compared=error.message.rstrip("."))
    changed = {day: counts[day] - rows for day, rows in exported.items() if counts[day] != rows}
    return RangeCounts(changed)
