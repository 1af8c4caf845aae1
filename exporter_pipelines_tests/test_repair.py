"""Repair by rule: exactly the days with rows that the rule rejected are exported again."""

from __future__ import annotations

import atexit
import shutil
from typing import Any

import dagster as dg
import pytest

from exporter_pipelines.definitions import build
from exporter_pipelines.engine.repair import days_to_repair
from exporter_pipelines.errors import DayHeldError, UnknownNameError
from exporter_pipelines.orchestration.exports.exit_messages import print_messages
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import history_of, materialization_records
from exporter_pipelines_tests.support.datasets import dataset, export, export_days
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.runs import failure
from exporter_pipelines_tests.support.servers import ENDING, daemon
from exporter_pipelines_tests.support.waiting import wait_until

DAYS = [f"2026-11-{day:02}" for day in range(1, 8)]
LEVEL_BROKEN, MESSAGE_BROKEN, BOTH_BROKEN, HELD = DAYS[1], DAYS[2], DAYS[4], DAYS[5]


@pytest.fixture
def broken(backend: Backend) -> Backend:
    """Seven days of logs: two rules broken on some, one of them by every row of a day."""
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 50, first_id=1000 * number)
    change = "UPDATE logs SET {} WHERE timestamp::date = %s AND id %% 1000 < %s"
    for day, rows in ((LEVEL_BROKEN, 2), (BOTH_BROKEN, 1), (HELD, 50)):
        backend.run(change.format("level = 'odd'"), [day, rows])
    for day, rows in ((MESSAGE_BROKEN, 3), (BOTH_BROKEN, 1)):
        backend.run(change.format("message = NULL"), [day, rows])
    return backend


def export_all(backend: Backend, store: LocalStore, **changes: str) -> None:
    exported = dataset(**changes)
    export_days(backend.url, exported, [day for day in DAYS if day != HELD], store)
    with pytest.raises(DayHeldError):
        export(backend.url, exported, HELD, store)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_days_are_those_whose_quarantine_names_the_rule(
    broken: Backend, store: LocalStore, compression: str
) -> None:
    export_all(broken, store, compression=compression)
    found = days_to_repair(store, dataset(), "known_level")
    assert [(day.day, day.published, day.held) for day in found.days] == [
        (LEVEL_BROKEN, 2, 0),
        (BOTH_BROKEN, 1, 0),
        (HELD, 0, 50),
    ]
    assert str(found) == "logs: 3 days have 53 rows that known_level rejected."
    required = days_to_repair(store, dataset(), "required", "message")
    assert [(day.day, day.published) for day in required.days] == [
        (MESSAGE_BROKEN, 3),
        (BOTH_BROKEN, 1),
    ]
    assert days_to_repair(store, dataset(), "required", "id").days == []


def test_a_day_that_is_published_and_held_later_counts_both(
    broken: Backend, store: LocalStore
) -> None:
    export(broken.url, dataset(), LEVEL_BROKEN, store)
    broken.run("UPDATE logs SET level = 'worse' WHERE timestamp::date = %s", [LEVEL_BROKEN])
    with pytest.raises(DayHeldError):
        export(broken.url, dataset(), LEVEL_BROKEN, store)
    [found] = days_to_repair(store, dataset(), "known_level").days
    assert (found.published, found.held) == (2, 50)


def test_what_a_row_says_is_not_taken_for_its_reasons(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAYS[0], 50)
    text = '{"rejections": [{"rule": "known_level", "column": "level", "value": null}]}'
    backend.run(
        "UPDATE logs SET message = NULL, source = %s, attributes = %s WHERE id = 1", [text, text]
    )
    export(backend.url, dataset(), DAYS[0], store)
    assert days_to_repair(store, dataset(), "known_level").days == []
    assert len(days_to_repair(store, dataset(), "required").days) == 1


def test_a_quarantine_that_is_gone_or_damaged_is_replaced_by_the_manifest(
    broken: Backend, store: LocalStore
) -> None:
    export_all(broken, store)
    shutil.rmtree(store.quarantine_folder("logs", LEVEL_BROKEN))
    [damaged] = store.quarantine_folder("logs", BOTH_BROKEN).iterdir()
    damaged.write_bytes(damaged.read_bytes()[:-20])
    found = days_to_repair(store, dataset(), "known_level")
    assert [(day.day, day.published) for day in found.days[:2]] == [
        (LEVEL_BROKEN, 2),
        (BOTH_BROKEN, 1),
    ]
    assert found.unreadable == [str(damaged)]


def test_names_that_do_not_exist_are_told_with_those_that_do(
    broken: Backend, store: LocalStore
) -> None:
    export_all(broken, store)
    with pytest.raises(UnknownNameError, match=r"rule 'levels' does not exist \(.*known_level"):
        days_to_repair(store, dataset(), "levels")
    with pytest.raises(UnknownNameError, match="column 'lvl' does not exist"):
        days_to_repair(store, dataset(), "known_level", "lvl")
    nothing = days_to_repair(store, dataset(), "not_a_number")
    assert str(nothing) == "logs: no day has rows that not_a_number rejected."


def repair(instance: dg.DagsterInstance, **config: Any) -> tuple[dg.ExecuteInProcessResult, str]:
    """Run `repair_job`; its result, and the lines of its log."""
    result = (
        build()
        .resolve_job_def("repair_job")
        .execute_in_process(
            run_config={"ops": {"repair": {"config": config}}},
            instance=instance,
            raise_on_error=False,
        )
    )
    atexit.unregister(print_messages)  # of no interest at the end of a test session
    return result, "\n".join(entry.user_message for entry in instance.all_logs(result.run_id))


def test_the_job_says_what_does_not_exist_and_what_is_nothing_to_do(
    broken: Backend, settings: dict[str, str], store: LocalStore
) -> None:
    export(broken.url, dataset(), LEVEL_BROKEN, store)
    instance = dg.DagsterInstance.ephemeral()
    for config, said in (
        ({"dataset": "log", "rule": "known_level"}, "dataset 'log' does not exist"),
        ({"dataset": "logs", "rule": "levels"}, "logs: rule 'levels' does not exist"),
    ):
        result, _ = repair(instance, **config, apply=True)
        assert said in failure(result)
    result, log = repair(instance, dataset="logs", rule="required", apply=True)
    assert result.success
    assert "logs: no day has rows that required rejected." in log
    assert list(instance.get_backfills()) == []


def test_the_job_has_exactly_these_days_exported_again(
    project: Project, broken: Backend, store: LocalStore
) -> None:
    export_all(broken, store)
    broken.run("UPDATE logs SET level = 'INFO'")  # in place of a mended rule
    wanted = {"dataset": "logs", "rule": "known_level"}
    with history_of(project) as instance:
        result, log = repair(instance, **wanted)
        assert "3 days have 53 rows" in log
        assert "apply: true" in log
        [shown] = [e.step_output_data.metadata for e in result.all_events if e.is_successful_output]
        assert shown["days"].value == 3
        assert f"| {HELD} | 0 | 50 |" in shown["table"].value
        assert list(instance.get_backfills()) == []

        _, log = repair(instance, **wanted, apply=True)
        [backfill] = instance.get_backfills()
        assert backfill.title == "Repair logs/known_level"
        assert f"Backfill {backfill.backfill_id} exports 3 days again" in log
        _, log = repair(instance, **wanted, apply=True)
        assert f"Not started: backfill {backfill.backfill_id}" in log

        with daemon(project, seconds=2):
            assert ended(instance, backfill.backfill_id) == "COMPLETED_SUCCESS"
        times = {day: len(materialization_records(instance, "logs", day)) for day in DAYS}
        repaired = (LEVEL_BROKEN, BOTH_BROKEN, HELD)
        assert times == {day: int(day in repaired) for day in DAYS}
        _, log = repair(instance, **wanted, apply=True)
        assert "logs: no day has rows that known_level rejected." in log
    assert days_to_repair(store, dataset(), "required").days != []


def test_days_that_are_no_partitions_any_more_are_left_out(
    broken: Backend, settings: dict[str, str], store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_all(broken, store)
    monkeypatch.setenv("EXPORTER_END_DATE", HELD)
    instance = dg.DagsterInstance.ephemeral()
    _, log = repair(instance, dataset="logs", rule="known_level", apply=True)
    assert f"EXPORTER_END_DATE: {HELD}." in log
    assert f"exports 2 days again: {LEVEL_BROKEN}, {BOTH_BROKEN}." in log


def ended(instance: dg.DagsterInstance, backfill: str) -> str:
    """The status of a backfill once it has ended."""

    def status() -> str:
        found = instance.get_backfill(backfill)
        assert found
        return str(found.status.value)

    return wait_until(status, "the backfill has ended", until=lambda found: found not in ENDING)
