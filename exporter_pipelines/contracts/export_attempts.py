"""The results of exports: published days from their manifests, attempts from Dagster's runs.

Belongs here: the data of the export report. No row content.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["published", "held", "failed", "cancelled", "running", "queued"]


@dataclass(frozen=True)
class DaySummary:
    """One published day, as its manifest describes it.

    Attributes:
        dataset, day: Identify the export.
        rows_read, rows_exported, rows_rejected, rows_filtered: Counts.
        size_bytes: Of the data files.
        duration_s: Seconds that staging took.
        completeness_pct: Share of values that are not null; None for a day without rows.
        repeated_keys: Rows whose key another row has.
        rejected: Rule -> rows that broke it, over all columns.
        files: Names of the data files.
        run_id: The run that published it.
        published_at: When it did.
    """

    dataset: str
    day: str
    rows_read: int
    rows_exported: int
    rows_rejected: int
    rows_filtered: int
    size_bytes: int
    duration_s: float
    completeness_pct: float | None
    repeated_keys: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    run_id: str = ""
    published_at: dt.datetime | None = None

    @property
    def valid_pct(self) -> float | None:
        """Share of the rows read that were not rejected; None for a day without rows."""
        return 100 * (1 - self.rows_rejected / self.rows_read) if self.rows_read else None


@dataclass(frozen=True)
class StorageUse:
    """Bytes below a dataset's folder: data, quarantine, and work in progress or replaced days."""

    dataset: str
    data_bytes: int
    quarantine_bytes: int
    other_bytes: int

    @property
    def total_bytes(self) -> int:
        """Sum of all three."""
        return self.data_bytes + self.quarantine_bytes + self.other_bytes


@dataclass(frozen=True)
class Attempt:
    """One dataset's day in one run.

    Attributes:
        dataset, day: What was exported.
        status: The result.
        rows: Rows exported; None unless published.
        reason: Why it was held or failed, if the run recorded it.
    """

    dataset: str
    day: str
    status: Status
    rows: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class ExportedRun:
    """A run that was to export days.

    Attributes:
        run_id: The run.
        started_at, ended_at: UTC.
        attempts: Its days.
        output: Where it exported to; None if it does not say so.
    """

    run_id: str
    started_at: dt.datetime
    ended_at: dt.datetime | None
    attempts: tuple[Attempt, ...]
    output: str | None = None


@dataclass(frozen=True)
class DayWarning:
    """A check that warned about a published day.

    Attributes:
        dataset, day: The published day.
        check: Name of the check.
        reason: One sentence, with the numbers.
    """

    dataset: str
    day: str
    check: str
    reason: str
