"""Is a day like the days before it? Warns, and never holds a day.

Each quantity is compared with the second smallest and the second largest of the trailing 14 days.
Fourteen days hold each weekday twice, so quiet Sundays and empty holidays are part of what is
usual, and a single odd day among them widens nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.contracts.tally import UNNAMED_VALUE
from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.engine.trailing_days import TRAILING_DAYS, DayNumbers

NEEDED_DAYS = 7
"""Published days before a day is compared at all."""
NEEDED_ROWS = 100
"""Rows below which a day has no meaningful shares."""

VOLUME_FACTOR, VOLUME_ROWS = 2, 10
"""Outside [low / factor - rows, high * factor + rows] a volume is unusual."""
MIN_POINTS, MAX_POINTS = 1.0, 5.0
"""A share may lie half of the usual share outside, at least 1 and at most 5 percentage points."""
SIGMAS = 3
"""And always as far as chance alone takes a sample of that many rows."""


def judge_drift(
    columns: Sequence[Column], today: DayNumbers, before: Sequence[DayNumbers]
) -> list[Verdict]:
    """The verdicts on a day by the days before it, in the order of `judge.CHECKS`.

    Args:
        columns: Of the dataset's schema.
        today: The day.
        before: Published ones of the 14 days before it.
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
    how = "usual" if passed else "far fewer than usual" if today.rows < low else "far more"
    reason = f"{today.rows} rows, {how}: the {len(before)} days before have {low:g} to {high:g}."
    numbers: dict[str, float | int] = {"rows": today.rows, "usual_low": low, "usual_high": high}
    return Verdict(check, passed, "WARN", reason, numbers)


def _null_rates(
    columns: Iterable[Column], today: DayNumbers, before: Sequence[DayNumbers]
) -> Verdict:
    def null_pct(day: DayNumbers, column: str) -> float | None:
        complete = day.metrics.get(f"completeness_pct.{column}")
        return None if complete is None else 100 - complete

    names = [column.name for column in columns]
    days = [day for day in before if day.rows_read >= NEEDED_ROWS]
    return _shares("null_rate_drift", "null", names, null_pct, today, today.rows_read, days)


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
    return _shares("value_mix_drift", "share", names, value_pct, today, today.rows_exported, days)


def _shares(
    check: str,
    what: str,
    names: Iterable[str],
    pct: Callable[[DayNumbers, str], float | None],
    today: DayNumbers,
    rows: int,
    days: Sequence[DayNumbers],
) -> Verdict:
    """Compare a percentage per name; `rows` is its base today, `days` those with enough rows."""
    if rows < NEEDED_ROWS:
        reason = f"Not compared: {rows} rows are too few, {NEEDED_ROWS} are needed."
        return Verdict(check, True, "WARN", reason)
    if len(days) < NEEDED_DAYS:
        return _too_few(check, days, f" with {NEEDED_ROWS} rows or more")
    odd, numbers = [], {}
    for name in names:
        now = pct(today, name)
        past = [value for day in days if (value := pct(day, name)) is not None]
        if now is None or len(past) < NEEDED_DAYS:
            continue  # a column that came with a newer schema
        low, high = _usual(past)
        numbers[f"{what}_pct.{name}"] = round(now, 4)
        if not low - _tolerance(low, rows) <= now <= high + _tolerance(high, rows):
            odd.append(f"{name} {now:.1f} % (usual: {low:.1f} to {high:.1f} %)")
    reason = f"{what.capitalize()} like the {len(days)} days before."
    if odd:
        reason = f"{what.capitalize()} unlike the {len(days)} days before: {', '.join(odd)}."
    return Verdict(check, not odd, "WARN", reason, numbers)


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
    reason = f"None of the {len(before)} days before has {listed}." if new else "Nothing new."
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
    """How many percentage points a share may lie outside what is usual."""
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
