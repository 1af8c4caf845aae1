"""The numbers of the report; docs/report.md defines them."""

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
    DayWarning,
    ExportedRun,
    Status,
    StorageUse,
)
from exporter_pipelines.contracts.similar_days import spans

_MOST_SPANS = 20
_FINISHED: tuple[Status, ...] = ("published", "held", "failed", "cancelled")


@dataclass(frozen=True)
class DayState:
    """State of a day of a dataset: the newest attempt, and the published export, if any."""

    dataset: str
    day: str
    status: Status | None
    published: DaySummary | None

    @property
    def is_bad(self) -> bool:
        """Whether the newest attempt was not published."""
        return self.status in ("held", "failed", "cancelled")


@dataclass(frozen=True)
class DatasetNumbers:
    """The numbers of one dataset."""

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
        """Mean over the published days."""
        return self.rows_exported / self.days if self.days else None

    @property
    def rejected_pct(self) -> float | None:
        """Percentage of the rows read."""
        return 100 * self.rows_rejected / self.rows_read if self.rows_read else None


@dataclass(frozen=True)
class Warned:
    """The days of a dataset about which a check warned.

    Attributes:
        dataset, check: Names.
        warnings: One for each day, newest first.
    """

    dataset: str
    check: str
    warnings: Sequence[DayWarning]

    @property
    def days(self) -> str:
        """The days as text."""
        return spans((each.day for each in self.warnings), _MOST_SPANS)


@dataclass(frozen=True)
class Report:
    """Everything that the page shows.

    Attributes:
        first, last: First and last day of the report.
        descriptions: Dataset -> description, in display order.
        published: Published days.
        runs: Runs that exported, or should export, any of these days; newest first.
        storage: Storage used by each dataset.
        rendered_at: Time of rendering, UTC.
        output: The output folder.
        service: Address of the service, for links; None if it is not known.
        earlier_days: Published days before the first one, in order.
        most_days: Published days that a report has at most.
        older_runs_left_out: Whether the history may have more of these runs.
        warnings: About published days, the newest day of each dataset and check first.
    """

    first: str
    last: str
    descriptions: dict[str, str]
    published: Sequence[DaySummary]
    runs: Sequence[ExportedRun]
    storage: Sequence[StorageUse]
    rendered_at: dt.datetime
    output: str
    service: str | None = None
    earlier_days: Sequence[str] = ()
    most_days: int = 0
    older_runs_left_out: bool = False
    warnings: Sequence[DayWarning] = ()

    @cached_property
    def attempts(self) -> list[Attempt]:
        """All attempts, newest first."""
        return [attempt for run in self.runs for attempt in run.attempts]

    @cached_property
    def outcomes(self) -> Counter[Status]:
        """Number of attempts by status."""
        return Counter(attempt.status for attempt in self.attempts)

    @property
    def exports(self) -> int:
        """Number of finished attempts."""
        return sum(self.outcomes[status] for status in _FINISHED)

    @property
    def success_pct(self) -> float | None:
        """Percentage of finished attempts that were published; None if there are none."""
        return 100 * self.outcomes["published"] / self.exports if self.exports else None

    @property
    def rows_exported(self) -> int:
        """Sum over all published days."""
        return sum(day.rows_exported for day in self.published)

    @property
    def rows_read(self) -> int:
        """Sum over all published days."""
        return sum(day.rows_read for day in self.published)

    @property
    def rows_rejected(self) -> int:
        """Sum over all published days."""
        return sum(day.rows_rejected for day in self.published)

    @property
    def rejected_pct(self) -> float | None:
        """Percentage of the rows read; None without rows."""
        return 100 * self.rows_rejected / self.rows_read if self.rows_read else None

    @property
    def rows_per_export(self) -> float | None:
        """Mean over the published days of all datasets."""
        return self.rows_exported / len(self.published) if self.published else None

    @property
    def median_duration_s(self) -> float | None:
        """Median over the published days of all datasets."""
        return median(day.duration_s for day in self.published) if self.published else None

    @property
    def storage_bytes(self) -> int:
        """Sum over all datasets."""
        return sum(use.total_bytes for use in self.storage)

    @cached_property
    def datasets(self) -> list[str]:
        """Datasets with an export, an attempt or a file, in display order."""
        seen = {day.dataset for day in self.published} | {a.dataset for a in self.attempts}
        seen |= {use.dataset for use in self.storage if use.total_bytes}
        return [dataset for dataset in self.descriptions if dataset in seen]

    @cached_property
    def by_dataset(self) -> list[DatasetNumbers]:
        """The numbers of each dataset."""
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
    def warned(self) -> list[Warned]:
        """The warnings by dataset and check; those about the fewest days first."""
        found: dict[tuple[str, str], list[DayWarning]] = {}
        for each in self.warnings:
            found.setdefault((each.dataset, each.check), []).append(each)
        return sorted(
            (Warned(*key, days) for key, days in found.items()), key=lambda each: len(each.warnings)
        )

    @cached_property
    def rejected_by_rule(self) -> list[tuple[str, str, int]]:
        """(dataset, rule, rejected rows), highest first; only rules with rejected rows."""
        counts: Counter[tuple[str, str]] = Counter()
        for day in self.published:
            for rule, failed in day.rejected.items():
                counts[day.dataset, rule] += failed
        return [(*what, count) for what, count in counts.most_common() if count]

    @cached_property
    def states(self) -> dict[str, list[DayState]]:
        """Day -> state of each dataset, newest day first; unknown days are left out."""
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
        """Days on which the newest attempt of a dataset was not published; oldest first."""
        return sorted(day for day, states in self.states.items() if any(s.is_bad for s in states))
