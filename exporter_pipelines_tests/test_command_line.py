"""`dagster asset materialize`, as a user types it, in its own process."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines_tests.support.backends import ANOMALIES, IPS, LOGS, Backend, fresh_database
from exporter_pipelines_tests.support.dagster_history import (
    check_statuses,
    history_of,
    materializations,
)
from exporter_pipelines_tests.support.datasets import parse
from exporter_pipelines_tests.support.projects import BIN, Finished, Project, copy_project
from exporter_pipelines_tests.support.waiting import wait_until

ONE, TWO, THREE = "2026-11-01", "2026-11-02", "2026-11-03"
PASSWORD = "k9-never-to-be-seen"
DOWNSTREAM = """
import dagster as dg
import pyarrow as pa

from exporter_pipelines.orchestration.exports.partitions import daily_partitions


@dg.asset(partitions_def=daily_partitions())
def log_count(logs: pa.RecordBatchReader) -> None:
    rows = sum(batch.num_rows for batch in logs)
    with open("log_count.txt", "a") as file:
        print(rows, file=file)
"""


@dataclass
class Story:
    """What a project lived through, one command after another."""

    project: Project
    published: Finished
    held: Finished
    ranged: Finished
    before: Manifest
    counted: str


@pytest.fixture(scope="module")
def story(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A day is published with its downstream, held after an UPDATE, and held within a range."""
    with fresh_database(postgres_url) as backend:
        for statement in (LOGS, ANOMALIES, IPS):
            backend.run(statement)
        for number, day in enumerate((ONE, TWO, THREE)):
            backend.add_logs(day, 100, first_id=1000 * number)
        project = project_of(backend, tmp_path_factory.mktemp("story"), password=PASSWORD)
        folder = project.path / "exporter_pipelines" / "defs" / "log_count"
        folder.mkdir()
        (folder / "log_count.py").write_text(DOWNSTREAM)
        published = project.materialize("logs,log_count", partition=ONE)
        before = project.manifest("logs", ONE)
        assert before is not None, published.stderr
        backend.run("UPDATE logs SET level = 'odd' WHERE id <= 10")
        backend.run(
            "INSERT INTO anomalies SELECT n, %s::timestamptz, 'scan', 7, 'low', 'new', n, NULL, "
            "NULL FROM generate_series(1, 20) n",
            [f"{TWO}T10:00:00Z"],
        )
        held = project.materialize("logs,log_count", partition=ONE)
        counted = (project.path / "log_count.txt").read_text()
        ranged = project.materialize("group:exports", partition_range=f"{ONE}...{THREE}")
        yield Story(project, published, held, ranged, before, counted)


def project_of(backend: Backend, path: Path, *, password: str = "", output: str = "") -> Project:
    """A project for a backend; the embedded server trusts any password."""
    url = backend.url.replace("postgres@", f"postgres:{password}@") if password else backend.url
    values = {
        "EXPORTER_START_DATE": "2026-11-01",
        "EXPORTER_END_DATE": "2026-11-15",
        "EXPORTER_TIMEZONE": "UTC",
        "EXPORTER_SOURCE_URL": url,
        "EXPORTER_OUTPUT_URL": output or str(path / "exports"),
    }
    return copy_project(path / "project", values)


def test_a_day_is_published_and_recorded(story: Story) -> None:
    assert story.published.code == 0
    assert story.before.record_count == 100
    with history_of(story.project) as instance:
        event = materializations(instance, "logs", ONE)[-1]
    assert event.metadata["dagster/partition_row_count"].value == 100
    assert event.metadata["sha256"].value == story.before.files[0].sha256


def test_a_downstream_asset_runs_after_its_day_is_published_and_not_when_it_is_held(
    story: Story,
) -> None:
    assert story.counted == "100\n"


def test_a_held_day_fails_the_command_and_its_last_words_say_all(story: Story) -> None:
    assert story.held.code == 1
    words = story.held.last_words
    assert words.startswith(f"logs {ONE}: held; the published export of 2")
    assert " UTC stays. 11 of 100 rows rejected (11.00 %): 11 x known_level (level)." in words
    assert "more than max_rejected_rows=10 and max_rejected_pct=1 allow." in words
    where, see, page = words.rpartition("Rejected rows: ")[2].rpartition(" See ")
    assert (see, page) == (" See ", "docs/failures.md#a-day-is-held")
    path = Path(where.rstrip("."))
    assert path.name.startswith(f"logs-{ONE}.")
    assert "\n" not in words


def test_a_held_day_keeps_its_quarantine_and_the_old_export(story: Story) -> None:
    [kept] = (story.project.output / "logs" / "quarantine" / f"date={ONE}").iterdir()
    assert len(parse(kept)) == 11
    assert story.project.manifest("logs", ONE) == story.before


def test_a_held_day_has_a_failed_check_and_no_new_materialization(story: Story) -> None:
    with history_of(story.project) as instance:
        assert check_statuses(instance, "logs", "rejected_rows")[ONE] == "FAILED"
        assert len(materializations(instance, "logs", ONE)) == 1


def test_the_other_days_and_datasets_of_a_range_are_published_and_recorded(story: Story) -> None:
    assert story.ranged.code == 1
    expected = {(d, day) for d in ("logs", "anomalies", "ips") for day in (ONE, TWO, THREE)}
    with history_of(story.project) as instance:
        recorded = {key for key in expected if materializations(instance, *key)}
        statuses = check_statuses(instance, "logs", "rejected_rows")
    published = {key for key in expected if story.project.manifest(*key)}
    # The first day of logs is there from before it was held.
    assert published == recorded == expected - {("anomalies", TWO)}
    assert (statuses[ONE], statuses[TWO], statuses[THREE]) == ("FAILED", "SUCCEEDED", "SUCCEEDED")


def test_the_last_words_of_a_range_name_the_bad_day_of_each_dataset(story: Story) -> None:
    words = story.ranged.last_words.splitlines()
    assert words[0] == "1 of 3 days of anomalies are not published: 1 held."
    unpublished = f"anomalies {TWO}: held; this day has no published export. 20 of 20 rows"
    assert words[1].startswith(unpublished)
    assert words[3] == "1 of 3 days of logs are not published: 1 held."
    assert words[4].startswith(f"logs {ONE}: held; the published export of 2")
    assert words[2] == words[5] == "See docs/failures.md#a-day-is-held"
    assert len(words) == 6


def test_the_password_is_nowhere(story: Story) -> None:
    for finished in (story.published, story.held, story.ranged):
        assert PASSWORD not in finished.stdout + finished.stderr
    for root in (story.project.path / ".dagster", story.project.output):
        files = [path for path in root.rglob("*") if path.is_file()]
        assert len(files) > 3
        assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


def test_nothing_is_left_in_staging(story: Story) -> None:
    assert not list(story.project.output.glob("*/.staging/*"))


def test_the_only_warning_is_about_the_command_itself(project: Project) -> None:
    command = ["asset", "materialize", "-m", "exporter_pipelines.definitions"]
    kept = {k: v for k, v in project.environment.items() if k != "PYTHONWARNINGS"}
    finished = subprocess.run(
        [BIN / "dagster", *command, "--select", "group:exports", "--partition", ONE],
        cwd=project.path,
        env={**kept, "EXPORTER_SOURCE_URL": "sqlite:///secret.db"},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    lines = finished.stderr.splitlines()
    [warning] = [line for line in lines if "Warning: " in line]
    assert "`asset_materialize_command` is superseded" in warning
    [notice] = [line for line in lines if line.startswith(".env overrides the shell for")]
    assert "EXPORTER_SOURCE_URL" in notice
    assert "secret.db" not in finished.stdout + finished.stderr


def broken_yaml(project: Project) -> None:
    project.edit("logs", "  format: jsonl", "  format: [jsonl")


def unknown_format(project: Project) -> None:
    project.edit("logs", "format: jsonl", "format: xml")


def missing_variable(project: Project) -> None:
    project.set(EXPORTER_SOURCE_URL="")


def wrong_table(project: Project) -> None:
    project.edit("logs", "table: logs", "table: log")


def short_runs(project: Project) -> None:
    project.set(EXPORTER_MAX_DAYS="2")


def nothing(project: Project) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "options", "says"),
    [
        (broken_yaml, {"partition": ONE}, "defs/logs/defs.yaml:"),
        (unknown_format, {"partition": ONE}, "format 'xml' does not exist (there are: jsonl"),
        (missing_variable, {"partition": ONE}, "EXPORTER_SOURCE_URL is not set."),
        (wrong_table, {"partition": ONE}, "public.logs"),
        (nothing, {"partition": "2026-12-01"}, "EXPORTER_START_DATE=2026-11-01"),
        (nothing, {}, "Choose a day with --partition"),
        (short_runs, {"partition_range": f"{ONE}...{THREE}"}, f"export logs {ONE} {THREE}` splits"),
        (
            nothing,
            {"partition": ONE, "config_json": '{"ops": {"logs": {"config": {"batch_rows": 5}}}}'},
            "batch_rows=5 in the run config is out of range. Choose 1,000 to 500,000",
        ),
    ],
    ids=[
        "broken yaml",
        "unknown format",
        "missing variable",
        "wrong table",
        "day out of range",
        "no day",
        "too many days",
        "run config out of bounds",
    ],
)
def test_a_mistake_ends_with_one_sentence(
    project: Project, spoil: Callable[[Project], None], options: dict[str, str], says: str
) -> None:
    spoil(project)
    finished = project.materialize("logs", **options)
    assert finished.code == 1
    words = finished.last_words
    assert says in words
    assert len(words.splitlines()) == 1
    assert "Traceback" not in finished.stderr
    assert not [path for path in project.output.rglob("*") if path.is_file()]


def test_a_source_that_cannot_be_reached_ends_a_range_early(project: Project) -> None:
    project.set(EXPORTER_SOURCE_URL=f"postgresql://someone:{PASSWORD}@127.0.0.1:1/backend")
    project.edit("logs", "    table: logs ", "    retries: 1\n    table: logs ")
    finished = project.materialize("logs", partition_range=f"{ONE}...{THREE}")
    assert finished.code == 1
    first, second, third, fourth = finished.last_words.splitlines()
    assert first == "3 of 3 days of logs are not published: 1 failed, 2 not tried."
    assert second.startswith(f"logs {ONE}: Cannot connect to PostgreSQL at 127.0.0.1:1")
    assert "It was tried 2 times." in second
    assert third == f"logs not tried: {TWO}, {THREE}."
    assert fourth == "See docs/failures.md#the-database-cannot-be-reached"
    assert PASSWORD not in finished.stderr


def test_a_cancelled_range_keeps_its_finished_days_and_leaves_nothing_else(
    project: Project, backend: Backend
) -> None:
    backend.add_logs(ONE, 100)
    backend.add_logs(TWO, 300_000, first_id=1000)
    running = project.start("logs", partition_range=f"{ONE}...{THREE}")
    written = f"logs/.staging/date={TWO}.*/logs-{TWO}.jsonl.gz"
    wait_until(
        lambda: any(f.stat().st_size for f in project.output.glob(written)),
        f"rows of {TWO} are written",
        process=running,
    )
    running.send_signal(signal.SIGTERM)
    _, stderr = running.communicate(timeout=300)
    assert running.returncode not in (0, None)
    words = Finished(running.returncode, "", stderr).last_words
    stays = f"1 of 3 days were published and stay: {ONE}."
    assert words == f"logs: stopped at {TWO}. {stays} Not exported: {TWO}, {THREE}."
    assert not list(project.output.glob("logs/.staging/*"))
    days = [day for day in (ONE, TWO, THREE) if project.manifest("logs", day)]
    with history_of(project) as instance:
        recorded = [d for d in (ONE, TWO, THREE) if materializations(instance, "logs", d)]
    assert days == recorded == [ONE]


def test_of_two_runs_of_a_day_one_wins_and_the_other_says_so(
    backend: Backend, tmp_path: Path
) -> None:
    backend.add_logs(ONE, 1000)
    one = project_of(backend, tmp_path / "one", output=str(tmp_path / "exports"))
    other = project_of(backend, tmp_path / "other", output=str(tmp_path / "exports"))
    other.edit("logs", "compression: gzip", "compression: none")
    with psycopg.connect(backend.url) as lock:
        lock.execute("LOCK TABLE logs")  # both have begun before either can read
        running = [project.start("logs", partition=ONE) for project in (one, other)]
        for process in running:
            wait_until(
                lambda: len(list(one.output.glob("logs/.staging/date=*.lock"))) == 2,
                "both runs have begun",
                process=process,
            )
    ended = [process.communicate(timeout=300)[1] for process in running]
    winner, loser = sorted((0, 1), key=lambda number: running[number].returncode)
    assert (running[winner].returncode, running[loser].returncode) == (0, 1)
    manifest = one.manifest("logs", ONE)
    assert manifest is not None
    words = Finished(1, "", ended[loser]).last_words
    assert f"run {manifest.run.run_id}" in words
    assert "other content" in words
    assert manifest.files[0].compression == ("gzip", "none")[winner]
    folder = one.output / "logs" / "data" / f"date={ONE}"
    assert len(parse(folder / manifest.files[0].path)) == 1000
    assert not list(one.output.glob("logs/.staging/*"))
