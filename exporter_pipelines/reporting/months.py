"""Days summed up by month, for the charts of a history that is too long to show its days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporter_pipelines.contracts.export_attempts import DaySummary


def month_of(day: str) -> str:
    """The first day of its month."""
    return f"{day[:7]}-01"


def by_month(days: Iterable[DaySummary]) -> list[DaySummary]:
    """A summary for each dataset and month, under the first day of the month.

    The percentages of a month refer to its rows, as those of a day do.
    """
    months: dict[tuple[str, str], list[DaySummary]] = {}
    for each in days:
        months.setdefault((each.dataset, month_of(each.day)), []).append(each)
    return [_sum(dataset, month, members) for (dataset, month), members in months.items()]


def _sum(dataset: str, month: str, days: Sequence[DaySummary]) -> DaySummary:
    return DaySummary(
        dataset=dataset,
        day=month,
        rows_read=sum(each.rows_read for each in days),
        rows_exported=sum(each.rows_exported for each in days),
        rows_rejected=sum(each.rows_rejected for each in days),
        rows_filtered=sum(each.rows_filtered for each in days),
        size_bytes=sum(each.size_bytes for each in days),
        duration_s=sum(each.duration_s for each in days),
        completeness_pct=_completeness(days),
        repeated_keys=sum(each.repeated_keys for each in days),
    )


def _completeness(days: Sequence[DaySummary]) -> float | None:
    known = [
        (each.completeness_pct, each.rows_exported)
        for each in days
        if each.completeness_pct is not None and each.rows_exported
    ]
    rows = sum(weight for _, weight in known)
    return sum(share * weight for share, weight in known) / rows if rows else None
