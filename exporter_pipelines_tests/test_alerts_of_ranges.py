"""One alert about all days of a run, and one message when they are resolved."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import dagster as dg
import pytest

from exporter_pipelines import settings as settings_module
from exporter_pipelines.definitions import build
from exporter_pipelines.notifications.message import Problem, alert, resolution
from exporter_pipelines_tests.support.alerting import Alerting
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.definitions import copy_definitions, use_definitions

LINK = "http://ui/runs/1"


def titles(alerting: Alerting) -> list[str]:
    return [post["title"].removeprefix("[exporter] ") for post in alerting.received()]


def days(first: int, last: int) -> list[str]:
    return [f"2026-11-{day:02}" for day in range(first, last + 1)]


@pytest.fixture
def held(alerting: Alerting, backend: Backend) -> Alerting:
    """Held: all days but the 5th from the 1st to the 14th, with 20 to 33 rows each."""
    for number, day in enumerate(days(1, 14)):
        backend.add_logs(day, 20 + number, first_id=100 * number)
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date <> '2026-11-05'")
    alerting.run("2026-11-01", "2026-11-14")
    return alerting


def test_a_range_sends_one_message_with_its_days_grouped(held: Alerting) -> None:
    [sent] = held.received()
    assert sent["title"] == "[exporter] logs 13 days: held"
    assert (
        "Why: 2026-11-01 to 2026-11-04, 2026-11-06 to 2026-11-14: 20 to 33 of 20 to 33 rows "
        "rejected (100.00 %): 20 to 33 x known_level (level). The rejected rows are more than "
        "max_rejected_rows=10 and max_rejected_pct=1 allow." in sent["message"]
    )
    assert "These days have no published export." in sent["message"]


def test_days_that_a_threshold_holds_are_not_told_to_raise_the_limits(
    alerting: Alerting, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_definitions(tmp_path / "defs")
    file = tmp_path / "defs" / "logs" / "defs.yaml"
    changed = "  thresholds: {known_level: hold}\n  format: jsonl"
    file.write_text(file.read_text().replace("  format: jsonl", changed))
    use_definitions(tmp_path / "defs", monkeypatch)
    alerting.repository = build(for_ui=False).get_repository_def()
    backend.add_logs("2026-11-01", 5, first_id=100)
    backend.run("UPDATE logs SET level = 'odd' WHERE id = 100")
    alerting.run("2026-11-01")
    [sent] = alerting.received()
    assert "change `hold` of the rule in `thresholds` there" in sent["message"]
    assert "raise max_rejected_rows" not in sent["message"]


def test_a_range_is_resolved_once_when_all_its_days_are(held: Alerting, backend: Backend) -> None:
    assert len(held.received()) == 1
    backend.run("UPDATE logs SET level = 'INFO'")
    held.run("2026-11-01", "2026-11-02")
    assert titles(held) == []
    held.run("2026-11-03", "2026-11-14")
    [sent] = held.received()
    assert sent["title"] == "[exporter] logs 13 days: resolved"
    named = "Resolved: held (2026-11-01 to 2026-11-04, 2026-11-06 to 2026-11-14)."
    assert named in sent["message"]


def test_a_day_that_is_held_again_is_not_reported_as_resolved(
    held: Alerting, backend: Backend
) -> None:
    assert len(held.received()) == 1
    backend.run("UPDATE logs SET level = 'INFO'")
    held.run("2026-11-01")
    assert titles(held) == []
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = '2026-11-01'")
    held.run("2026-11-01")
    [again] = held.received()
    assert again["title"] == "[exporter] logs 2026-11-01: held"
    assert "The published export of 20" in again["message"]
    held.run("2026-11-02", "2026-11-14")
    assert titles(held) == ["logs 12 days: resolved"]
    backend.run("UPDATE logs SET level = 'INFO'")
    held.run("2026-11-01")
    assert titles(held) == ["logs 2026-11-01: resolved"]


def test_a_day_that_is_recorded_without_a_run_is_resolved(held: Alerting) -> None:
    """As when its published export is kept, or a killed run had published it."""
    assert len(held.received()) == 1
    for day in (*days(1, 4), *days(6, 14)):
        kept = dg.AssetMaterialization("logs", partition=day)
        held.instance.report_runless_asset_event(kept)
    assert titles(held) == ["logs 13 days: resolved"]


def test_held_and_warned_days_are_counted_apart(alerting: Alerting, backend: Backend) -> None:
    for day in days(1, 11):
        number = int(day[-2:])
        backend.add_logs(day, 5 if number == 8 else 100, first_id=1000 * number)
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp >= '2026-11-09'")
    alerting.run("2026-11-01", "2026-11-11")
    [sent] = alerting.received()
    assert sent["title"] == "[exporter] logs 3 days: held; logs 2026-11-08: check failed"
    assert sent["type"] == "failure"
    first, second = sent["message"].split("logs 2026-11-08: check failed\n")
    assert "2026-11-09 to 2026-11-11: 100 of 100 rows rejected" in first
    assert second.startswith("row_count_drift: 5 rows")


def test_warnings_about_history_are_quiet_and_held_days_are_not(
    alerting: Alerting, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in days(1, 9):
        number = int(day[-2:])
        backend.add_logs(day, 5 if number == 8 else 100, first_id=1000 * number)
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp >= '2026-11-09'")
    backend.run("UPDATE logs SET level = 'odd' WHERE id IN (7000, 7001, 7002, 7003)")
    monkeypatch.setattr(settings_module, "today", lambda: dt.date(2029, 11, 10))
    alerting.run("2026-11-01", "2026-11-09")
    assert titles(alerting) == ["logs 2026-11-09: held"]
    # The last day of the window of seven days is not history.
    monkeypatch.setattr(settings_module, "today", lambda: dt.date(2026, 11, 15))
    alerting.run("2026-11-01", "2026-11-08")
    assert titles(alerting) == ["logs 2026-11-08: check failed"]


def test_a_year_with_many_reasons_has_a_bounded_message() -> None:
    year = [str(dt.date(2026, 1, 1) + dt.timedelta(days=number)) for number in range(365)]
    found = [(day, f"{'x' * (number + 5)} is odd") for number, day in enumerate(year[::9])]
    sent = alert([Problem("day_held", "logs", found, todo=["y" * 900])], LINK)
    assert sent.title == "[exporter] logs 41 days: held"
    assert len(sent.body) <= 1800
    body, tail = sent.body.split("\nSee: ")
    assert tail.startswith(f"{LINK}\nWhat to do: y")
    listed = [line for line in body.splitlines() if "is odd" in line]
    more = body.splitlines()[-1]
    assert more == f"and {41 - len(listed)} more days"
    assert len(listed) > 10


def test_many_problems_have_a_bounded_message() -> None:
    problems = [
        Problem(kind, f"dataset_{number}", [(day, f"{day} {number}: " + 1000 * "x")], note="Note.")
        for number in range(10)
        for kind in ("check_failed", "day_held", "run_failed")
        for day in days(1, 30)[number : number + 1]
    ]
    sent = alert(problems, LINK)
    assert sent.title.startswith("[exporter] dataset_0 2026-11-01: held; dataset_1")
    assert sent.title.endswith("; and 27 more problems")
    assert len(sent.body) <= 1800
    assert "and 25 more problems\n" in sent.body
    over = resolution([(each.kind, each.subject, days(1, 3)) for each in problems], LINK)
    assert len(over.body) <= 1800
    assert over.title.endswith("and 7 more subjects: resolved")


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["5 of 9 rows", "7 of 9 rows"], ["2026-11-01, 2026-11-02: 5 to 7 of 9 rows"]),
        (["1,200 rows", "900.5 rows"], ["2026-11-01, 2026-11-02: 900.5 to 1,200 rows"]),
        (["2026-11-01 is odd", "2026-11-02 is odd"], ["2026-11-01, 2026-11-02: that day is odd"]),
        (["see /a/1", "see /a/2"], ["2026-11-01: see /a/1", "2026-11-02: see /a/2"]),
        (["10.0.0.1:1", "10.0.0.2:1"], ["2026-11-01: 10.0.0.1:1", "2026-11-02: 10.0.0.2:1"]),
    ],
    ids=["counts", "decimals", "the day itself", "paths", "addresses"],
)  # fmt: skip
def test_days_with_the_same_reason_but_for_numbers_are_one_line(
    reasons: list[str], expected: list[str]
) -> None:
    found = list(zip(days(1, 2), reasons, strict=True))
    lines = alert([Problem("day_held", "logs", found)], LINK).body.splitlines()
    assert [line.removeprefix("Why: ") for line in lines if line != "Why:"][: len(expected)] == (
        expected
    )
