"""A range of days in one run: its log, and the effect of one bad day on the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from exporter_pipelines.contracts.progress import Meter, Progress
from exporter_pipelines.definitions import build
from exporter_pipelines.orchestration.exports import io_manager
from exporter_pipelines.orchestration.exports.outcome import RunOutcome, spans
from exporter_pipelines.orchestration.exports.progress import ProgressLog
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import check_statuses, materializations
from exporter_pipelines_tests.support.datasets import dataset, parse
from exporter_pipelines_tests.support.projects import ROOT
from exporter_pipelines_tests.support.runs import Runner, failure

DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]
ONE, TWO, THREE = DAYS


@pytest.fixture
def logs(settings: dict[str, str], backend: Backend) -> Runner:
    """Three days of logs, 10 rows each, none of them exported."""
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 10, first_id=number * 1000)
    return Runner([dataset()])


@pytest.fixture
def exports(settings: dict[str, str]) -> LocalStore:
    return LocalStore(Path(settings["EXPORTER_OUTPUT_URL"]))


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        """The time now."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The lines that were logged so far."""
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records]


class Log:
    """The lines of a run of one dataset."""

    def __init__(self, days: list[str], clock: Clock) -> None:
        self.meter = Meter(len(days), clock)
        self.lines = ProgressLog(logging.getLogger("test"), "logs", days, self, clock)

    def now(self) -> Progress:
        """See `Measured`."""
        return self.meter.now()

    def export_share(self) -> float:
        """See `Measured`."""
        return self.meter.now().share

    def begin(self, day: str) -> None:
        """A day begins."""
        self.meter.begin("logs", day)
        self.lines.begin(day)

    def batch(self, rows: int, total: int) -> None:
        """A batch was read."""
        self.meter.batch(rows, total)
        self.lines.batch(rows, total)

    def end(self) -> None:
        """The day has ended."""
        self.meter.end()
        self.lines.end()


def test_a_year_of_small_days_writes_some_ten_lines(
    clock: Clock, said: Callable[[], list[str]]
) -> None:
    days = [f"day {number}" for number in range(365)]
    log = Log(days, clock)
    for day in days:
        log.begin(day)
        clock.now += 0.05
        log.batch(100, 100)
        log.end()
    assert 9 <= len(said()) <= 10
    assert said()[0] == (
        "logs day 36: day 37 of 365 done, export 10 %, 3,700 rows, export done in about 16 s"
    )


def test_a_slow_day_writes_a_line_per_ten_seconds(
    clock: Clock, said: Callable[[], list[str]]
) -> None:
    log = Log([ONE], clock)
    log.begin(ONE)
    for batch in range(1, 1000):
        clock.now += 1
        log.batch(1000 * batch, 20_000_000)
    assert len(said()) == 99
    assert said()[0] == (
        f"logs {ONE}: batch 10 of about 20000, day 0 %, export 0 %, 10,000 of 20,000,000 rows, "
        "1,000 rows/s, day done in 5.6 h, export done in about 5.6 h"
    )


def test_a_line_within_a_day_of_a_range_says_when_the_day_and_the_range_are_ready(
    clock: Clock, said: Callable[[], list[str]]
) -> None:
    log = Log(DAYS, clock)
    for day in (ONE, TWO):
        log.begin(day)
        clock.now += 4
        log.batch(500_000, 1_000_000)
        clock.now += 4
        log.batch(1_000_000, 1_000_000)
        log.end()
    assert said() == [
        f"logs {ONE}: day 1 of 3, batch 1 of about 2, day 50 %, export 16 %, "
        "500,000 of 1,000,000 rows, 125,000 rows/s, day done in 4 s, export done in about 20 s",
        f"logs {ONE}: day 1 of 3 done, export 33 %, 1,000,000 rows, export done in about 16 s",
        f"logs {TWO}: day 2 of 3, batch 1 of about 2, day 50 %, export 50 %, "
        "500,000 of 1,000,000 rows, 125,000 rows/s, day done in 4 s, export done in about 12 s",
        f"logs {TWO}: day 2 of 3 done, export 66 %, 2,000,000 rows, export done in about 8 s",
    ]


def test_days_are_named_in_spans() -> None:
    days = [f"2026-11-{day:02}" for day in range(1, 10)]
    assert spans([days[0], days[2], days[3], *days[5:]], days) == (
        "2026-11-01, 2026-11-03, 2026-11-04, 2026-11-06 to 2026-11-09"
    )


def test_a_day_that_is_kept_counts_as_published() -> None:
    """As in the last line of `exporter export`."""
    outcome = RunOutcome("logs", [ONE, TWO], published=[ONE], kept=[TWO])
    assert outcome.summary() == "logs: 2 of 2 days published, 1 of them kept as before."


def test_a_stop_accounts_for_every_day() -> None:
    outcome = RunOutcome("logs", [*DAYS, "2026-11-04", "2026-11-05"])
    outcome.published.append(ONE)
    outcome.problems[TWO] = "held."
    assert outcome.stopped(THREE) == (
        f"logs: stopped at {THREE}. 1 of 5 days were published and stay: {ONE}. "
        f"Not exported: {THREE} to 2026-11-05. Failed: {TWO}.\nlogs {TWO}: held."
    )


def test_the_log_of_a_range_has_a_line_per_bad_day_and_one_at_the_end(
    logs: Runner, backend: Backend
) -> None:
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = %s", [TWO])
    backend.run(
        "INSERT INTO logs SELECT 90000 + n, %s::timestamptz, 'odd' FROM generate_series(1, 20) n",
        [f"{TWO}T10:00:00Z"],
    )
    result = logs.run("logs", ONE, THREE)
    lines = [
        entry.user_message
        for entry in logs.instance.all_logs(result.run_id)
        if not entry.is_dagster_event and entry.user_message.startswith("logs")
    ]
    assert [line for line in lines if " done, " not in line] == [
        lines[1],
        "logs: 2 of 3 days published, 1 held.",
    ]
    assert lines[1].startswith(f"logs {TWO}: held; this day has no published export.")


@pytest.mark.parametrize("where", ["quarantine", ".locks"])
def test_a_link_planted_at_one_day_costs_that_day_only(
    logs: Runner, exports: LocalStore, tmp_path: Path, backend: Backend, where: str
) -> None:
    backend.run("UPDATE logs SET level = 'odd' WHERE id IN (0, 1000, 2000)")
    (tmp_path / "elsewhere").mkdir()
    folder = exports.root / "logs" / where
    folder.mkdir(parents=True)
    (folder / f"date={ONE}").symlink_to(tmp_path / "elsewhere")
    said = failure(logs.run("logs", ONE, THREE))
    assert f"1 of 3 days of logs are not published: 1 failed.\nlogs {ONE}: " in said
    assert "symbolic link" in said
    recorded = [day for day in DAYS if materializations(logs.instance, "logs", day)]
    assert recorded == [TWO, THREE]


def test_a_folder_in_place_of_one_days_lock_costs_that_day_only(
    logs: Runner, exports: LocalStore
) -> None:
    lock = exports.root / "logs" / ".locks" / f"date={ONE}"
    lock.mkdir(parents=True)
    said = failure(logs.run("logs", ONE, THREE))
    assert f"logs {ONE}: Cannot write {lock}: Is a directory. A folder exists where" in said
    assert exports.published_days("logs") == [TWO, THREE]


@pytest.mark.parametrize("what", ["link", "folder"])
def test_what_is_in_the_way_of_clearing_up_costs_no_day(
    logs: Runner, exports: LocalStore, tmp_path: Path, what: str
) -> None:
    lock = exports.root / "logs" / ".staging" / f"date={ONE}.5f.lock"
    lock.parent.mkdir(parents=True)
    if what == "link":
        lock.symlink_to(tmp_path / "elsewhere")
    else:
        lock.mkdir()
    assert logs.run("logs", ONE, THREE).success
    assert exports.published_days("logs") == DAYS
    assert not (tmp_path / "elsewhere").exists()


def test_the_days_of_a_range_share_a_connection_and_no_transaction(
    settings: dict[str, str], logs: Runner, exports: LocalStore
) -> None:
    session = "concat(pg_backend_pid(), '/', now()) AS message"
    query = f"SELECT id, timestamp, level, source, device, ip, attributes, {session} FROM logs"
    asked = dataset(source={"table": None, "query": query}, compression="none", select=None)
    assert Runner([asked]).run("logs", ONE, THREE).success
    seen = [
        {row["message"] for row in parse(exports.day_folder("logs", day) / f"logs-{day}.jsonl")}
        for day in DAYS
    ]
    [one], [two], [three] = seen
    assert len({text.partition("/")[0] for text in (one, two, three)}) == 1
    assert len({one, two, three}) == 3


def after_the_first_day(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen while a run is between its first day and its second."""
    original = io_manager.publish

    def publish(store: Any, judged: Any) -> Any:
        if judged.staged.window.day == ONE:
            act()
        return original(store, judged)

    monkeypatch.setattr(io_manager, "publish", publish)


def logged(runner: Runner, result: Any) -> list[str]:
    return [entry.user_message for entry in runner.instance.all_logs(result.run_id)]


def test_rows_that_move_to_a_day_that_is_exported_already_are_named(
    logs: Runner,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    earlier = f"UPDATE logs SET timestamp = '{ONE}T12:00Z' WHERE id IN (1000, 1001, 1002)"
    after_the_first_day(monkeypatch, lambda: backend.run(earlier))
    result = logs.run("logs", ONE, THREE)
    assert result.success
    sentence = f"logs: rows arrived or moved while the range ran: {ONE} (+3). Export these days"
    assert any(line.startswith(sentence) for line in logged(logs, result))
    statuses = check_statuses(logs.instance, "logs", "source_unchanged")
    assert (statuses[ONE], statuses[TWO]) == ("FAILED", "SUCCEEDED")
    assert logs.run("logs", ONE).success
    assert check_statuses(logs.instance, "logs", "source_unchanged")[ONE] == "SUCCEEDED"


def test_days_that_take_too_long_to_count_again_are_not_compared(
    logs: Runner, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter_pipelines.engine.range_counts.COUNT_S", 0.001)
    backend.run(
        "ALTER TABLE logs RENAME TO real_logs; CREATE VIEW logs AS "
        "SELECT real_logs.* FROM real_logs, LATERAL (SELECT pg_sleep(0.01 + 0 * id)) AS slow"
    )
    result = logs.run("logs", ONE, THREE)
    assert result.success
    [sentence] = [line for line in logged(logs, result) if "was not compared" in line]
    assert "rows arrived or moved while the range ran" in sentence


def test_a_column_that_is_renamed_during_a_range_is_noticed(
    logs: Runner, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = "ALTER TABLE logs RENAME COLUMN level TO severity"
    after_the_first_day(monkeypatch, lambda: backend.run(rename))
    said = failure(logs.run("logs", ONE, THREE))
    assert f"logs {TWO}: Column 'level' of table 'logs'" in said
    assert f"logs not tried: {THREE}." in said


def test_a_type_that_is_new_during_a_range_is_read(
    logs: Runner, backend: Backend, exports: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def retype() -> None:
        backend.run("CREATE TYPE level AS ENUM ('INFO')")
        backend.run("ALTER TABLE logs ALTER level TYPE level USING level::level")

    after_the_first_day(monkeypatch, retype)
    assert logs.run("logs", ONE, THREE).success


def test_a_connection_that_the_server_closed_between_two_days_is_replaced(
    logs: Runner, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_sessions() -> None:
        with psycopg.connect(backend.url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    after_the_first_day(monkeypatch, end_sessions)
    assert logs.run("logs", ONE, THREE).success


def test_an_asset_takes_a_slot_of_its_database(settings: dict[str, str]) -> None:
    assets = build().get_repository_def().assets_defs_by_key.values()
    reads = {asset for asset in assets if asset.key.to_user_string() != "export_report"}
    assert {asset.op.pool for asset in reads} == {"exporter_source_url"}


@pytest.mark.parametrize("file", ["dagster.yaml", "deploy/dagster.yaml"])
def test_backfills_leave_a_slot_of_the_pool_to_schedules(file: str) -> None:
    limits = yaml.safe_load((ROOT / file).read_text())["concurrency"]
    [backfills] = limits["runs"]["tag_concurrency_limits"]
    assert backfills["key"] == "dagster/backfill"
    pool = limits["pools"]["default_limit"]
    assert backfills["limit"] < pool < limits["runs"]["max_concurrent_runs"]
    assert limits["pools"]["granularity"] == "run"
