"""The progress of an export: one number that never goes backwards, which others can read."""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.progress import Meter, Progress
from exporter_pipelines.orchestration.dagster_internals.one_machine import is_on_one_machine
from exporter_pipelines.orchestration.exports import live_progress as live
from exporter_pipelines.orchestration.exports import run_presence
from exporter_pipelines.orchestration.exports.export_group import (
    DAYS_TAG,
    EXPORT_TAG,
    ExportShare,
)
from exporter_pipelines.orchestration.exports.observers import observed_by
from exporter_pipelines.orchestration.exports.outcome import RunOutcome
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.orchestration.exports.run_summary import (
    SUMMARY_TAG,
    DatasetSummary,
    RunSummary,
    read_summary,
    summary_of,
)
from exporter_pipelines.orchestration.report.asset import export_report
from exporter_pipelines.service.run_results import ResultsReader
from exporter_pipelines_tests.support.backends import Backend, fresh_database
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.runs import Runner
from exporter_pipelines_tests.support.waiting import wait_until

ONE, TWO, THREE = "2026-11-01", "2026-11-02", "2026-11-03"
RUN = "1f0c2d3e-5a6b-4c7d-8e9f-0a1b2c3d4e5f"


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        """The time now."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def renamed(name: str) -> Dataset:
    """The dataset `logs` with another name."""
    logs = dataset()
    return Dataset(logs.config.model_copy(update={"name": name}), logs.schema)


def test_four_days_of_two_datasets_are_one_number(clock: Clock) -> None:
    meter = Meter(4, clock)
    shares = []
    for name in ("logs", "ips"):
        for day in (ONE, TWO):
            meter.begin(name, day)
            for rows in (50, 100):
                meter.batch(rows, 100)
                shares.append(meter.now().share)
            meter.end()
    assert shares == [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0]
    assert meter.now().ended == 4


def test_a_second_attempt_at_a_day_does_not_move_the_number_back(clock: Clock) -> None:
    meter = Meter(2, clock)
    meter.begin("logs", ONE)
    meter.batch(80, 100)
    clock.now += 10
    meter.batch(10, 100)
    now = meter.now()
    assert (now.share, now.day_share) == (0.4, 0.8)
    assert (now.rows, now.batch, now.batches) == (10, 1, 10)
    meter.batch(90, 100)
    assert meter.now().share == 0.45


def test_there_is_no_estimate_from_the_first_batch(clock: Clock) -> None:
    meter = Meter(1, clock)
    meter.begin("logs", ONE)
    clock.now += 1
    meter.batch(10, 1000)
    assert (meter.now().eta_s, meter.now().day_eta_s) == (None, None)
    clock.now += 1
    assert meter.now().eta_s == pytest.approx(198)


def test_three_batches_are_enough_for_an_estimate(clock: Clock) -> None:
    meter = Meter(1, clock)
    meter.begin("logs", ONE)
    for rows in (10, 20, 30):
        clock.now += 0.1
        meter.batch(rows, 60)
    assert meter.now().eta_s == pytest.approx(0.3)


def test_the_export_takes_at_least_as_long_as_the_day_in_progress(clock: Clock) -> None:
    meter = Meter(10, clock)
    for day in range(9):
        meter.begin("logs", str(day))
        clock.now += 1
        meter.end()
    meter.begin("logs", "the large one")
    clock.now += 10
    meter.batch(10, 100)
    assert meter.now().day_eta_s == meter.now().eta_s == pytest.approx(90)


def test_a_day_without_rows_counts_when_it_has_ended(clock: Clock) -> None:
    meter = Meter(2, clock)
    meter.begin("logs", ONE)
    assert meter.now().share == 0
    meter.end()
    assert meter.now().share == 0.5


class Reader:
    """An observer that reads the progress of the run as another process would."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.seen = instance, list[live.LiveProgress]()

    def dataset_began(self, outcome: RunOutcome) -> None:
        """See `RunObserver`."""

    def day_began(self, dataset: str, day: str) -> None:
        """Wait until the progress names this day."""
        run_id = self.instance.get_run_records(limit=1)[0].dagster_run.run_id

        def found() -> bool:
            now = live.live_progress(self.instance, run_id)
            if now is None or (now.progress.dataset, now.progress.day) != (dataset, day):
                return False
            self.seen.append(now)
            return True

        wait_until(found, "the progress names the day")

    def rows_read(self, rows: int, total: int) -> None:
        """See `RunObserver`."""

    def day_published(self, manifest: object) -> None:
        """See `RunObserver`."""

    def day_ended(self) -> None:
        """See `RunObserver`."""


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the progress often, so that no test waits for it."""
    monkeypatch.setattr(live, "WRITE_EVERY_S", 0.02)


@pytest.mark.usefixtures("settings", "quickly")
def test_another_process_can_read_how_far_a_run_is(backend: Backend, tmp_path: Path) -> None:
    for day in (ONE, TWO):
        backend.add_logs(day, 20, first_id=int(day[-2:]) * 100)
    runner = Runner([dataset(), renamed("more_logs")])
    reader = Reader(runner.instance)
    with observed_by(reader):
        result = runner.run("*", ONE, TWO)
    assert result.success
    at = [(each.progress.dataset, each.progress.day) for each in reader.seen]
    assert at == [("logs", ONE), ("logs", TWO), ("more_logs", ONE), ("more_logs", TWO)]
    assert [each.progress.share for each in reader.seen] == [0, 0.25, 0.5, 0.75]
    assert [each.progress.day_number for each in reader.seen] == [1, 2, 3, 4]
    assert {each.progress.days for each in reader.seen} == {4}
    assert live.live_progress(runner.instance, result.run_id) is None, "the run has ended"
    written = [path for path in (tmp_path / "exports").rglob("*") if "progress" in path.name]
    assert not written, "never in the output folder"


def test_the_file_is_for_owner_and_group_only(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        writer = live.LiveProgressWriter(instance, RUN, lambda: Progress(days=3, share=0.5))
        wait_until(lambda: live.live_progress(instance, RUN) is not None, "it is written")
        [file] = (Path(instance.storage_directory()) / "run_progress").iterdir()
        assert file.stat().st_mode & 0o137 == 0
        found = live.live_progress(instance, RUN)
        assert found
        assert found.progress.share == 0.5
        writer.end()
        assert not file.exists()


def test_the_progress_of_a_killed_run_is_removed_with_its_lock(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        live._store(instance, RUN, live.LiveProgress(Progress(), 0))
        run_presence.forget(instance, RUN)
        assert live.live_progress(instance, RUN) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"progress": {"odd": 1}, "at": 1}'])
def test_progress_of_another_version_is_ignored(tmp_path: Path, text: str) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        live._store(instance, RUN, live.LiveProgress(Progress(), 0))
        [file] = (Path(instance.storage_directory()) / "run_progress").iterdir()
        file.write_text(text)
        assert live.live_progress(instance, RUN) is None


def test_an_instance_with_a_database_server_may_span_machines(
    postgres_url: str, tmp_path: Path
) -> None:
    with fresh_database(postgres_url) as storage:
        url = storage.url.replace("postgresql:", "postgresql+psycopg2:")
        overrides = {"storage": {"postgres": {"postgres_url": url}}}
        with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
            assert not is_on_one_machine(instance)
            writer = live.LiveProgressWriter(instance, RUN, lambda: Progress(days=3, share=0.5))
            found = wait_until(lambda: live.live_progress(instance, RUN), "it is written")
            assert found
            assert found.progress.days == 3
            writer.end()
            assert live.live_progress(instance, RUN) is None
    assert not list(tmp_path.rglob("*.json"))
    assert is_on_one_machine(dg.DagsterInstance.ephemeral())


@pytest.mark.usefixtures("settings")
def test_a_run_leaves_one_tag_that_says_what_became_of_its_days(backend: Backend) -> None:
    backend.add_logs(ONE, 20, device=None)
    backend.add_logs(TWO, 200, first_id=1000, level="odd")
    backend.add_logs(THREE, 10, first_id=5000)
    runner = Runner([dataset()])
    result = runner.run("*", ONE, THREE)
    run = runner.instance.get_run_by_id(result.run_id)
    assert run
    summary = summary_of(run)
    assert summary
    assert (summary.first, summary.last) == (ONE, THREE)
    logs = summary.datasets["logs"]
    assert (logs.days, logs.published, logs.held, logs.failed) == (3, 2, 1, 0)
    assert (logs.rows, logs.rows_read, logs.rejected) == (30, 30, 0)
    assert logs.bytes > 0
    assert (logs.values, logs.nulls) == (30 * 8, 20)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("last", ["", TWO], ids=["a day", "a range"])
def test_the_report_of_the_same_run_is_no_dataset(backend: Backend, last: str) -> None:
    """Metrics counted it as a failed export, and `exporter status` listed it with its sums."""
    backend.add_logs(ONE, 20)
    runner = Runner([dataset()], [export_report({"logs": ""}, daily_partitions())])
    result = runner.run("*", ONE, last)
    assert result.success
    run = runner.instance.get_run_by_id(result.run_id)
    assert run
    summary = summary_of(run)
    assert summary
    assert list(summary.datasets) == ["logs"]
    days = ResultsReader(runner.instance).of(run).days
    assert {name for name, _ in days} == {"logs"}


@pytest.mark.usefixtures("settings")
def test_a_run_of_one_day_leaves_the_same_tag(backend: Backend) -> None:
    backend.add_logs(ONE, 20)
    runner = Runner([dataset()])
    run = runner.instance.get_run_by_id(runner.run("*", ONE).run_id)
    assert run
    found = json.loads(run.tags[SUMMARY_TAG])
    assert found["first"] == found["last"] == ONE
    assert found["run"] == run.run_id
    assert found["datasets"]["logs"]["published"] == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"datasets": {"logs": {"odd": 1}}}', "null"])
def test_a_tag_that_somebody_else_wrote_is_ignored(text: str) -> None:
    assert read_summary(text) is None


def add_run(
    instance: dg.DagsterInstance, status: str, run_id: str | None = None, **tags: str
) -> dg.DagsterRun:
    """A run of an export of four days."""
    tags |= {EXPORT_TAG: "one", DAYS_TAG: "4"}
    state = dg.DagsterRunStatus(status)
    return instance.add_run(dg.DagsterRun("job", run_id, status=state, tags=tags))


def test_a_run_counts_the_days_of_the_other_runs_of_its_export() -> None:
    instance = dg.DagsterInstance.ephemeral()
    mine = add_run(instance, "STARTED")
    assert ExportShare(instance, mine).of(Progress(days=2, share=0.5)) == 0.25
    summary = RunSummary(RUN, ONE, TWO, {"ips": DatasetSummary(days=2, published=1, held=1)})
    add_run(instance, "FAILURE", RUN, **summary.to_tag())
    share = ExportShare(instance, mine)
    assert share.of(Progress(days=2, share=0.5)) == 0.75
    assert share.of(Progress(days=2, share=0.25)) == 0.75, "it never goes backwards"


def test_a_run_counts_the_share_of_another_run_in_progress() -> None:
    instance = dg.DagsterInstance.ephemeral()
    mine, other = add_run(instance, "STARTED"), add_run(instance, "STARTED")
    live._store(instance, other.run_id, live.LiveProgress(Progress(days=2, share=0.5), 0))
    assert ExportShare(instance, mine).of(Progress(days=2, share=0.5)) == 0.5


def test_a_run_without_others_is_the_whole_export() -> None:
    instance = dg.DagsterInstance.ephemeral()
    alone = instance.add_run(dg.DagsterRun("job"))
    assert ExportShare(instance, alone).of(Progress(days=2, share=0.5)) == 0.5


def test_the_summary_of_a_run_is_not_that_of_a_run_that_repeats_it() -> None:
    tags = RunSummary(RUN, ONE, ONE, {"logs": DatasetSummary(days=1, published=1)}).to_tag()
    assert summary_of(dg.DagsterRun("job", RUN, tags=tags))
    assert summary_of(dg.DagsterRun("job", tags=tags)) is None


def test_a_run_that_cannot_say_its_output_says_so_in_its_log(
    settings: dict[str, str], backend: Backend, tmp_path: Path
) -> None:
    backend.add_logs(ONE, 5)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        [storage] = tmp_path.rglob("runs.db")
        with closing(sqlite3.connect(storage)) as database:
            database.execute(
                "CREATE TRIGGER full BEFORE INSERT ON run_tags WHEN NEW.key = 'exporter/output' "
                "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
            )
            database.commit()
        done = Runner([dataset()], instance=instance).run("logs", ONE)
        assert done.success
        [warning] = [
            entry.user_message
            for entry in instance.all_logs(done.run_id)
            if entry.level == logging.WARNING and "exporter/output" in entry.user_message
        ]
    assert "could not be written: (sqlite3.IntegrityError) the disk is full. " in warning
    assert settings["EXPORTER_OUTPUT_URL"] in warning
