"""Decides whether a staged day may be published.

It only computes on the tally; the verdicts become asset checks in Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.contracts.tally import Tally
from exporter_pipelines.engine.actions import ABOVE_LIMITS, RULES_THAT_HOLD

CHECKS = {
    "rejected_rows": "Rows that broke a rule and were quarantined. Warns if there are any. The day "
    "is held if they exceed both limits of the dataset.",
    "rejection_limits": "Fails if rejected rows exceed both limits of the dataset, or if any row "
    "breaks a `hold` rule. Fails only for held days, so that they stand out: Dagster shows "
    "warnings in red as well.",
    "required_fields": "Rows without a value in a required column. They are rejected.",
    "repeated_keys": "Rows that repeat the key of another row of the day. They are exported.",
    "rows_outside_window": "Rows read whose time lies outside the day. Must be 0.",
    "rows_outside_every_day": "Rows of the table that belong to no day that can be exported: "
    "without a time, with an infinite or unreadable one, before the first or after the last day. "
    "Counted once in a run. Warns about the first three. The day is held if an unreadable time "
    "begins with its date, or if no row of the table has a usable time.",
    "row_conservation": "Rows counted by the source, compared with rows exported, rejected, "
    "filtered and erased. The numbers must match.",
    "no_lost_rows": "Rows of the published export that the source does not have any more. Rows "
    "that moved to another day do not count. Warns if rows are gone. The day is held, and the "
    "published export stays, if they exceed both limits of the dataset, or if the source has no "
    "row of the day left, unless the run config accepts the loss.",
    "same_source": "The database that the day comes from, compared with the one of the earlier "
    "exports. Warns about another database. The day is held if it has less than 90 % of the rows "
    "of the published export.",
    "source_unchanged": "Whether the source still has the rows that were exported. "
    "`late_data_sensor` checks it again after the export, once it is switched on. Warns if rows "
    "were added, changed or deleted.",
    "row_count_drift": "Rows of the day, compared with the 14 days before. Warns about far fewer "
    "or far more rows.",
    "null_rate_drift": "Share of rows without a value in each column, compared with the 14 days "
    "before. Warns about a far lower or far higher share.",
    "value_mix_drift": "Share of each value in columns with a fixed set of values, such as the "
    "level of a log record, compared with the 14 days before. Warns about a far lower or far "
    "higher share.",
    "new_values": "Values that none of the 14 days before had, in columns with a fixed set of "
    "values. Warns if there are any.",
}
"""Name -> what it judges. Each is named after the quantity."""

PRIVACY_CHECKS = {
    "no_raw_identifiers": "Raw values that the privacy policy removes, and whatever looks like an "
    "identifier, in the files of the day. The day is held if any is found, unless the policy "
    "says `leak_check: warn`.",
}
"""Checks of datasets with a privacy policy."""

HOLDING = (
    "rejection_limits",
    "rows_outside_window",
    "rows_outside_every_day",
    "row_conservation",
    "no_lost_rows",
    "same_source",
    "no_raw_identifiers",
)
"""Checks whose failure holds the day. `rejected_rows` is an ERROR only if one of them fails."""


def checks_of(config: DatasetConfig) -> dict[str, str]:
    """The checks of a dataset: name -> what it judges."""
    return CHECKS if config.privacy is None else {**CHECKS, **PRIVACY_CHECKS}


@dataclass(frozen=True)
class Verdict:
    """One judgement on one day.

    Attributes:
        check: A name in `CHECKS`.
        passed: Whether the quantity is as it should be.
        severity: Of a failure: `ERROR` holds the day, `WARN` does not.
        reason: One sentence, with the numbers.
        numbers: For the metadata of the check.
    """

    check: str
    passed: bool
    severity: Literal["WARN", "ERROR"]
    reason: str
    numbers: dict[str, float | int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the day must not be published."""
        return not self.passed and self.severity == "ERROR"


def judge(dataset: Dataset, tally: Tally) -> list[Verdict]:
    """Verdicts on the day alone, in the order of `CHECKS`; `drift.judge_drift` compares days."""
    limits = _rejection_limits(dataset.config, tally)
    return [
        _rejected_rows(tally, limits),
        limits,
        _required_fields(tally),
        _count_verdict(
            "repeated_keys",
            tally.repeated_keys,
            "WARN",
            f"repeat the key {dataset.config.source.key}",
        ),
        _count_verdict(
            "rows_outside_window", tally.rows_outside_window, "ERROR", "lie outside the day"
        ),
        _row_conservation(tally),
        # True at the time of the export; `late_data_sensor` checks it again later.
        Verdict("source_unchanged", True, "WARN", "The source was just read.", {"rows_more": 0}),
    ]


def _rejected_rows(tally: Tally, limits: Verdict) -> Verdict:
    worst = [
        f"{count} x {rule}" + (f" ({column})" if column else "")
        for (rule, column), count in tally.failures.most_common()
        if count
    ]
    reason = (
        f"{tally.rows_rejected} of {tally.rows_read} rows rejected ({tally.rejected_pct:.2f} %)"
    )
    if worst:
        reason += ": " + ", ".join(worst)
    numbers: dict[str, float | int] = {
        "rows_read": tally.rows_read,
        "rows_rejected": tally.rows_rejected,
        "rejected_pct": round(tally.rejected_pct, 4),
    }
    for (rule, column), count in tally.failures.items():
        if count:
            numbers[f"failed.{rule}" + (f".{column}" if column else "")] = count
    causes = (RULES_THAT_HOLD, ABOVE_LIMITS)
    numbers |= {name: limits.numbers[name] for name in causes if name in limits.numbers}
    passed = tally.rows_rejected == 0
    return Verdict(
        "rejected_rows", passed, "ERROR" if limits.holds else "WARN", reason + ".", numbers
    )


def above_limits(config: DatasetConfig, rejected: int, rows_read: int) -> bool:
    """Whether rejected rows that count are above both limits."""
    rejected_pct = 100 * rejected / rows_read if rows_read else 0.0
    return rejected > config.max_rejected_rows and rejected_pct > config.max_rejected_pct


def _rejection_limits(config: DatasetConfig, tally: Tally) -> Verdict:
    counted = tally.rows_against_limits
    counted_pct = 100 * counted / tally.rows_read if tally.rows_read else 0.0
    above = above_limits(config, counted, tally.rows_read)
    holding = {
        rule: count
        for (rule, _), count in tally.failures.items()
        if count and rule in config.rules_that("hold")
    }
    limits = (
        f"max_rejected_rows={config.max_rejected_rows} and "
        f"max_rejected_pct={config.max_rejected_pct:g}"
    )
    # Where a day is held, these follow the sentence of rejected_rows.
    reasons = [f"A single row that breaks {rule} holds the day." for rule in holding]
    if above or not holding:
        reasons.append(
            f"The rejected rows are more than {limits} allow."
            if above
            else f"The rejected rows are within {limits}."
        )
    numbers: dict[str, float | int] = {
        "rows_rejected": tally.rows_rejected,
        "rows_tolerated": tally.rows_tolerated,
        "counted_pct": round(counted_pct, 4),
        "max_rejected_rows": config.max_rejected_rows,
        "max_rejected_pct": config.max_rejected_pct,
    }
    if holding:
        numbers |= {RULES_THAT_HOLD: len(holding), ABOVE_LIMITS: int(above)}
    passed = not above and not holding
    return Verdict("rejection_limits", passed, "ERROR", " ".join(reasons), numbers)


def _required_fields(tally: Tally) -> Verdict:
    missing = {
        column: count
        for (rule, column), count in tally.failures.items()
        if rule == "required" and count
    }
    listed = ", ".join(f"{column}: {count}" for column, count in missing.items())
    reason = f"Rows without a required value: {listed}." if missing else "No value is missing."
    numbers: dict[str, float | int] = {f"missing.{c}": count for c, count in missing.items()}
    return Verdict("required_fields", not missing, "WARN", reason, numbers)


def _count_verdict(
    check: str, count: int, severity: Literal["WARN", "ERROR"], predicate: str
) -> Verdict:
    return Verdict(check, count == 0, severity, f"{count} rows {predicate}.", {check: count})


def _row_conservation(tally: Tally) -> Verdict:
    numbers: dict[str, float | int] = {
        "source_rows": tally.source_rows,
        "rows_read": tally.rows_read,
        "rows_exported": tally.rows_exported,
        "rows_rejected": tally.rows_rejected,
        "rows_filtered": tally.rows_filtered.total(),
        "rows_unaccounted": tally.rows_unaccounted,
    }
    if erased := tally.rows_erased.total():
        numbers["rows_erased"] = erased
    return Verdict(
        "row_conservation",
        tally.rows_unaccounted == 0,
        "ERROR",
        f"{tally.source_rows} rows in the source, {tally.rows_read} read, "
        f"{tally.rows_accounted} accounted for.",
        numbers,
    )
