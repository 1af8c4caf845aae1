"""The part of an export that one answer has, so that an answer stays small for years of days."""

from __future__ import annotations

from exporter_pipelines.service.models import Export

RESULTS = 100
"""Days of an answer, unless the client asks for another number: a month of three datasets."""
MOST_RESULTS = 10_000
_MOST_ERRORS = 20


def page_of(export: Export, limit: int = RESULTS, offset: int = 0) -> Export:
    """An export with some of its results.

    Args:
        export: With all of them.
        limit: Days at most.
        offset: Days before them.
    """
    shown = export.results[offset : offset + limit]
    more = max(len(export.results) - offset - len(shown), 0)
    return export.model_copy(
        update={"results": shown, "more_results": more, "errors": first_errors(export)}
    )


def first_errors(export: Export) -> list[str]:
    """The sentences about the first days that were not published, and how many more there are."""
    more = len(export.errors) - _MOST_ERRORS
    if more <= 0:
        return export.errors
    where = f"`exporter status {export.id}` and GET /api/v1/exports/{export.id} list all"
    return [*export.errors[:_MOST_ERRORS], f"{more:,} more days are not published: {where}."]
