"""The numbers of the report; what each means stands in docs/report.md."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from exporter_pipelines.contracts.export_attempts import (
    Attempt,
    DaySummary,
    ExportedRun,
    Status,
    StorageUse,
)

_FINISHED: tuple[Status, ...] = ("published", "held", "failed", "cancelled")


@dataclass(frozen=True)
class DayState:
    """A dataset's day now: the newest attempt, and the export that is published, if any."""

    dataset: str
    day: str
    status: Status | None
    published: DaySummary | None

    @property
    def is_bad(self) -> bool:
        """Whether the newest attempt gave no export."""
        return self.status in ("held", "failed", "cancelled")


@dataclass(frozen=True)
class DatasetNumbers:
    """One dataset's line."""

    dataset: str
    description: str
    days: int
    rows_exported: int
    rows_rejected: int
    rows_read: int
    median_duration_s: float | None
    storage: StorageUse

    @property
    def rows_per_day(self) -> float | None:
        """Mean of the published days."""
        return self.rows_exported / self.days if self.days else None

    @property
    def rejected_pct(self) -> float | None:
        """Of the rows read."""
        return 100 * self.rows_rejected / self.rows_read if self.rows_read else None


@dataclass(frozen=True)
class Report:
    """Everything that the page shows.

    Attributes:
        first, last: Days that it covers.
        descriptions: Dataset -> its description; in the order in which datasets are shown.
        published: Of these days.
        runs: That exported, or were to, any of these days; newest first.
        storage: By dataset.
        rendered_at: UTC.
        output: The folder of the exports.
    """

    first: str
    last: str
    descriptions: dict[str, str]
    published: Sequence[DaySummary]
    runs: Sequence[ExportedRun]
    storage: Sequence[StorageUse]
    rendered_at: dt.datetime
    output: str

    @cached_property
    def attempts(self) -> list[Attempt]:
        """Newest first."""
        return [attempt for run in self.runs for attempt in run.attempts]

    @cached_property
    def outcomes(self) -> Counter[Status]:
        """How many attempts ended in which way."""
        return Counter(attempt.status for attempt in self.attempts)

    @property
    def exports(self) -> int:
        """Attempts that have ended."""
        return sum(self.outcomes[status] for status in _FINISHED)

    @property
    def success_pct(self) -> float | None:
        """Published ones of them; None before the first."""
        return 100 * self.outcomes["published"] / self.exports if self.exports else None

    @property
    def rows_exported(self) -> int:
        """Of all published days."""
        return sum(day.rows_exported for day in self.published)

    @property
    def rows_read(self) -> int:
        """Of all published days."""
        return sum(day.rows_read for day in self.published)

    @property
    def rows_rejected(self) -> int:
        """Of all published days."""
        return sum(day.rows_rejected for day in self.published)

    @property
    def rejected_pct(self) -> float | None:
        """Of the rows read; None without any."""
        return 100 * self.rows_rejected / self.rows_read if self.rows_read else None

    @property
    def rows_per_export(self) -> float | None:
        """Mean of the published days of all datasets."""
        return self.rows_exported / len(self.published) if self.published else None

    @property
    def median_duration_s(self) -> float | None:
        """Of the published days of all datasets."""
        return median(day.duration_s for day in self.published) if self.published else None

    @property
    def storage_bytes(self) -> int:
        """Of all datasets."""
        return sum(use.total_bytes for use in self.storage)

    @cached_property
    def datasets(self) -> list[str]:
        """Those that have an export, an attempt or a file, in their order."""
        seen = {day.dataset for day in self.published} | {a.dataset for a in self.attempts}
        seen |= {use.dataset for use in self.storage if use.total_bytes}
        return [dataset for dataset in self.descriptions if dataset in seen]

    @cached_property
    def by_dataset(self) -> list[DatasetNumbers]:
        """A line per dataset."""
        storage = {use.dataset: use for use in self.storage}
        lines = []
        for dataset in self.datasets:
            days = [day for day in self.published if day.dataset == dataset]
            lines.append(
                DatasetNumbers(
                    dataset=dataset,
                    description=self.descriptions[dataset],
                    days=len(days),
                    rows_exported=sum(day.rows_exported for day in days),
                    rows_rejected=sum(day.rows_rejected for day in days),
                    rows_read=sum(day.rows_read for day in days),
                    median_duration_s=median(d.duration_s for d in days) if days else None,
                    storage=storage.get(dataset, StorageUse(dataset, 0, 0, 0)),
                )
            )
        return lines

    @cached_property
    def rejected_by_rule(self) -> list[tuple[str, str, int]]:
        """(dataset, rule, rows that broke it), the most first; rules that nothing broke are out."""
        counts: Counter[tuple[str, str]] = Counter()
        for day in self.published:
            for rule, failed in day.rejected.items():
                counts[day.dataset, rule] += failed
        return [(*what, count) for what, count in counts.most_common() if count]

    @cached_property
    def states(self) -> dict[str, list[DayState]]:
        """Day -> state of each dataset, newest day first; days without anything are left out."""
        published = {(day.dataset, day.day): day for day in self.published}
        newest: dict[tuple[str, str], Status] = {}
        for attempt in self.attempts:
            newest.setdefault((attempt.dataset, attempt.day), attempt.status)
        days = sorted({day for _, day in (*published, *newest)}, reverse=True)
        return {
            day: [
                DayState(dataset, day, newest.get(key), published.get(key))
                for dataset in self.datasets
                if (key := (dataset, day))
            ]
            for day in days
        }

    @property
    def bad_days(self) -> list[str]:
        """Days of which a dataset was not exported when it was last tried; oldest first."""
        return sorted(day for day, states in self.states.items() if any(s.is_bad for s in states))
