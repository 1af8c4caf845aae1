"""A day against the 14 days before it: what warns, and what is as usual."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from exporter_pipelines.engine.drift import judge_drift
from exporter_pipelines.engine.trailing_days import DayNumbers, TrailingDays
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import materializations
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.runs import Runner

DAYS = [f"2026-11-{day:02}" for day in range(1, 15)]
DRIFT = ("row_count_drift", "null_rate_drift", "value_mix_drift", "new_values")


def evaluations(result: Any) -> dict[tuple[str, str], Any]:
    found = [
        e.event_specific_data
        for e in result.all_events
        if e.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    return {(e.partition, e.check_name): e for e in found if e.partition}


def test_days_that_are_unlike_those_before_warn_and_are_published(
    settings: dict[str, str], backend: Backend
) -> None:
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 200, first_id=number * 10_000)
        backend.run(
            "UPDATE logs SET level = 'ERROR' WHERE mod(id, 10) = 0 AND timestamp::date = %s", [day]
        )
    rare = "mod(id, 50) = 1 AND timestamp::date = %s"
    backend.run(f"UPDATE logs SET level = 'CRITICAL' WHERE {rare}", [DAYS[9]])
    backend.run(
        "UPDATE logs SET level = 'ERROR' WHERE mod(id, 3) = 0 AND timestamp::date = %s", [DAYS[10]]
    )
    backend.run(
        "UPDATE logs SET device = NULL WHERE mod(id, 2) = 0 AND timestamp::date = %s", [DAYS[11]]
    )
    backend.add_logs(DAYS[12], 900, first_id=900_000)
    runner = Runner([dataset()])
    result = runner.run("logs", DAYS[0], DAYS[13])
    assert result.success
    found = evaluations(result)
    warned = {key for key, e in found.items() if key[1] in DRIFT and not e.passed}
    assert warned == {
        (DAYS[9], "new_values"),
        (DAYS[10], "value_mix_drift"),
        (DAYS[11], "null_rate_drift"),
        (DAYS[12], "row_count_drift"),
        (DAYS[12], "value_mix_drift"),  # the 900 rows are all INFO
    }
    assert {found[key].severity.value for key in warned} == {"WARN"}
    assert found[DAYS[9], "new_values"].description == (
        "Not on the 9 days before: level.CRITICAL in 4 rows."
    )
    assert found[DAYS[11], "null_rate_drift"].description == (
        "Share of nulls differs from the 11 days before: device 50.0 % (usual: 0.0 to 0.0 %)."
    )
    assert found[DAYS[6], "row_count_drift"].description == (
        "Not compared yet: 6 of the 14 days before are published, 7 are needed."
    )
    # The same day alone is judged alike.
    alone = runner.run("logs", DAYS[11])
    again = next(
        e.event_specific_data
        for e in alone.all_events
        if e.event_type_value == "ASSET_CHECK_EVALUATION"
        and e.event_specific_data.check_name == "null_rate_drift"
    )
    ranged = found[DAYS[11], "null_rate_drift"]
    assert (again.passed, again.description) == (False, ranged.description)
    assert again.metadata == ranged.metadata


def test_the_numbers_of_a_day_are_plotted(settings: dict[str, str], backend: Backend) -> None:
    backend.add_logs(DAYS[0], 50)
    backend.run("UPDATE logs SET level = 'odd' WHERE id = 1")
    backend.run("UPDATE logs SET device = NULL WHERE id <= 10")
    runner = Runner([dataset()])
    runner.run("logs", DAYS[0])
    [event] = materializations(runner.instance, "logs", DAYS[0])
    shown = {name: entry.value for name, entry in event.metadata.items()}
    expected = {
        "rows_read": 50, "rows_exported": 49, "rows_rejected": 1, "repeated_keys": 0,
        "rejected.known_level": 1, "rejected.required": 0, "values.level.INFO": 49,
        "values.level.ERROR": 0, "completeness_pct.device": 81.6327, "completeness_pct": 97.7041,
    }  # fmt: skip
    assert {name: shown.get(name) for name in expected} == expected
    assert {"size_bytes", "duration_s", "rows_per_s"} <= set(shown)


def test_a_value_outside_the_set_is_counted_but_never_named(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAYS[0], 3, level="alice@example.org")
    manifest = export(backend.url, dataset(validation="basic"), DAYS[0], store)
    values = {k: v for k, v in manifest.data_quality_metrics.items() if k.startswith("values.")}
    assert values == {
        **{f"values.level.{name}": 0 for name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")},
        "values.level.(other)": 3,
    }
    assert b"alice" not in manifest.to_json()


def test_days_that_are_missing_or_damaged_are_not_compared_with(
    backend: Backend, store: LocalStore
) -> None:
    for number, day in enumerate(DAYS[:3]):
        backend.add_logs(day, 2, first_id=number * 10)
        export(backend.url, dataset(), day, store)
    manifest = store.day_folder("logs", DAYS[1]) / "_manifest.json"
    manifest.write_text("{")
    assert len(TrailingDays(store, "logs").before(DAYS[9])) == 2
    assert TrailingDays(LocalStore(Path("/nowhere")), "logs").before(DAYS[9]) == []


def of_rows(rows: int, **metrics: float) -> DayNumbers:
    return DayNumbers(rows, rows, metrics)


def warned(before: Sequence[int], today: int) -> bool:
    verdicts = judge_drift([], of_rows(today), [of_rows(rows) for rows in before])
    return not verdicts[0].passed


@pytest.mark.parametrize(
    ("before", "today", "warns"),
    [
        ([1000] * 6, 0, False),  # too short a history
        ([1000] * 7, 0, True),
        ([1000] * 14, 510, False),
        ([1000] * 14, 480, True),
        ([1000] * 14, 2010, False),
        ([1000] * 14, 2011, True),
        ([1000] * 5 + [0] * 2 + [1000] * 5 + [0] * 2, 0, False),  # empty weekends
        ([1000] * 6 + [0] + [1000] * 6 + [0], 0, False),  # empty Sundays
        ([1000] * 6 + [9000] + [1000] * 6 + [9000], 9000, False),  # a weekly batch
        ([1000] * 13 + [90_000], 90_000, True),  # one odd day does not become usual
        ([1000] * 13 + [0], 0, True),
        ([0] * 14, 10, False),
        ([0] * 14, 11, True),
        ([3] * 14, 14, False),  # small numbers jump about
    ],
)
def test_what_is_a_usual_number_of_rows(before: list[int], today: int, warns: bool) -> None:
    assert warned(before, today) is warns


@pytest.mark.parametrize(
    ("usual", "today", "rows", "warns"),
    [
        (0.0, 0.9, 100_000, False),
        (0.0, 1.1, 100_000, True),
        (4.0, 5.9, 100_000, False),
        (4.0, 6.1, 100_000, True),
        (50.0, 54.9, 100_000, False),
        (50.0, 55.1, 100_000, True),
        (50.0, 44.9, 100_000, True),
        (50.0, 64.0, 100, False),  # as far as chance takes 100 rows
        (50.0, 66.0, 100, True),
        (50.0, 99.0, 99, False),  # too few rows for a share
    ],
)
def test_what_is_a_usual_share(usual: float, today: float, rows: int, warns: bool) -> None:
    columns = [column for column in dataset().schema.columns if column.name == "device"]
    name = "completeness_pct.device"
    past = [DayNumbers(1000, 1000, {name: 100 - usual})] * 14
    verdicts = judge_drift(columns, DayNumbers(rows, rows, {name: 100 - today}), past)
    [verdict] = [v for v in verdicts if v.check == "null_rate_drift"]
    assert verdict.passed is not warns
