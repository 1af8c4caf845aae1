"""The kinds of alerts: how grave each is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["failure", "warning", "success"]


@dataclass(frozen=True)
class Kind:
    """One kind of alert.

    Attributes:
        title: Follows the name of the dataset in the title of a message.
        level: How receivers colour it.
        todo: What to do next.
    """

    title: str
    level: Level
    todo: str


KINDS = {
    "run_failed": Kind(
        "run failed",
        "failure",
        "Open the run, mend what it names, then Materialize with Failed and missing.",
    ),
    "day_held": Kind(
        "held",
        "failure",
        "The old export stays. Look at the quarantine file that the run names, mend the data or "
        "the rule, then Materialize with Failed and missing (docs/quality.md).",
    ),
    "check_failed": Kind(
        "check failed",
        "warning",
        "Open the asset's Checks and compare the day with those before it (docs/quality.md).",
    ),
    "rejected_rate": Kind(
        "many rejected rows",
        "warning",
        "The day is published without them. Look at its quarantine file (docs/quality.md).",
    ),
    "slow_export": Kind(
        "slow export",
        "warning",
        "Look for load or a missing index on the database (exporter doctor), and at the disk.",
    ),
    "yesterday_missing": Kind(
        "yesterday is missing",
        "failure",
        "See that the daemon runs and the schedule's last tick asked for a run; then Materialize "
        "the day.",
    ),
    "source_unreachable": Kind(
        "source unreachable",
        "failure",
        "See that the database runs and can be reached from here: exporter doctor.",
    ),
    "low_disk": Kind(
        "little disk left",
        "failure",
        "Make room: exporter prune, and what docs/operations.md calls safe to remove.",
    ),
}
"""Name -> kind; docs/alerts.md has a row for each."""
