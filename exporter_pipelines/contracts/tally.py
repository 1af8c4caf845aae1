"""The counts of a day; every row that was read is accounted for here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

UNNAMED_VALUE = "(other)"
"""Counted in `Tally.values` for each value that the schema does not list: it is row content."""


@dataclass
class Tally:
    """Counts of one day, added up batch by batch.

    Attributes:
        source_rows: Rows that the database counted in the same snapshot.
        rows_read: Rows that arrived.
        rows_exported: Rows written to the data files.
        rows_rejected: Rows written to the quarantine, each counted once.
        rows_tolerated: Rejected rows that broke only rules with the threshold `warn`.
        rows_filtered: Rows left out by a named filter: name -> rows.
        rows_erased: Rows left out because of an erasure: id of its request -> rows.
        values_erased: Texts in which an erased subject was redacted: id of the request -> texts.
        rows_outside_window: Rows read whose time is not in the day; anything but 0 is a bug.
        key_was_transformed: Whether a transform changed the key of a row.
        repeated_keys: Rows whose key another row of the day also has, less one for each such key.
        unreadable_times: See `contracts.source.DaySnapshot`; not among the rows of the day.
        nulls: Exported column -> nulls in the data files.
        failures: (rule, column) -> rows that broke the rule.
        changed: Rule -> values that it changed.
        filled: Column -> missing values that got the column's default.
        values: (column, value) -> exported rows with it, for columns whose schema lists values.
    """

    source_rows: int = 0
    rows_read: int = 0
    rows_exported: int = 0
    rows_rejected: int = 0
    rows_tolerated: int = 0
    rows_filtered: Counter[str] = field(default_factory=Counter)
    rows_erased: Counter[str] = field(default_factory=Counter)
    values_erased: Counter[str] = field(default_factory=Counter)
    rows_outside_window: int = 0
    key_was_transformed: bool = False
    repeated_keys: int = 0
    unreadable_times: int = 0
    nulls: Counter[str] = field(default_factory=Counter)
    failures: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    values: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add the counts of another day."""
        for each in fields(self):
            mine, others = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, Counter):
                mine.update(others)  # unlike `+=`, keeps counters of 0
            elif isinstance(mine, bool):
                setattr(self, each.name, mine or others)
            else:
                setattr(self, each.name, mine + others)

    @property
    def rejected_pct(self) -> float:
        """Rejected rows in percent of the rows read; 0 for an empty day."""
        return 100 * self.rows_rejected / self.rows_read if self.rows_read else 0.0

    @property
    def rows_against_limits(self) -> int:
        """Rejected rows that count toward holding the day."""
        return self.rows_rejected - self.rows_tolerated

    @property
    def rows_unaccounted(self) -> int:
        """Rows that the source has and that are not accounted for."""
        kept = self.rows_accounted
        return max(abs(self.source_rows - kept), abs(self.rows_read - kept))

    @property
    def rows_accounted(self) -> int:
        """Rows that are exported, rejected, filtered or erased."""
        left_out = self.rows_filtered.total() + self.rows_erased.total()
        return self.rows_exported + self.rows_rejected + left_out

    def quality_metrics(self) -> dict[str, float | int]:
        """Flat name -> number, for the manifest and for the plots of the UI.

        `completeness_pct` and `completeness_pct.<column>` describe the data files. They are absent
        on a day without exported rows: there is nothing to measure.
        """
        metrics: dict[str, float | int] = {
            "rejected_pct": round(self.rejected_pct, 4),
            "validity_pct": round(100 - self.rejected_pct, 4),
            "repeated_keys": self.repeated_keys,
            "rows_outside_window": self.rows_outside_window,
            "rows_unaccounted": self.rows_unaccounted,
        }
        if self.rows_exported:
            cells = self.rows_exported * max(len(self.nulls), 1)
            metrics["completeness_pct"] = completeness_pct(self.nulls.total(), cells)
            for column, nulls in self.nulls.items():
                metrics[f"completeness_pct.{column}"] = completeness_pct(nulls, self.rows_exported)
        for name, count in sorted(self.rows_filtered.items()):
            metrics[f"filtered.{name}"] = count
        for rule, count in sorted(self.changed.items()):
            metrics[f"changed.{rule}"] = count
        for column, count in self.filled.items():
            metrics[f"filled.{column}"] = count
        for (column, value), count in self.values.items():
            metrics[f"values.{column}.{value}"] = count
        return metrics


def completeness_pct(nulls: int, values: int) -> float:
    """The percentage of values that are not null, as manifests state it."""
    return round(100 * (1 - nulls / values), 4)
