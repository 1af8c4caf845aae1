"""Compares a day with the days before it; warns, and never holds a day.

Each quantity is compared with the second smallest and the second largest of the trailing 14 days.
Fourteen days contain each weekday twice, so quiet Sundays count as usual; a single unusual day
does not widen the range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.contracts.tally import UNNAMED_VALUE
from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.engine.trailing_days import TRAILING_DAYS, DayNumbers

NEEDED_DAYS = 7
"""Published days that a comparison needs."""
NEEDED_ROWS = 100
"""Rows that a day needs for meaningful shares."""

VOLUME_FACTOR, VOLUME_ROWS = 2, 10
"""Outside [low / factor - rows, high * factor + rows] a volume is unusual."""
MIN_POINTS, MAX_POINTS = 1.0, 5.0
"""A share may leave the usual range by half of the usual share: 1 to 5 percentage points."""
SIGMAS = 3
"""Standard errors of a share of that many rows that are always tolerated."""


def judge_drift(
    columns: Sequence[Column], today: DayNumbers, before: Sequence[DayNumbers]
) -> list[Verdict]:
    """Compare a day with the days before it; verdicts in the order of `judge.CHECKS`.

    Args:
        columns: Of the dataset's schema.
        today: The day to judge.
        before: The published days among the 14 days before it.
    """
    enumerated = [column for column in columns if column.values]
    return [
        _row_count(today, before),
        _null_rates(columns, today, before),
        _value_mix(enumerated, today, before),
        _new_values(enumerated, today, before),
    ]


def _row_count(today: DayNumbers, before: Sequence[DayNumbers]) -> Verdict:
    check = "row_count_drift"
    if len(before) < NEEDED_DAYS:
        return _too_few(check, before)
    low, high = _usual([day.rows for day in before])
    low_limit = low / VOLUME_FACTOR - VOLUME_ROWS
    high_limit = high * VOLUME_FACTOR + VOLUME_ROWS
    passed = low_limit <= today.rows <= high_limit
    how = "usual"
    if not passed:
        how = f"far {'fewer' if today.rows < low else 'more'} than usual"
    most = f"most of the {len(before)} days before have {low:g} to {high:g}"
    reason = f"{today.rows} rows, {how}: {most}."
    numbers: dict[str, float | int] = {"rows": today.rows, "usual_low": low, "usual_high": high}
    return Verdict(check, passed, "WARN", reason, numbers)


def _null_rates(
    columns: Iterable[Column], today: DayNumbers, before: Sequence[DayNumbers]
) -> Verdict:
    def null_pct(day: DayNumbers, column: str) -> float | None:
        complete = day.metrics.get(f"completeness_pct.{column}")
        return None if complete is None else 100 - complete

    names = [column.name for column in columns]
    days = [day for day in before if day.rows_exported >= NEEDED_ROWS]
    return _shares(
        "null_rate_drift", "null", "Share of nulls", names, null_pct, today,
        today.rows_exported, days,
    )  # fmt: skip


def _value_mix(
    enumerated: Iterable[Column], today: DayNumbers, before: Sequence[DayNumbers]
) -> Verdict:
    def value_pct(day: DayNumbers, name: str) -> float | None:
        count = day.metrics.get(f"values.{name}")
        return None if count is None else 100 * count / day.rows_exported

    names = [f"{column.name}.{value}" for column in enumerated for value in column.values]
    if not names:
        return _no_sets("value_mix_drift")
    days = [day for day in before if day.rows_exported >= NEEDED_ROWS]
    return _shares(
        "value_mix_drift", "share", "Share of values", names, value_pct, today,
        today.rows_exported, days,
    )  # fmt: skip


def _shares(
    check: str,
    prefix: str,
    what: str,
    names: Iterable[str],
    pct: Callable[[DayNumbers, str], float | None],
    today: DayNumbers,
    rows: int,
    days: Sequence[DayNumbers],
) -> Verdict:
    """Compare a percentage per name; `rows` is its base today, `days` have enough rows.

    `prefix` begins the names in the metadata, `what` begins the reason.
    """
    if rows < NEEDED_ROWS:
        reason = f"Not compared: {rows} rows are too few, {NEEDED_ROWS} are needed."
        return Verdict(check, True, "WARN", reason)
    if len(days) < NEEDED_DAYS:
        return _too_few(check, days, f" with {NEEDED_ROWS} rows or more")
    unusual, numbers = [], {}
    for name in names:
        now = pct(today, name)
        past = [value for day in days if (value := pct(day, name)) is not None]
        if now is None or len(past) < NEEDED_DAYS:
            continue  # a column that older exports do not have
        low, high = _usual(past)
        numbers[f"{prefix}_pct.{name}"] = round(now, 4)
        if not low - _tolerance(low, rows) <= now <= high + _tolerance(high, rows):
            unusual.append(f"{name} {now:.1f} % (usual: {low:.1f} to {high:.1f} %)")
    reason = f"{what} as on the {len(days)} days before."
    if unusual:
        reason = f"{what} differs from the {len(days)} days before: {', '.join(unusual)}."
    return Verdict(check, not unusual, "WARN", reason, numbers)


def _new_values(
    enumerated: Sequence[Column], today: DayNumbers, before: Sequence[DayNumbers]
) -> Verdict:
    check = "new_values"
    if not enumerated:
        return _no_sets(check)
    if len(before) < NEEDED_DAYS:
        return _too_few(check, before)
    new = {}
    for column in enumerated:
        for value in (*column.values, UNNAMED_VALUE):
            name = f"values.{column.name}.{value}"
            if today.metrics.get(name) and not any(day.metrics.get(name) for day in before):
                new[f"{column.name}.{value}"] = today.metrics[name]
    listed = ", ".join(f"{name} in {count} rows" for name, count in new.items())
    reason = f"Not on the {len(before)} days before: {listed}." if new else "No new values."
    return Verdict(
        check,
        not new,
        "WARN",
        reason,
        {"new_values": len(new), **{f"rows.{n}": c for n, c in new.items()}},
    )


def _usual(values: Iterable[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[1], ordered[-2]


def _tolerance(pct: float, rows: int) -> float:
    """How many percentage points a share may lie outside the usual range."""
    points = min(max(pct / 2, MIN_POINTS), MAX_POINTS)
    share = min(max(pct / 100, 0.01), 0.99)
    return max(points, SIGMAS * 100 * math.sqrt(share * (1 - share) / rows))


def _too_few(check: str, before: Sequence[DayNumbers], kind: str = "") -> Verdict:
    reason = (
        f"Not compared yet: {len(before)} of the {TRAILING_DAYS} days before are published{kind}, "
        f"{NEEDED_DAYS} are needed."
    )
    return Verdict(check, True, "WARN", reason, {"days_before": len(before)})


def _no_sets(check: str) -> Verdict:
    reason = "Not compared: the schema has no column with a set of values (docs/quality.md)."
    return Verdict(check, True, "WARN", reason)
