"""The kinds of alerts: title, severity, what to do, and where a message links to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["failure", "warning", "success"]

_DATASET = "/assets/{subject}?view=partitions"


@dataclass(frozen=True)
class Kind:
    """One kind of alert.

    Attributes:
        title: Follows the name of the dataset in the title of a message.
        level: Severity, shown as a color by most receivers.
        todo: What to do next.
        page: Path in the UI, with `{subject}` for the name of the dataset. Messages about a run
            link to the run instead.
    """

    title: str
    level: Level
    todo: str
    page: str = "/runs"


KINDS = {
    "day_held": Kind(
        "held",
        "failure",
        "Open the page of the day: it shows the reason, the numbers and what to do "
        "(docs/failures.md#a-day-is-held).",
    ),
    "run_failed": Kind(
        "run failed",
        "failure",
        "Open the run and fix the cause. Then Materialize with Failed and missing "
        "(docs/failures.md).",
    ),
    "check_failed": Kind(
        "check failed",
        "warning",
        "Open the Checks of the asset and compare the day with earlier days (docs/quality.md).",
    ),
    "rejected_rate": Kind(
        "many rejected rows",
        "warning",
        "The day is published without these rows. Open its quarantine file (docs/quality.md).",
    ),
    "slow_export": Kind(
        "slow export",
        "warning",
        "Check the load of the database, its index (exporter doctor), and the disk.",
    ),
    "yesterday_missing": Kind(
        "export missing",
        "failure",
        "Check that the daemon runs, and the last tick of the schedule. Then Materialize the day.",
        _DATASET,
    ),
    "source_unreachable": Kind(
        "source unreachable",
        "failure",
        "Check that the database runs and can be reached from this machine: exporter doctor.",
    ),
    "broken_definition": Kind(
        "broken definition",
        "failure",
        "Correct the file at the line that is named, check it with exporter doctor, then press "
        "Reload definitions in the Catalog. Other datasets are exported as before "
        "(docs/failures.md).",
        _DATASET,
    ),
    "sensor_failing": Kind(
        "sensor failing",
        "failure",
        "Open the sensor under Automation: each failed tick has its error. Until a tick succeeds, "
        "the sensor does nothing.",
        "/automation",
    ),
    "low_disk": Kind(
        "low disk space",
        "failure",
        "Free some space: exporter prune, or see docs/operations.md#files-and-folders.",
        "/assets",
    ),
}
"""Name -> kind, those of a run worst first; docs/alerts.md has a row for each."""
