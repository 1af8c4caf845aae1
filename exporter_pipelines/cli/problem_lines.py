"""The lines about days that are not published: one for all days with the same reason."""

from __future__ import annotations

from collections.abc import Iterator

from exporter_pipelines.contracts.similar_days import Reasons, grouped, spans

_MOST_LINES = 10
_MOST_SPANS = 20


def problem_lines(dataset: str, problems: Reasons) -> Iterator[str]:
    """At most ten lines, in the order of their first days.

    Args:
        dataset: Name.
        problems: (day, reason).
    """
    groups = sorted(grouped(problems))
    for days, reason in groups[:_MOST_LINES]:
        count = f" ({len(days):,} days)" if len(days) > 2 else ""
        yield f"{dataset} {spans(days, _MOST_SPANS)}{count}: {reason}"
    if more := sum(len(days) for days, _ in groups[_MOST_LINES:]):
        yield f"{dataset}: {more:,} more days are held or failed, see the Dagster UI."
