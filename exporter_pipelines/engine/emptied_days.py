"""Finds a day that would replace an export with rows by an empty one, because rows are rejected.

The limits of rejected rows let a day of few rows pass: a single bad row shall not hold it.
"""

from __future__ import annotations

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.staged_day import StagedDay


def why_emptied(staged: StagedDay, published: Manifest | None) -> str:
    """What is wrong with the new export; empty if it has rows, or the published one has none.

    Rows that were filtered, erased, or rejected by rules with the threshold `warn` do not count:
    these are decisions of the user.
    """
    tally = staged.tally
    rejected = tally.rows_rejected - tally.rows_tolerated
    if not published or not published.record_count or tally.rows_exported or rejected <= 0:
        return ""
    return (
        f"Rejected rows ({rejected:,}) leave the day without any, and the published export has "
        f"{published.record_count:,}."
    )
