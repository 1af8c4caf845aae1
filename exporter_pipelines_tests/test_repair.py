"""Repair by rule: exactly the days that hold rows which a rule rejected are exported again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exporter_pipelines.engine.repair import days_to_repair
from exporter_pipelines.errors import UnknownNameError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests import datasets
from exporter_pipelines_tests.backends import Backend
from exporter_pipelines_tests.datasets import dataset, export
from exporter_pipelines_tests.history import history_of, materialization_records
from exporter_pipelines_tests.projects import Project
from exporter_pipelines_tests.servers import daemon, web_server

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
    for day in DAYS:
        try:
            export(backend.url, dataset(**changes), day, store)
        except datasets.DayHeldError:
            assert day == HELD


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
    assert str(found) == "logs: 3 days hold 53 rows that known_level rejected."
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
    with pytest.raises(datasets.DayHeldError):
        export(broken.url, dataset(), LEVEL_BROKEN, store)
    [found] = days_to_repair(store, dataset(), "known_level").days
    assert (found.published, found.held) == (2, 50)


def test_what_a_row_says_is_not_taken_for_its_reasons(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAYS[0], 50)
    told = '{"rejections": [{"rule": "known_level", "column": "level", "value": null}]}'
    backend.run(
        "UPDATE logs SET message = NULL, source = %s, attributes = %s WHERE id = 1", [told, told]
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
    assert found.unreadable == [damaged]


def test_names_that_do_not_exist_are_told_with_those_that_do(
    broken: Backend, store: LocalStore
) -> None:
    export_all(broken, store)
    with pytest.raises(UnknownNameError, match=r"rule 'levels' does not exist \(.*known_level"):
        days_to_repair(store, dataset(), "levels")
    with pytest.raises(UnknownNameError, match="column 'lvl' does not exist"):
        days_to_repair(store, dataset(), "known_level", "lvl")
    nothing = days_to_repair(store, dataset(), "not_a_number")
    assert str(nothing) == "logs: no day holds rows that not_a_number rejected."


def repair(project: Project, tmp_path: Path, **config: object) -> str:
    """Run `repair_job` and return what it said."""
    file = tmp_path / "repair.yaml"
    lines = [f"{name}: {value}" for name, value in config.items()]
    file.write_text(f"ops: {{repair: {{config: {{{', '.join(lines)}}}}}}}\n")
    done = project.dagster(
        "job", "execute", "-m", "exporter_pipelines.definitions", "-j", "repair_job",
        "-c", str(file),
    )  # fmt: skip
    return done.stderr


def test_the_job_starts_a_backfill_of_exactly_these_days(
    project: Project, broken: Backend, tmp_path: Path
) -> None:
    assert project.dagster("instance", "migrate").code == 0
    project.materialize("logs", partition_range=f"{DAYS[0]}...{DAYS[-1]}")
    said = repair(project, tmp_path, dataset="logs", rule="levels", apply=True)
    assert "logs: rule 'levels' does not exist" in said.strip().splitlines()[-1]
    broken.run("UPDATE logs SET level = 'INFO'")  # the rule is mended
    wanted = {"dataset": "logs", "rule": "known_level"}

    said = repair(project, tmp_path, **wanted)
    assert "3 days hold 53 rows" in said
    assert "apply: true" in said
    with history_of(project) as instance:
        assert instance.get_backfills() == []

    project.set(EXPORTER_END_DATE=HELD)  # the held day is no partition any more
    said = repair(project, tmp_path, **wanted, apply=True)
    assert f"no partitions any more: {HELD}" in said
    assert "Not started again" in repair(project, tmp_path, **wanted, apply=True)
    with history_of(project) as instance:
        [backfill] = instance.get_backfills()
    assert backfill.title == "Repair logs/known_level"

    with web_server(project) as server, daemon(project):
        ended = server.finished_backfill(backfill.backfill_id)
    assert ended["status"] == "COMPLETED_SUCCESS", ended
    assert ended["numPartitions"] == 2
    with history_of(project) as instance:
        times = {day: len(materialization_records(instance, "logs", day)) for day in DAYS}
    assert times == {**dict.fromkeys(DAYS, 1), LEVEL_BROKEN: 2, BOTH_BROKEN: 2, HELD: 0}
    assert "2 days hold" not in repair(project, tmp_path, **wanted)
