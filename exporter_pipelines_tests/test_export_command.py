"""`exporter export`: arguments, runs, what it prints, and how it ends."""

from __future__ import annotations

import datetime as dt
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from exporter_pipelines.cli import main
from exporter_pipelines.cli.export_arguments import Request
from exporter_pipelines.cli.export_progress import ProgressDisplay
from exporter_pipelines.cli.export_summary import Totals, print_summary
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.engine.judge import CHECKS, Verdict
from exporter_pipelines.orchestration.exports.broken_asset import broken_asset
from exporter_pipelines.orchestration.exports.command_run import CommandRuns, split
from exporter_pipelines.orchestration.exports.history_lock import opening_history
from exporter_pipelines.orchestration.exports.outcome import RunOutcome
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import check_statuses, materializations
from exporter_pipelines_tests.support.projects import BIN, ROOT, Project
from exporter_pipelines_tests.support.supervised import open_files
from exporter_pipelines_tests.support.waiting import wait_until

ONE, HELD, NINE, TWELVE = "2026-11-01", "2026-11-05", "2026-11-09", "2026-11-12"
WITH_ROWS = (ONE, HELD, NINE, TWELVE)
RANGE = f"{ONE}...2026-11-14"


def export(*arguments: str) -> Result:
    """The command, in this process."""
    return CliRunner().invoke(main, ["export", *arguments])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((ONE,), "Name at least one dataset"),
        (("logs",), "Name the day"),
        (("logs", ONE, HELD, NINE), "Name one day, or the first and the last one"),
        (("logs", "2026-13-01"), "'2026-13-01' is not a day. Write it as YYYY-MM-DD."),
        (("logs", f"{HELD}...{ONE}"), f"The last day {ONE} is before the first day {HELD}."),
        (("logs", "2026-10-31"), "EXPORTER_START_DATE=2026-11-01"),
        (("logs", "2026-11-15"), "EXPORTER_END_DATE=2026-11-15"),
        (("logs", ONE, "--only", "held,red"), "'red' is none of missing, held, failed."),
        (("lgos", ONE), "dataset 'lgos' does not exist (there are: anomalies, ips, logs"),
        (("logs", ONE), "EXPORTER_MAX_DAYS='0' is not a whole number of 1 or more."),
    ],
)
def test_wrong_usage_exits_with_2_and_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPORTER_START_DATE", "2026-11-01")
    monkeypatch.setenv("EXPORTER_END_DATE", "2026-11-15")
    monkeypatch.setenv("EXPORTER_MAX_DAYS", "0" if "MAX_DAYS" in says else "366")
    done = export(*arguments)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert says in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_runs_have_at_most_so_many_days_and_all_days_are_in_one_of_them() -> None:
    days = {"logs": ["1", "2", "4", "5"], "ips": ["3", "5"]}
    assert split(days, 2) == [{"logs": ["1", "2"]}, {"logs": ["4"], "ips": ["3"]}, {
        "logs": ["5"], "ips": ["5"],
    }]  # fmt: skip
    assert split(days, 9) == [days]
    assert split(days, 9, most_of_all=3) == [
        {"logs": ["1", "2"], "ips": ["3"]}, {"logs": ["4", "5"], "ips": ["5"]},
    ]  # fmt: skip
    assert split(days, 9, most_of_all=1)[-2:] == [{"logs": ["4"]}, {"logs": ["5"], "ips": ["5"]}]


def test_a_definition_that_breaks_while_a_command_starts_is_named(
    capsys: pytest.CaptureFixture[str], settings: dict[str, str]
) -> None:
    asset = broken_asset("logs", ["defs.yaml:29: not valid YAML."], [], daily_partitions(), "x")
    wanted = {"logs": [ONE]}
    with (
        dg.DagsterInstance.ephemeral() as instance,
        CommandRuns(
            dg.Definitions(assets=[asset]), instance, accept_loss=False, total_days=1
        ) as runs,
    ):
        runs.execute(wanted)
    day = dt.date(2026, 11, 1)
    request = Request(("logs",), day, day, frozenset(), False, False, False)
    print_summary(request, Totals(wanted), runs.failures, interrupted=False)
    assert "logs: no day was tried: defs.yaml:29: not valid YAML.\n" in capsys.readouterr().out


def test_progress_says_how_far_it_is() -> None:
    seconds = iter(range(100))
    progress = ProgressDisplay(4, "starting", clock=lambda: float(next(seconds)) / 100)
    assert progress.line() == "0 of 4 days, export 0 %, starting, 0 rows"
    progress.begin("logs", ONE)
    progress.rows(1000, 2000)
    line = progress.line()
    assert line.startswith(
        f"0 of 4 days, export 12 %, logs {ONE}, day 50 %, batch 1 of about 2, 1,000 rows, "
    )
    assert line.endswith(" rows/s"), "one batch is too little for an estimate"
    progress.rows(2000, 2000)
    progress.end(problem=True)
    assert progress.line().startswith(
        f"1 of 4 days, export 25 %, logs {ONE}, 2,000 rows, 1 held or failed"
    )


def test_the_summary_says_what_it_warns_about(capsys: pytest.CaptureFixture[str]) -> None:
    days = [ONE, HELD, "2026-11-14"]
    outcome = RunOutcome("logs", days, published=days)
    outcome.verdicts = {
        ONE: [Verdict("row_count_drift", True, "WARN", "")],
        HELD: [Verdict("row_count_drift", False, "WARN", "3 rows, far fewer than usual.")],
        "2026-11-14": [
            Verdict("row_count_drift", False, "WARN", "4 rows, far fewer than usual."),
            Verdict("rows_outside_every_day", False, "WARN", "In the table, 1 row without a time."),
        ],
    }
    totals, day = Totals({"logs": days}, [outcome]), dt.date(2026, 11, 1)
    request = Request(
        ("logs",), day, day, frozenset(), days_with_rows=False, check_only=False, accept_loss=False
    )
    print_summary(request, totals, {}, interrupted=False)
    assert capsys.readouterr().out.splitlines()[:3] == [
        "logs  3 of 3 days published (2 with warnings); 0 rows, 0 rejected, 0.0 MB",
        "logs: In the table, 1 row without a time.",
        f"logs {HELD} (and 1 more day): published with a warning, row_count_drift: 3 rows, far "
        "fewer than usual.",
    ]


def test_a_summary_without_a_published_day_counts_no_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = RunOutcome("logs", [HELD], problems={HELD: "held; 676 of 2,430 rows rejected."})
    day = dt.date(2026, 11, 5)
    request = Request(
        ("logs",), day, day, frozenset(), days_with_rows=False, check_only=False, accept_loss=False
    )
    print_summary(request, Totals({"logs": [HELD]}, [outcome]), {}, interrupted=False)
    assert capsys.readouterr().out.splitlines()[:2] == [
        "logs  0 of 1 days published, 1 failed",
        f"logs {HELD}: held; 676 of 2,430 rows rejected.",
    ]


class Story:
    """A backend with rows on a few days, and a history."""

    def __init__(self, backend: Backend, home: Path) -> None:
        self.backend, self.home = backend, home
        self.store = LocalStore(home / "exports")

    def history(self) -> dg.DagsterInstance:
        """The instance that the command wrote to."""
        return dg.DagsterInstance.from_config(str(self.home))

    def published(self, dataset: str) -> list[str]:
        """The days of a dataset with an export."""
        return self.store.published_days(dataset)


@pytest.fixture
def story(
    backend: Backend, settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Story:
    """Rows of logs on four days, one of which is held; rows of anomalies on one."""
    for number, day in enumerate(WITH_ROWS):
        backend.add_logs(day, 30, first_id=1000 * number)
    backend.run(f"UPDATE logs SET level = 'odd' WHERE timestamp::date = '{HELD}'")
    backend.run(
        "INSERT INTO anomalies (id, timestamp, type, score, details) "
        f"VALUES (1, '{HELD}T01:00Z', 'spike', 0.5, '{{}}')"
    )
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("EXPORTER_MAX_DAYS", "2")
    return Story(backend, tmp_path)


def failed_days(instance: dg.DagsterInstance) -> set[str]:
    """The days of logs that the UI shows as failed."""
    partitions = daily_partitions()
    status = get_and_update_asset_status_cache_value(instance, dg.AssetKey("logs"), partitions)
    assert status
    return set(status.deserialize_failed_partition_subsets(partitions).get_partition_keys())


def test_days_are_recorded_as_in_a_run_of_the_ui(story: Story) -> None:
    first = export("logs", "anomalies", RANGE, "--days-with-rows")
    assert first.exit_code == 1
    assert story.published("logs") == [ONE, NINE, TWELVE]
    assert story.published("anomalies") == [HELD]
    lines = first.stdout.splitlines()
    assert lines[0].startswith("logs       3 of 4 days published, 1 held; 90 rows, 0 rejected")
    assert lines[1].startswith("anomalies  1 of 1 days published; 1 rows")
    assert lines[2].startswith(f"logs {HELD}: held; this day has no published export. 30 of 30")
    assert lines[3] == "See docs/failures.md#a-day-is-held"
    assert lines[4].endswith(f"exporter export logs anomalies {ONE} 2026-11-14 --only held")
    assert lines[5].startswith("4 of 5 days published in ")
    assert len(lines) == 6
    began, *progress = first.stderr.splitlines()
    assert began == "Exporting logs, anomalies, 2026-11-01 to 2026-11-14: only days with rows"
    assert all(" of 5 days, " in line for line in progress), "no log lines and no warnings"

    with story.history() as instance:
        newer, older = instance.get_runs()
        assert [run.status.value for run in (older, newer)] == ["FAILURE", "SUCCESS"]
        assert older.tags["dagster/asset_partition_range_start"] == ONE
        assert older.tags["dagster/asset_partition_range_end"] == HELD
        assert newer.run_config["ops"]["logs"]["config"] == {"days": [NINE, TWELVE]}
        planned = instance.all_logs(
            older.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        )
        assert len(planned) == 3, "days in between are not planned"
        for day in (ONE, NINE, TWELVE):
            [event] = materializations(instance, "logs", day)
            assert event.metadata["rows_exported"].value == 30
        assert not materializations(instance, "logs", HELD)
        assert failed_days(instance) == {HELD}
        for check in CHECKS:
            statuses = check_statuses(instance, "logs", check)
            assert statuses[ONE] == statuses[TWELVE] == "SUCCEEDED"
        assert check_statuses(instance, "logs", "rejection_limits")[HELD] == "FAILED"

    story.backend.run("UPDATE logs SET level = 'INFO'")
    second = export("logs", RANGE, "--only", "held,failed")
    assert (second.exit_code, second.stdout.splitlines()[-1][:21]) == (0, "1 of 1 days published")
    with story.history() as instance:
        assert failed_days(instance) == set()
        assert check_statuses(instance, "logs", "rejection_limits")[HELD] == "SUCCEEDED"
    story.backend.run(
        "ALTER TABLE logs ALTER timestamp DROP NOT NULL;"
        "INSERT INTO logs (id, level, message, source) VALUES (99, 'INFO', 'm', 's')"
    )
    third = export("logs", ONE, "2026-11-03", "--only", "missing")
    assert third.exit_code == 0
    counts, about_table, _ = third.stdout.splitlines()
    assert counts == "logs  2 of 2 days published; 0 rows, 0 rejected, 0.0 MB", "no day is at fault"
    assert about_table.startswith("logs: In the table, 1 row without a time. Rows without a usable")
    assert story.published("logs") == [
        ONE, "2026-11-02", "2026-11-03", HELD, NINE, TWELVE,
    ]  # fmt: skip
    empty = Manifest.from_json(story.store.read_manifest("logs", "2026-11-03") or b"")
    assert (empty.record_count, empty.files) == (0, [])
    fourth = export("logs", ONE, "2026-11-03", "--only", "missing")
    assert fourth.stdout == (
        f"logs, {ONE} to 2026-11-03: no day to export: only days that are missing.\n"
    )
    fifth = export("logs", "2026-11-02", "2026-11-03", "--days-with-rows")
    assert "logs: no row belongs to one of these days. `exporter doctor" in fifth.stderr
    assert "no day to export: only days with rows" in fifth.stdout
    both = export("logs", ONE, "2026-11-03", "--only", "missing", "--days-with-rows")
    assert "no row belongs" not in both.stderr, "its rows are published"
    which = "no day to export: only days that are missing, and of these only days with rows"
    assert which in both.stdout


def test_check_only_finds_what_an_export_would_find_and_leaves_nothing(story: Story) -> None:
    story.backend.run(
        "ALTER TABLE logs ALTER timestamp DROP NOT NULL;"
        "INSERT INTO logs (id, level, message, source) VALUES (99, 'INFO', 'm', 's')"
    )
    found = export("logs", "anomalies", ONE, HELD, "--check-only", "--days-with-rows")
    assert found.exit_code == 1
    text = found.stdout
    assert "logs: 1 day would be published, 1 held, 0 failed; 60 rows read, 30 valid, 30" in text
    assert f"{HELD} held: 30 of 30 rows rejected (100.00 %): 30 x known_level (level)." in text
    assert "          30  known_level (level)" in text
    assert "  warning rows_outside_every_day: In the table, 1 row without a time." in text
    assert "        50.0  validity_pct" in text
    assert "anomalies: 1 day would be published" in text
    assert text.splitlines()[-1] == "3 of 3 days checked. Nothing was published."
    left = {path.name for path in story.home.iterdir()} - {"working_directory"}
    assert left == {"dagster.yaml"}, "no output folder, no ledger and no history"

    assert export("logs", ONE).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in story.store.root.rglob("*")}
    story.backend.run(f"DELETE FROM logs WHERE timestamp::date = '{ONE}'")
    lost = export("logs", ONE, "--check-only")
    assert lost.exit_code == 1
    assert "30 rows are gone from the source" in lost.stdout
    assert before == {path: path.stat().st_mtime_ns for path in story.store.root.rglob("*")}

    assert export("logs", ONE, "--accept-loss").exit_code == 0
    manifest = Manifest.from_json(story.store.read_manifest("logs", ONE) or b"")
    assert manifest.record_count == 0


@pytest.mark.parametrize(
    ("options", "days"),
    [
        (("--check-only",), "1,000 days will be read, also those without rows. --days-with-rows "),
        ((), "1,000 days will be read, also those without rows. --days-with-rows "),
        (("--check-only", "--days-with-rows"), None),
    ],
)
def test_a_long_range_names_the_option_that_leaves_out_days_without_rows(
    story: Story, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], days: str | None
) -> None:
    monkeypatch.setenv("EXPORTER_START_DATE", "2020-01-01")
    monkeypatch.setenv("EXPORTER_SOURCE_URL", "sqlite:////no/such/file.db")  # the first day ends it
    done = export("logs", "anomalies", "2025-01-01", "2026-05-15", *options)
    assert done.exit_code == 3
    [_, *said] = done.stderr.splitlines()
    assert said[0].startswith(days or "Error: Cannot read the SQLite database"), done.stderr
    short = export("logs", "2025-01-01", "2026-02-04", *options)
    assert "will be read" not in short.stderr, "400 days"


@pytest.mark.parametrize("option", ["--check-only", "--accept-loss"])
def test_a_database_out_of_reach_exits_with_3(
    story: Story, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv("EXPORTER_SOURCE_URL", "sqlite:////no/such/file.db")
    done = export("logs", ONE, NINE, option)
    assert done.exit_code == 3
    assert "Cannot read the SQLite database /no/such/file.db" in done.stdout
    assert "1 failed, 8 not" in done.stdout
    counted = export("logs", ONE, NINE, option, "--days-with-rows")
    assert (counted.exit_code, counted.stdout) == (3, "")
    assert counted.stderr.splitlines()[-1].startswith("Error: Cannot read the SQLite database")


def test_a_run_of_too_many_days_fails_at_once_and_names_the_command(story: Story) -> None:
    from exporter_pipelines_tests.support.datasets import dataset
    from exporter_pipelines_tests.support.runs import Runner, failure

    runner = Runner([dataset()])
    result = runner.run("logs", ONE, "2026-11-03")
    assert (
        "logs: the run has 3 days, more than EXPORTER_MAX_DAYS=2 allows. `exporter export logs "
        f"{ONE} 2026-11-03` splits them into several runs."
    ) in failure(result)
    config = {"ops": {"logs": {"config": {"days": [ONE]}}}}
    assert runner.run("logs", ONE, "2026-11-03", run_config=config).success
    config["ops"]["logs"]["config"]["days"] = [TWELVE]
    result = runner.run("logs", ONE, "2026-11-02", run_config=config)
    assert f"{TWELVE!r} under days in the run config is no day of this run" in failure(result)
    assert story.published("logs") == [ONE]


@pytest.mark.parametrize(
    ("only", "expected"),
    [("missing,held", "--only missing,held --days-with-rows"), ("failed", "--only failed")],
)
def test_the_command_for_the_rest_does_not_export_days_without_rows(
    only: str, expected: str
) -> None:
    days = dt.date(2026, 11, 1), dt.date(2026, 11, 3)
    asked = Request(
        ("logs",), *days, frozenset(), days_with_rows=True, check_only=False, accept_loss=False
    )
    assert asked.again(only) == f"exporter export logs {days[0]} {days[1]} {expected}"


def test_ctrl_c_ends_the_command_within_seconds_and_keeps_finished_days(
    project: Project, backend: Backend
) -> None:
    backend.add_logs("2026-11-01", 100)
    backend.add_logs("2026-11-02", 300_000, first_id=1000)
    began = time.monotonic()
    running = subprocess.Popen(
        [sys.executable, "-m", "exporter_pipelines", "export", "logs", "2026-11-01...2026-11-03"],
        cwd=project.path,
        env={k: v for k, v in project.environment.items() if k != "PYTHONWARNINGS"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr
    assert running.stderr.readline() == "Exporting logs, 2026-11-01 to 2026-11-03\n"
    first_output_s = time.monotonic() - began
    written = "logs/.staging/date=2026-11-02.*/logs-2026-11-02.jsonl.gz"
    wait_until(
        lambda: any(f.stat().st_size for f in project.output.glob(written)),
        "rows of the second day are written",
        process=running,
    )
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=60)
    # Usually 0.3 s and 0.7 s; the machine of the tests may be busy.
    assert first_output_s < 5
    assert time.monotonic() - began < 10
    assert running.returncode == 130
    lines = stdout.splitlines()
    assert lines[0].startswith("logs  1 of 3 days published, 2 not tried; 100 rows")
    assert lines[1].endswith("exporter export logs 2026-11-01 2026-11-03 --only missing")
    assert lines[2].startswith("Interrupted: 1 of 3 days published in ")
    assert "Warning" not in stderr
    assert "Traceback" not in stderr
    assert not list(project.output.glob("logs/.staging/*"))
    assert project.manifest("logs", "2026-11-01")


def test_a_command_creates_no_history_while_another_one_does(project: Project) -> None:
    """Both would fail with "table jobs already exists", one time in two."""
    with opening_history(project.path):
        command = subprocess.Popen(
            [BIN / "exporter", "export", "logs", ONE], cwd=project.path, env=project.environment
        )
        wait_until(
            lambda: str(project.path) in open_files(command.pid),
            "the command waits",
            process=command,
        )
        assert not (project.path / ".dagster").exists()
    assert command.wait(60) == 0
    assert (project.path / ".dagster").exists()
