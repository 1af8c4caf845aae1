"""Holds a day whose rows are gone from the source, so that it does not replace its export.

Backends purge old rows; then the published export is the only copy. Only an operator may replace
it by an empty day.
"""

from __future__ import annotations

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.tally import Tally
from exporter_pipelines.engine.judge import Verdict

CHECK = "no_lost_rows"


def judge_loss(day: str, published: bytes | None, tally: Tally, *, accepted: bool) -> Verdict:
    """Compare the rows of the source with those of the published export of the same day.

    Source rows are compared, so a new rule, filter or format is never a loss.

    Args:
        day: Partition key, for the message.
        published: Bytes of the published manifest; None when the day is not published.
        tally: Of the new export.
        accepted: Whether the operator accepts the loss of this day's rows.

    Returns:
        A failed verdict that holds the day when the published export has source rows, or cannot be
        read, and the source now has none.
    """
    if published is None:
        return Verdict(CHECK, True, "ERROR", "The day was not published before.")
    manifest = Manifest.if_readable(published)
    before = manifest.counts.read if manifest else None
    numbers: dict[str, float | int] = {"rows_now": tally.source_rows}
    if before is not None:
        numbers["rows_before"] = before
    if tally.source_rows or before == 0:
        return Verdict(CHECK, True, "ERROR", "The source still has rows of this day.", numbers)
    had = (
        "The manifest of the published export cannot be read"
        if before is None
        else f"The published export has {before:,} source rows"
    )
    reason = f"{had}, and the source has no rows of this day now."
    if accepted:
        return Verdict(CHECK, True, "ERROR", f"{reason} The loss was accepted.", numbers)
    advice = (
        " The published export stays. To replace it by an empty day, run the day again with "
        f"accept_loss_days: [{day}] in the run config."
    )
    return Verdict(CHECK, False, "ERROR", reason + advice, numbers)
