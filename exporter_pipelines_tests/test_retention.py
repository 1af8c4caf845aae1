"""Retention: expired days are removed completely, others are not touched, and a tombstone stays."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
from pathlib import Path

import dagster as dg
import pytest

from exporter_pipelines.contracts.changes import CHANGES_FILE
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.engine.retention import plan, read_tombstone, remove
from exporter_pipelines.errors import DayHeldError, OutputUnavailableError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local import removal
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import history_of
from exporter_pipelines_tests.support.datasets import dataset, export, export_days
from exporter_pipelines_tests.support.processes import FORKS, die_at_rename_to
from exporter_pipelines_tests.support.projects import Project

DAYS = [f"2026-11-{day:02}" for day in range(1, 7)]
TODAY = dt.date(2026, 11, 8)


def logs(**retention: int) -> Dataset:
    return dataset(retention={"keep_at_least": 1, **retention})


@pytest.fixture
def six_days(backend: Backend, store: LocalStore) -> Backend:
    """Six published days, each with rejected rows, and a held one before them."""
    for day in ["2026-10-31", *DAYS]:
        backend.add_logs(day, 50, first_id=int(day[-2:]) * 1000)
        bad = 50 if day == "2026-10-31" else 2
        backend.add_logs(day, bad, first_id=int(day[-2:]) * 1000 + 500, level="odd")
    export_days(backend.url, logs(keep_days=1), DAYS, store)
    with pytest.raises(DayHeldError):
        export(backend.url, logs(keep_days=1), "2026-10-31", store)
    return backend


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def prune(store: LocalStore, exported: Dataset, today: dt.date = TODAY) -> list[str]:
    removed = [r for r in plan(store, exported, today) if remove(store, r)]
    return [f"{removal.day} {removal.what}" for removal in removed]


def published(store: LocalStore) -> list[str]:
    return sorted(p.name.removeprefix("date=") for p in (store.root / "logs" / "data").iterdir())


def prune_and_die(root: Path) -> None:
    die_at_rename_to(f"date={DAYS[0]}.json")
    prune(LocalStore(root), logs(keep_days=3))


def test_a_kill_while_a_tombstone_is_written_leaves_nothing_that_stays(
    six_days: Backend, store: LocalStore
) -> None:
    process = FORKS.Process(target=prune_and_die, args=(store.root,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert published(store) == DAYS
    tombstones = [path.name for path in (store.root / "logs" / "removed").iterdir()]
    assert tombstones == ["date=2026-10-31.json"]  # of the day before, which has gone
    for left in (store.root / "logs" / ".superseded").iterdir():
        os.utime(left, (0, 0))
    store.clean_up("logs")
    assert list((store.root / "logs" / ".superseded").iterdir()) == []


def test_consumers_hear_of_a_removed_day_also_if_the_prune_is_killed(
    six_days: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed_days() -> list[str]:
        lines = map(json.loads, (store.root / "logs" / CHANGES_FILE).read_bytes().splitlines())
        return [each["day"] for each in lines if each["reason"] == "prune"]

    def die(*_day: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(removal, "remove_day", die)
        with pytest.raises(KeyboardInterrupt):
            prune(store, logs(keep_days=3))
    assert removed_days() == DAYS[:1]
    prune(store, logs(keep_days=3))
    assert removed_days() == sorted(set(DAYS) - set(published(store)))


def test_days_past_their_time_go_with_their_rejected_rows_and_nothing_else(
    six_days: Backend, store: LocalStore
) -> None:
    kept = {day: contents(store.day_folder("logs", day)) for day in DAYS[3:]}
    quarantines = {day: contents(store.quarantine_folder("logs", day)) for day in DAYS[3:]}

    removed = prune(store, logs(keep_days=5))

    assert removed == [
        "2026-10-31 quarantine",
        *(f"{day} {what}" for day in DAYS[:3] for what in ("quarantine", "day")),
    ]
    assert published(store) == DAYS[3:]
    assert {day: contents(store.day_folder("logs", day)) for day in DAYS[3:]} == kept
    assert {day: contents(store.quarantine_folder("logs", day)) for day in DAYS[3:]} == quarantines
    assert prune(store, logs(keep_days=5)) == []


def test_planning_changes_nothing(six_days: Backend, store: LocalStore) -> None:
    before = contents(store.root)
    assert len(plan(store, logs(keep_days=1), TODAY)) == 11
    assert contents(store.root) == before


def test_without_retention_everything_stays(six_days: Backend, store: LocalStore) -> None:
    assert plan(store, dataset(), dt.date(2126, 1, 1)) == []


def test_the_newest_exports_stay_however_old(six_days: Backend, store: LocalStore) -> None:
    prune(store, logs(keep_days=1, keep_at_least=2), dt.date(2126, 1, 1))
    assert published(store) == DAYS[4:]
    assert sorted(p.name for p in (store.root / "logs" / "quarantine").iterdir()) == [
        f"date={day}" for day in DAYS[4:]
    ]


def test_rejected_rows_may_go_before_their_day(six_days: Backend, store: LocalStore) -> None:
    removed = prune(store, logs(keep_days=300, keep_quarantine_days=4))
    assert removed == [f"{day} quarantine" for day in ["2026-10-31", *DAYS[:4]]]
    assert published(store) == DAYS


def test_a_tombstone_says_what_went_when_and_why(six_days: Backend, store: LocalStore) -> None:
    manifest = export(six_days.url, logs(keep_days=1), DAYS[0], store)
    began = dt.datetime.now(dt.UTC)
    prune(store, logs(keep_days=7, keep_quarantine_days=7))

    tombstone = read_tombstone(store, "logs", DAYS[0])

    assert tombstone
    rejected, day = tombstone.removed
    assert (rejected.what, day.what) == ("quarantine", "day")
    assert day.reason == "keep_days: 7"
    assert (day.record_count, day.data_version) == (50, manifest.data_version)
    assert day.removed_at >= began
    assert day.size_bytes > 0
    assert tombstone.covers("day", manifest.export_timestamp)
    assert not tombstone.covers("day", dt.datetime.now(dt.UTC))


def test_a_reader_of_a_day_that_leaves_can_finish(six_days: Backend, store: LocalStore) -> None:
    reader = open_day(store, "logs", DAYS[0])
    prune(store, logs(keep_days=1))
    store.clean_up("logs")
    assert reader.read_all().num_rows == 50


def test_a_day_that_was_exported_anew_since_it_was_planned_stays(
    six_days: Backend, store: LocalStore
) -> None:
    planned = plan(store, logs(keep_days=7), TODAY)
    six_days.run("UPDATE logs SET message = 'new' WHERE id = 1000")
    export(six_days.url, logs(keep_days=7), DAYS[0], store)

    assert [remove(store, r) for r in planned if r.day == DAYS[0]] == [False, False]
    assert published(store) == DAYS


def test_a_removed_day_can_be_exported_again(six_days: Backend, store: LocalStore) -> None:
    prune(store, logs(keep_days=1))
    export(six_days.url, logs(keep_days=1), DAYS[0], store)
    assert DAYS[0] in published(store)
    assert prune(store, logs(keep_days=1)) == [f"{DAYS[0]} quarantine", f"{DAYS[0]} day"]
    tombstone = read_tombstone(store, "logs", DAYS[0])
    assert tombstone
    assert len(tombstone.removed) == 4


@pytest.mark.parametrize("planted", ["data", "quarantine", "removed", ".superseded"])
def test_nothing_is_removed_through_a_symbolic_link(
    six_days: Backend, store: LocalStore, tmp_path: Path, planted: str
) -> None:
    victim = store.root / "logs" / planted
    elsewhere = tmp_path / "elsewhere"
    if victim.exists():
        os.rename(victim, elsewhere)
    else:
        elsewhere.mkdir()
    victim.symlink_to(elsewhere)
    before = contents(elsewhere)
    try:
        prune(store, logs(keep_days=1))
    except OutputUnavailableError as error:
        assert "symbolic link" in str(error)  # noqa: PT017 - some places are only passed over
    assert contents(elsewhere) == before


def retain(project: Project, newest: int) -> None:
    """All days lie in the past, so the newest ones alone stay."""
    project.edit(
        "logs",
        "  schedule:",
        f"  retention: {{keep_days: 1, keep_at_least: {newest}}}\n  schedule:",
    )


def test_the_command_lists_what_would_go_and_removes_with_apply(
    six_days: Backend, project: Project
) -> None:
    retain(project, newest=4)

    said = project.exporter("prune")
    assert said.code == 0
    assert "would remove  logs 2026-11-01 day" in said.stdout
    assert project.manifest("logs", "2026-11-01")
    both = project.exporter("prune", "--dataset", "logs", "--dataset", "ips")
    assert "would remove  logs 2026-11-01 day" in both.stdout

    done = project.exporter("prune", "--apply")
    assert done.code == 0
    assert "removed  logs 2026-11-02 quarantine" in done.stdout
    assert project.manifest("logs", "2026-11-02") is None
    assert project.manifest("logs", "2026-11-03")
    assert (
        project.exporter("prune").stdout == "Nothing to remove: no export is past its retention.\n"
    )
    assert project.exporter("prune", "--dataset", "nope").code == 2


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("  shedule:", "ips/defs.yaml:25: shedule: there is no such setting."),
        ("  schedule: [", "ips/defs.yaml:26: not valid YAML: "),
    ],
)
def test_a_broken_file_keeps_its_dataset_alone(
    six_days: Backend, project: Project, broken: str, said: str
) -> None:
    retain(project, newest=4)
    project.edit("ips", "  schedule:", broken)
    done = project.exporter("prune", "--apply")
    assert done.code == 1
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert "ips: nothing is removed." in done.stderr
    assert project.manifest("logs", "2026-11-01") is None


def test_the_job_prunes_the_others_of_a_broken_dataset_and_fails(
    six_days: Backend, project: Project
) -> None:
    retain(project, newest=4)
    project.edit("ips", "  schedule:", "  shedule:")
    apply = project.path / "apply.yaml"
    apply.write_text("ops: {prune: {config: {apply: true}}}")
    job = ("job", "execute", "-m", "exporter_pipelines.definitions", "-j", "prune_job")
    done = project.dagster(*job, "-c", str(apply))
    assert done.code == 1
    assert "ips/defs.yaml:25: shedule: there is no such setting." in done.last_words
    assert project.manifest("logs", "2026-11-01") is None


def test_the_job_removes_only_when_told_and_notes_it_at_the_day(
    six_days: Backend, project: Project
) -> None:
    retain(project, newest=5)
    assert project.materialize("logs", partition_range="2026-11-01...2026-11-02").code == 0
    job = ("job", "execute", "-m", "exporter_pipelines.definitions", "-j", "prune_job")

    assert project.dagster(*job).code == 0
    assert project.manifest("logs", "2026-11-01")

    config = project.path / "apply.yaml"
    config.write_text("ops: {prune: {config: {apply: true}}}")
    assert project.dagster(*job, "-c", str(config)).code == 0
    assert project.manifest("logs", "2026-11-01") is None
    assert project.manifest("logs", "2026-11-02")
    with history_of(project) as instance:
        seen = instance.fetch_observations(dg.AssetKey("logs"), limit=10).records
        assert {(r.partition_key, r.asset_observation.metadata["removed"].value) for r in seen} == {
            ("2026-10-31", "quarantine"),
            ("2026-11-01", "quarantine"),
            ("2026-11-01", "day"),
        }
        kept = instance.get_materialized_partitions(dg.AssetKey("logs"))
        assert kept == {"2026-11-01", "2026-11-02"}
