"""What to do about a failed check. The UI, messages of runs and alerts all show these texts.

Belongs here: one text per check. A new check needs one, which `test_failures` enforces.
Does not belong here: why a check failed; that is the `reason` of its `Verdict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_SEE_HELD = "See docs/failures.md#a-day-is-held"
_SEE_QUALITY = "See docs/quality.md"

_FIX_ROWS = (
    "Look at the rejected rows in the quarantine file. Correct them in the backend, or correct the "
    "rule or an alias in defs.yaml. If the rows are right, {way_to_allow}. Then export the day "
    f"again; Failed and missing does it for all held days. {_SEE_HELD}"
)
_REPORT_BUG = (
    "Run the day again. If it fails again, check the view or query that the dataset reads, and "
    f"report a bug: the rows that were delivered do not match the query. {_SEE_HELD}"
)
_COMPARE_DAYS = (
    "Compare the day with earlier days. If the source was wrong, correct it there and export the "
    f"day again. If the change is real, nothing needs to be done. {_SEE_QUALITY}"
)

ACTIONS = {
    "rejected_rows": _FIX_ROWS,
    "rejection_limits": _FIX_ROWS,
    "required_fields": "Look at the rejected rows in the quarantine file, and give them a value in "
    f"the backend, or let the column be empty in schema.py. {_SEE_QUALITY}",
    "repeated_keys": "Remove the repeated rows in the backend, or name a column that is unique as "
    f"source.key in defs.yaml. {_SEE_QUALITY}",
    "rows_outside_window": _REPORT_BUG,
    "rows_outside_every_day": "Correct the times in the backend. docs/types.md lists what is read "
    "as a time. `exporter doctor` shows the form of the times that cannot be read. If the rows "
    f"belong in no export, leave them out with `query:` in defs.yaml. {_SEE_QUALITY}",
    "row_conservation": _REPORT_BUG,
    "no_lost_rows": "Find out why the source has lost rows: a purge, another database, or missing "
    f"rights.{{ways_out}} {_SEE_HELD}",
    "same_source": "If the database is the wrong one, correct the source URL. If it is the new "
    f"one, run `exporter accept-source {{dataset}}`.{{ways_out}} {_SEE_HELD}",
    "source_unchanged": "Export the day again to publish the rows that the source has now. See "
    "docs/late-data.md",
    "row_count_drift": _COMPARE_DAYS,
    "null_rate_drift": _COMPARE_DAYS,
    "value_mix_drift": _COMPARE_DAYS,
    "new_values": _COMPARE_DAYS,
    "no_raw_identifiers": "Name the column in the privacy policy with an action that removes the "
    "value, or, if a name is an ordinary word, add it to ordinary_words. Then export the day "
    "again. See docs/privacy.md",
}
"""Check -> what to do. `action` replaces `{dataset}`, `{ways_out}` and `{way_to_allow}`."""

PROTECTING = ("no_lost_rows", "same_source")
"""Checks that hold a day to protect its published export."""

RULES_THAT_HOLD = "rules_that_hold"
"""Number of a verdict: broken rules with the threshold `hold`. Absent if there are none."""

ABOVE_LIMITS = "above_limits"
"""Number beside `RULES_THAT_HOLD`: 1 if the rejected rows are above both limits too."""

_MAX_LISTED_DAYS = 3


def action(
    check: str,
    dataset: str,
    days: Sequence[str],
    numbers: Sequence[Mapping[str, float | int]] = (),
    *,
    held: bool = True,
) -> str:
    """What to do about a check of a dataset that failed for these days.

    Args:
        check: A name in `CHECKS`.
        dataset: Its name, for commands to copy.
        days: Partition keys.
        numbers: Of the verdict of each day.
        held: Whether the check holds them; otherwise they are published with a warning.
    """
    text = ACTIONS[check].replace("{dataset}", dataset)
    text = text.replace("{way_to_allow}", _way_to_allow(numbers))
    return text.replace("{ways_out}", f" {ways_out(dataset, days)}" if held else "")


def _way_to_allow(numbers: Sequence[Mapping[str, float | int]]) -> str:
    """What lets days with these rejected rows be published."""
    by_rules = any(each.get(RULES_THAT_HOLD) for each in numbers)
    by_limits = not numbers or any(
        each.get(ABOVE_LIMITS) or not each.get(RULES_THAT_HOLD) for each in numbers
    )
    rules = ["change `hold` of the rule in `thresholds` there (docs/rules.md)"] if by_rules else []
    limits = ["raise max_rejected_rows or max_rejected_pct there"] if by_limits else []
    return ", and ".join(rules + limits)


def ways_out(dataset: str, days: Sequence[str]) -> str:
    """How a hold ends that protects published rows: replace the exports, or keep them."""
    listed = ", ".join(sorted(days)) if len(days) <= _MAX_LISTED_DAYS else "DAY, DAY, ..."
    between = " ".join(sorted({min(days), max(days)}))
    only = " --only held" if len(days) > 1 else ""
    return (
        "To replace the published export anyway, run "
        f"`exporter export {dataset} {between}{only} --accept-loss`, "
        f"or again with accept_loss_days: [{listed}] in the run config. "
        f"To keep it, run `exporter keep {dataset} {between}`."
    )
