"""What the charts of the report show: read from their drawings, and compared with the manifests."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from pathlib import Path

import pytest

from exporter_pipelines.contracts.export_attempts import DaySummary
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.orchestration.report.asset import NAME, export_report
from exporter_pipelines.reporting.numbers import Report
from exporter_pipelines.reporting.page import render
from exporter_pipelines.service.page.charts import safe_charts
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.charts import Values, charts, labelled_bars
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.runs import Runner

DAYS = [f"2026-11-{day:02}" for day in range(1, 9)]
ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT = DAYS
COLORS = {"logs": 1, "anomalies": 2}


@pytest.fixture
def html(settings: dict[str, str], backend: Backend) -> str:
    """A report of two datasets with a gap, held days, an empty day, and late data."""
    for number, day in enumerate((ONE, TWO, THREE, SIX, SEVEN)):
        backend.add_logs(day, 1000 + 37 * number, first_id=10_000 * number)
    backend.run("UPDATE logs SET level = 'odd' WHERE mod(id, 10000) < 4")
    backend.run("UPDATE logs SET message = NULL, ip = 'no address' WHERE mod(id, 10000) = 9")
    backend.run("UPDATE logs SET device = NULL WHERE mod(id, 7) = 0")
    backend.run(
        "INSERT INTO anomalies SELECT n, %s::timestamptz + n * interval '1 minute', 'brute_force', "
        "0.5, 'low', 'open', NULL, '10.0.0.1', '{}' FROM generate_series(1, 3000) n",
        [f"{ONE}T00:00:00Z"],
    )
    descriptions = dict.fromkeys(COLORS, "")
    report = export_report(descriptions, daily_partitions())
    runner = Runner([dataset(), dataset("anomalies")], [report])
    assert all(runner.run(name, ONE, THREE).success for name in COLORS)
    assert runner.run("logs", SIX, EIGHT).success  # a gap before it; the last day has no rows
    backend.add_logs(TWO, 500, first_id=90_000)  # late data
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date IN (%s, %s)", [THREE, FIVE])
    assert not runner.run("logs", TWO, THREE).success  # the older export of the third day stays
    assert runner.run(NAME, EIGHT).success
    return (Path(settings["EXPORTER_OUTPUT_URL"]) / "report" / "index.html").read_text()


@pytest.fixture
def manifests(settings: dict[str, str], html: str) -> dict[tuple[str, str], Manifest]:
    files = Path(settings["EXPORTER_OUTPUT_URL"]).glob("*/data/*/_manifest.json")
    found = [Manifest.from_json(file.read_bytes()) for file in files]
    return {(each.dataset, each.partition): each for each in found}


def sums(stacked: Values) -> dict[str, float]:
    """Day -> sum of the bars."""
    days = {day for values in stacked.values() for day in values}
    return {day: sum(values.get(day, 0) for values in stacked.values()) for day in days}


def test_every_charted_value_is_that_of_the_manifest(
    html: str, manifests: dict[tuple[str, str], Manifest]
) -> None:
    assert len(manifests) == 9
    assert manifests["logs", TWO].record_count == 1532
    of_exports_page = charts(str(safe_charts(html)))
    assert re.search(r"<li>as of 20\d\d-\d\d-\d\d \d\d:\d\d UTC</li>", str(safe_charts(html)))
    for shown in (charts(html), of_exports_page):
        for name in ("volume", "duration"):
            assert shown[name].tops == pytest.approx(sums(shown[name].stacked), abs=0.02)
        rules = labelled_bars(shown.pop("rules").svg)
        assert {name: chart.days for name, chart in shown.items()} == dict.fromkeys(
            ("volume", "validity", "completeness", "duration"), DAYS
        )
        assert shown["volume"].crosses == [THREE]
        for dataset_, color in COLORS.items():
            of = {day: each for (name, day), each in manifests.items() if name == dataset_}
            metrics = {day: each.data_quality_metrics for day, each in of.items()}
            rows = {day: each.record_count for day, each in of.items()}
            seconds = {day: each.run.duration_s for day, each in of.items()}
            valid = {day: found["validity_pct"] for day, found in metrics.items() if rows[day]}
            complete = {d: found["completeness_pct"] for d, found in metrics.items() if rows[d]}
            none = dict.fromkeys(DAYS, 0)
            assert shown["volume"].stacked[color] == pytest.approx(none | rows, abs=0.01)
            assert shown["duration"].stacked[color] == pytest.approx(none | seconds, abs=1e-5)
            assert shown["validity"].lines[color] == pytest.approx(valid, abs=1e-4)
            assert shown["completeness"].lines[color] == pytest.approx(complete, abs=1e-4)
        failed = Counter[str]()
        for (dataset_, _), each in manifests.items():
            for result in each.validation.rules:
                failed[f"{dataset_} \N{MIDDLE DOT} {result.rule}"] += result.failed
        most = max(failed.values())
        wanted = {rule: (count / most, f"{count:,}") for rule, count in failed.items() if count}
        assert len(wanted) == 3
        assert {rule: text for rule, (_, text) in rules.items()} == {
            rule: text for rule, (_, text) in wanted.items()
        }
        for rule, (length, _) in rules.items():
            assert length == pytest.approx(wanted[rule][0], abs=1e-4)


def test_the_charts_of_many_days_show_each_day() -> None:
    """Also a day between two that are not published, and each day of a line of 400."""
    last = dt.date(2026, 11, 14)
    days = [str(last - dt.timedelta(days=n)) for n in range(399, -1, -1)]
    published = [
        DaySummary(
            name,
            day,
            1000,
            1000 - n * 7 % 50,
            n * 7 % 50,
            0,
            5000,
            n * 13 % 11 / 4,
            90 + n * 3 % 10,
            0,
        )
        for name, missing in (("logs", 3), ("anomalies", 5))
        for n, day in enumerate(days)
        if n % missing and n % 7
    ]
    now = dt.datetime.now(dt.UTC)
    shown = charts(
        render(Report(days[0], days[-1], dict.fromkeys(COLORS, ""), published, [], [], now, "/srv"))
    )
    assert shown["volume"].tops == pytest.approx(sums(shown["volume"].stacked), abs=0.1)
    for dataset_, color in COLORS.items():
        of = {each.day: each for each in published if each.dataset == dataset_}
        rows = dict.fromkeys(shown["volume"].days, 0) | {
            d: each.rows_exported for d, each in of.items()
        }
        seconds = dict.fromkeys(rows, 0) | {d: each.duration_s for d, each in of.items()}
        assert shown["volume"].stacked[color] == pytest.approx(rows, abs=0.05)
        assert shown["duration"].stacked[color] == pytest.approx(seconds, abs=1e-4)
        valid = {day: each.valid_pct for day, each in of.items()}
        complete = {day: each.completeness_pct for day, each in of.items()}
        assert shown["validity"].lines[color] == pytest.approx(valid, abs=1e-3)
        assert shown["completeness"].lines[color] == pytest.approx(complete, abs=1e-3)


def test_the_charts_of_years_are_by_month() -> None:
    """A sparse history: 500 days in 20 years, some months without any."""
    first = dt.date(2005, 3, 15)
    days = [str(first + dt.timedelta(days=n * 15)) for n in range(500) if n % 7 > 2]
    published = [
        DaySummary(name, day, 100 + n, 100 + n - n % 9, n % 9, 0, 5000, n / 100, 80 + n % 20, 0)
        for name in COLORS
        for n, day in enumerate(days)
    ]
    now = dt.datetime.now(dt.UTC)
    report = Report(days[0], days[-1], dict.fromkeys(COLORS, ""), published, [], [], now, "/srv")
    html = render(report)
    assert re.findall(r"-title\">(\w+ by month)<", html) == [
        "Volume by month", "Quality by month", "Completeness by month", "Duration by month",
    ]  # fmt: skip
    shown = charts(html)
    for dataset_, color in COLORS.items():
        months: dict[str, list[DaySummary]] = {}
        for each in published:
            if each.dataset == dataset_:
                months.setdefault(f"{each.day[:7]}-01", []).append(each)
        rows = {month: sum(e.rows_exported for e in of) for month, of in months.items()}
        seconds = {month: sum(e.duration_s for e in of) for month, of in months.items()}
        drawn = {m: v for m, v in shown["volume"].stacked[color].items() if v > 0.01}
        assert drawn == pytest.approx(rows, abs=0.05)
        drawn = {m: v for m, v in shown["duration"].stacked[color].items() if v > 1e-4}
        assert drawn == pytest.approx({m: v for m, v in seconds.items() if v}, abs=1e-3)
        valid = {
            month: 100 - 100 * sum(e.rows_rejected for e in of) / sum(e.rows_read for e in of)
            for month, of in months.items()
        }
        complete = {
            month: sum((e.completeness_pct or 0) * e.rows_exported for e in of) / rows[month]
            for month, of in months.items()
        }
        assert shown["validity"].lines[color] == pytest.approx(valid, abs=1e-3)
        assert shown["completeness"].lines[color] == pytest.approx(complete, abs=1e-3)
