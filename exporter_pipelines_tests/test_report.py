"""The export report: its numbers, its history, its page, and when it is rendered."""

from __future__ import annotations

import datetime as dt
import signal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from exporter_pipelines.contracts.export_attempts import DaySummary
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.definitions import build
from exporter_pipelines.engine import retries as attempts
from exporter_pipelines.engine.judge import HOLDING
from exporter_pipelines.orchestration.dagster_internals.partitioned_events import (
    check_evaluation,
    newest_materialization,
)
from exporter_pipelines.orchestration.exports import run_progress
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.orchestration.report.asset import NAME, export_report
from exporter_pipelines.reporting.numbers import Report
from exporter_pipelines.reporting.page import render
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.layout import report_index, report_page
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import materializations
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.report_pages import Page
from exporter_pipelines_tests.support.runs import Runner

ONE, TWO, THREE, FOUR, FIVE = (f"2026-11-{day:02}" for day in range(1, 6))
NONE = "\N{EN DASH}"
HOSTILE = """<script>alert(1)</script> "quoted" 'and' & {{ 7 * 7 }} [x](javascript:alert(2))"""


@pytest.fixture
def store(settings: dict[str, str]) -> LocalStore:
    return LocalStore(Path(settings["EXPORTER_OUTPUT_URL"]))


@pytest.fixture
def runner(settings: dict[str, str], backend: Backend) -> Runner:
    """Logs, and the report beside them."""
    descriptions = {"logs": HOSTILE, "anomalies": "Findings."}
    report = export_report(descriptions, daily_partitions())
    return Runner([dataset(), dataset("anomalies")], [report])


def index(store: LocalStore) -> Page:
    return Page(report_index(store.root).read_text())


def manifests(store: LocalStore) -> list[Manifest]:
    files = sorted(store.root.glob("*/data/*/_manifest.json"))
    return [Manifest.from_json(file.read_bytes()) for file in files]


def cancel_in(runner: Runner, monkeypatch: pytest.MonkeyPatch, day: str) -> Any:
    """An export that an operator terminates while the day is staged."""
    original = attempts.stage_day

    def terminated(*args: Any, run_id: str, **options: Any) -> Any:
        run = runner.instance.get_run_by_id(run_id)
        assert run
        runner.instance.report_run_canceling(run)
        signal.raise_signal(signal.SIGTERM)
        return original(*args, run_id=run_id, **options)

    with monkeypatch.context() as patched:
        patched.setattr(attempts, "stage_day", terminated)
        return runner.run("logs", day)


def test_the_page_tells_published_held_failed_and_cancelled_exports(
    runner: Runner, backend: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, day in enumerate((ONE, TWO, THREE, FOUR)):
        backend.add_logs(day, 1000, first_id=number * 10_000)
    backend.run("UPDATE logs SET level = 'odd' WHERE mod(id, 10000) < 5")
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = %s", [TWO])
    assert not runner.run("logs", ONE, THREE).success
    cancel_in(runner, monkeypatch, FOUR)
    backend.run("ALTER TABLE logs RENAME TO moved")
    assert not runner.run("logs", THREE).success
    assert runner.run(NAME, FOUR).success

    page = index(store)
    published = manifests(store)
    assert [m.partition for m in published] == [ONE, THREE]
    records = sum(m.record_count for m in published)
    head, *history = page.tables["history"]
    assert head == [
        "Date", "Status", "Datasets", "Records", "Days", "Duration", "Results", "Run",
    ]  # fmt: skip
    runs = [row for row in history if len(row) > 1]
    assert [row[1:5] + row[6:7] for row in runs] == [
        ["failed", "logs", NONE, THREE, "1 failed"],
        ["cancelled", "logs", NONE, FOUR, "1 cancelled"],
        ["held", "logs", f"{records:,}", f"{ONE} to {THREE}", "2 published, 1 held"],
    ]
    assert all(row[5].endswith(" s") for row in runs)
    [failed], [held] = (row for row in history if len(row) == 1)
    assert failed.startswith(f"Reason: logs {THREE}: ")
    assert "does not exist" in failed
    assert held.startswith(f"Reason: logs {TWO}: held; ")
    assert page.figures["Exports"] == "5 2 published, 1 held, 1 failed, 1 cancelled"
    assert page.figures["Success rate"].startswith("40.00 % ")
    assert page.figures["Published days"] == "2 in 1 dataset"
    assert (
        page.figures["Average records"]
        == f"{records // 2:,} per published day, {records:,} in total"
    )
    rejected, read = (sum(getattr(m.counts, n) for m in published) for n in ("rejected", "read"))
    assert (
        page.figures["Rejected"]
        == f"{100 * rejected / read:.2f} % {rejected} of {read:,} rows read"
    )
    assert page.tables["days"][1:] == [
        [FOUR, "cancelled"],
        [THREE, "failed 995 99.50 %"],  # its older export stays
        [TWO, "held"],
        [ONE, "995 99.50 %"],
    ]
    [line] = page.tables["datasets"][1:]
    size = sum(m.file_size for m in published)
    on_disk = sum(f.stat().st_size for f in store.root.glob("logs/data/*/*"))
    assert on_disk > size
    assert line[1:4] == ["2", f"{records:,}", f"{records // 2:,}"]
    assert line[6] == f"{on_disk / 1000:.1f} kB"
    labels = [value for _, name, value in page.attributes if name == "data-label"]
    assert labels == page.tables["datasets"][0][1:]  # what a narrow screen shows for the head


def test_a_day_that_is_exported_after_all_is_well_again(
    runner: Runner, backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(ONE, 100, level="odd")
    runner.run("logs", ONE)
    backend.run("UPDATE logs SET level = 'INFO'")
    runner.run("logs", ONE)
    runner.run(NAME, ONE)
    page = index(store)
    assert page.tables["days"][1:] == [[ONE, "100 100 %"]]
    assert [row[1] for row in page.tables["history"][1:] if len(row) > 1] == ["published", "held"]


@pytest.mark.parametrize(
    ("version", "exports"),
    [
        ("now", "1 1 published, 0 held, 0 failed, 0 cancelled"),
        # A run of 0.1.0 that published nothing does not say where it exported to.
        ("0.1.0", "2 1 published, 1 held, 0 failed, 0 cancelled"),
    ],
)
def test_exports_to_another_output_do_not_count(
    version: str,
    exports: str,
    runner: Runner,
    backend: Backend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if version == "0.1.0":
        monkeypatch.setattr(run_progress, "write_output", lambda *_: None)
    backend.add_logs(ONE, 100)
    backend.add_logs(TWO, 100, first_id=1000, level="odd")
    backend.add_logs(THREE, 100, first_id=2000)
    runner.run("logs", ONE, THREE)
    runner.run("logs", TWO)
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(tmp_path / "other"))
    runner.run("logs", ONE)
    runner.run(NAME, THREE)
    page = Page(report_index(tmp_path / "other").read_text())
    assert page.figures["Exports"] == exports
    assert page.tables["days"][-1] == [ONE, "100 100 %"]
    assert THREE not in [row[0] for row in page.tables["days"]]


@pytest.mark.parametrize("version", ["now", "0.1.0"])
def test_the_exports_to_an_output_that_was_moved_count(
    version: str,
    runner: Runner,
    backend: Backend,
    store: LocalStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if version == "0.1.0":
        monkeypatch.setattr(run_progress, "write_output", lambda *_: None)
    backend.add_logs(ONE, 100)
    runner.run("logs", ONE)  # replaced by the next run
    runner.run("logs", ONE)
    store.root.rename(tmp_path / "moved")
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(tmp_path / "moved"))
    runner.run(NAME, ONE)
    page = Page(report_index(tmp_path / "moved").read_text())
    assert page.figures["Exports"].startswith("2 2 published")


def test_no_text_of_a_user_becomes_markup(
    runner: Runner, backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(ONE, 10)
    runner.run("logs", ONE)
    runner.run(NAME, ONE)
    page = index(store)
    assert HOSTILE in page.text  # shown as it was written
    assert not {"script", "img", "link", "iframe", "object"} & page.tags
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in {"href", "xlink:href", "src", "action"}:
            assert value.startswith(("#", "../logs/data/date=")), (tag, name, value)
        assert name != "style", "the Content-Security-Policy refuses style attributes"
    assert page.unclosed == []
    for needle in ("hello", "edge-01", "10.0.0.1"):  # what the rows hold
        assert needle not in report_index(store.root).read_text()


def test_plots_have_titles_captions_and_ids_of_their_own(
    runner: Runner, backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(ONE, 100)
    backend.run("UPDATE logs SET level = 'odd' WHERE id = 1")
    runner.run("logs", ONE)
    runner.run(NAME, ONE)
    page = index(store)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    labels = [value.split() for _, name, value in page.attributes if name == "aria-labelledby"]
    assert len(labels) == 5
    charts = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert all(chart["role"] == "img" and chart["aria-labelledby"] for chart in charts)
    heads = [attributes for tag, attributes in page.elements if tag == "th"]
    assert {head.get("scope") for head in heads} == {"col", "row"}
    assert {part for label in labels for part in label} <= set(ids)
    assert "logs · known_level" in page.text


def test_links_lead_to_files_on_disk_and_with_an_address_to_runs_days_and_docs(
    runner: Runner, backend: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_UI_URL", "https://exports.example.org/prefix/")
    backend.add_logs(ONE, 100)
    backend.add_logs(TWO, 100, first_id=1000, level="odd")
    runner.run("logs", ONE, TWO)
    runner.run(NAME, TWO)
    for page in (report_index(store.root), report_page(store.root, TWO)):
        links = [value for _, name, value in Page(page.read_text()).attributes if name == "href"]
        files = [link for link in links if link.startswith("../")]
        assert [(page.parent / link).resolve().name for link in files] == [
            f"logs-{ONE}.jsonl.gz", "_manifest.json",
        ]  # fmt: skip
        assert all((page.parent / link).is_file() for link in files)
        runs = [str(record.dagster_run.run_id) for record in runner.instance.get_run_records()]
        assert f"https://exports.example.org/prefix/runs/{runs[-1]}" in links
        day = f"assets/logs?view=partitions&partition={TWO}"
        assert f"https://exports.example.org/prefix/{day}" in links
        assert "https://exports.example.org/prefix/docs/report" in links
    [event] = materializations(runner.instance, NAME, TWO)
    opened = "https://exports.example.org/prefix/exports/report/"
    assert event.metadata["open_newest_report"].value == opened
    assert event.metadata["open_report"].value == f"{opened}date={TWO}/"


def test_a_range_is_rendered_once_and_recorded_for_each_day(
    runner: Runner, backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(ONE, 100)
    backend.add_logs(TWO, 50, first_id=1000)
    runner.run("logs", ONE, TWO)
    assert runner.run(NAME, ONE, TWO).success
    pages = sorted(str(p.relative_to(store.root)) for p in store.root.glob("report/**/*.html"))
    assert pages == [f"report/date={TWO}/export-report-{TWO}.html", "report/index.html"]
    shown = {}
    for day in (ONE, TWO):
        [event] = materializations(runner.instance, NAME, day)
        shown[day] = {name: entry.value for name, entry in event.metadata.items()}
    assert [shown[day]["rows_exported"] for day in (ONE, TWO)] == [100, 50]
    assert {shown[day]["report"] for day in (ONE, TWO)} == {str(report_page(store.root, TWO))}
    assert "| logs | 2 | 150 | 0 % |" in shown[ONE]["preview"]
    assert HOSTILE not in shown[ONE]["preview"]
    assert list(store.root.glob("report/**/.*")) == []


def test_the_report_of_an_older_day_leaves_the_newest_one_in_place(
    runner: Runner, backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(ONE, 100)
    backend.add_logs(TWO, 50, first_id=1000)
    runner.run("logs", ONE, TWO)
    runner.run(NAME, ONE)
    of_one = Page(report_page(store.root, ONE).read_text())
    assert [row[0] for row in of_one.tables["days"][1:]] == [ONE]
    assert [row[0] for row in index(store).tables["days"][1:]] == [TWO, ONE]


def test_with_the_exports_in_one_run_it_comes_last_even_when_a_day_is_held(
    runner: Runner, backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(ONE, 100)
    backend.add_logs(TWO, 100, first_id=1000, level="odd")
    result = runner.run("*", ONE, TWO)
    assert not result.success
    days = index(store).tables["days"]
    assert days[1:] == [
        [TWO, "held", f"0 {NONE}"],
        [ONE, "100 100 %", f"0 {NONE}"],
    ]


def test_nothing_exported_yet_says_what_to_do(runner: Runner, store: LocalStore) -> None:
    assert runner.run(NAME, ONE).success
    page = index(store)
    assert "No exports yet" in page.text
    assert f"--select group:exports --partition {ONE}" in page.text
    assert page.tables == {}


def test_exports_without_a_history_and_damaged_ones_are_no_obstacle(
    runner: Runner, backend: Backend, store: LocalStore
) -> None:
    for number, day in enumerate((ONE, TWO)):
        backend.add_logs(day, 10, first_id=number * 100)
        runner.run("logs", day)
    (store.day_folder("logs", TWO) / "_manifest.json").write_text("{}")
    runner.instance = dg.DagsterInstance.ephemeral()
    assert runner.run(NAME, TWO).success
    page = index(store)
    assert page.figures["Exports"].startswith("0 ")
    assert page.figures["Success rate"].startswith(f"{NONE} ")
    assert "no run of these exports" in page.text
    assert page.tables["days"][1:] == [[ONE, "10 100 %"]]


def test_four_hundred_days_stay_small() -> None:
    days = [(dt.date(2026, 11, 14) - dt.timedelta(days=n)).isoformat() for n in range(400)]
    published = [
        DaySummary(name, day, 1010, 1000, 10, 0, 5000, 0.5, 99.0, 0, {"known_level": 10})
        for day in days
        for name in ("logs", "anomalies", "ips")
    ]
    html = render(
        Report(
            days[-1], days[0], dict.fromkeys(("logs", "anomalies", "ips"), ""), published, [], [],
            dt.datetime.now(dt.UTC), "/srv/exports",
        )
    )  # fmt: skip
    assert len(html) < 400_000
    assert len(Page(html).tables["days"]) == 63


def test_checks_that_hold_a_day_are_those_that_the_history_asks_for(
    runner: Runner, backend: Backend
) -> None:
    backend.add_logs(ONE, 100, level="odd")
    result = runner.run("logs", ONE)
    failed = {
        e.check_name
        for e in result.get_asset_check_evaluations()
        if not e.passed and e.severity.value == "ERROR"
    }
    assert failed == {"rejected_rows", "rejection_limits"}
    assert failed & set(HOLDING)


def test_the_sensor_asks_for_one_report_when_exports_have_ended(
    runner: Runner, backend: Backend
) -> None:
    repository = build().get_repository_def()
    sensor = repository.get_sensor_def("export_report_sensor")
    backend.add_logs(ONE, 10)
    cursor = None

    def tick() -> dg.SensorExecutionData | Any:
        nonlocal cursor
        with dg.build_sensor_context(
            runner.instance, cursor=cursor, repository_def=repository
        ) as context:
            found = sensor.evaluate_tick(context)
        cursor = found.cursor
        return found

    runner.run("logs", ONE)
    assert tick().run_requests == []  # what ended before it was switched on
    assert tick().run_requests == []
    runner.run("logs", ONE)
    runner.run("logs", TWO)
    [request] = tick().run_requests
    assert request.partition_key == "2026-11-14"
    assert tick().run_requests == []
    runner.run(NAME, ONE)
    assert tick().run_requests == []  # its own run is no export


def test_it_is_rendered_by_the_command_line(project: Project, backend: Backend) -> None:
    backend.add_logs(ONE, 100)
    done = project.materialize("logs,export_report", partition=ONE)
    assert done.code == 0, done.stderr
    page = Page((project.output / "report" / "index.html").read_text())
    assert page.tables["days"][1:] == [[ONE, "100 100 %"]]


def test_a_dataset_cannot_take_its_folder_or_its_name(project: Project) -> None:
    for name in ("report", NAME):
        project.edit("ips", "name: ips", f"name: {name}")
        done = project.materialize("logs", partition=ONE)
        assert f"the name {name!r} is taken by the export report" in done.last_words
        project.edit("ips", f"name: {name}", "name: ips")


def test_the_page_lists_published_days_that_a_check_warned_about(
    runner: Runner, backend: Backend, store: LocalStore
) -> None:
    days = [f"2026-11-{day:02}" for day in range(1, 10)]
    for number, day in enumerate(days):
        backend.add_logs(day, 1000 if day == days[7] else 100, first_id=10_000 * number)
    backend.run("UPDATE logs SET level = 'odd' WHERE id IN (3, 10003, 20003)")
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = %s", [days[8]])
    assert not runner.run("logs", days[0], days[8]).success
    runner.run(NAME, days[8])
    head, *rows = index(store).tables["warned"]
    assert head == ["Dataset", "Check", "Days", "Which days, and why"]
    assert [row[:3] for row in rows] == [
        ["logs", "row_count_drift", "1"], ["logs", "rejected_rows", "3"],
    ]  # fmt: skip
    assert rows[0][3].startswith(f"{days[7]} {days[7]}: 1000 rows")
    assert rows[1][3] == f"{ONE} to {THREE} " + " ".join(
        f"{day}: 1 of 100 rows rejected (1.00 %): 1 x known_level (level)."
        for day in (THREE, TWO, ONE)
    )

    backend.run("UPDATE logs SET level = 'INFO' WHERE id < 30000")  # corrected, and exported again
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = %s", [THREE])
    assert not runner.run("logs", ONE, THREE).success  # the older export of the third day stays
    runner.run(NAME, days[8])
    assert index(store).tables["warned"][1] == [
        "logs", "rejected_rows", "1",
        f"{THREE} {THREE}: 1 of 100 rows rejected (1.00 %): 1 x known_level (level).",
    ]  # fmt: skip


def test_late_data_is_a_warning_until_the_day_is_exported_again(
    runner: Runner, backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(ONE, 10)
    runner.run("logs", ONE)
    late = check_evaluation(
        newest_materialization(runner.instance, dg.AssetKey("logs"), ONE),
        asset_key=dg.AssetKey("logs"),
        check_name="source_unchanged",
        partition=ONE,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description="The source has 5 more rows.",
    )
    runner.instance.report_runless_asset_event(late)
    runner.run(NAME, ONE)
    assert index(store).tables["warned"][1:] == [
        ["logs", "source_unchanged", "1", f"{ONE} {ONE}: The source has 5 more rows."]
    ]
    runner.run("logs", ONE)
    runner.run(NAME, ONE)
    assert "warned" not in index(store).tables


def test_a_report_without_warnings_says_so(
    runner: Runner, backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(ONE, 10)
    runner.run("logs", ONE)
    runner.run(NAME, ONE)
    assert "No check warned about a published day." in index(store).text
