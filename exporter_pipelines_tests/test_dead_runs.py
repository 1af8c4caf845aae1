"""A run whose process was killed does not stay started, and its days can be run again."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from exporter_pipelines.orchestration.dagster_internals.stored_values import read_value, write_value
from exporter_pipelines.orchestration.exports.run_presence import (
    Presence,
    locks_folder,
    presence_of,
    this_host,
)
from exporter_pipelines.orchestration.upkeep.dead_runs import dead_runs_sensor
from exporter_pipelines.stores.local import run_locks
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import (
    create_history,
    history_of,
    materializations,
)
from exporter_pipelines_tests.support.projects import Project, copy_project
from exporter_pipelines_tests.support.waiting import wait_until
from exporter_pipelines_tests.torture.commands import mortal_project, start

DAY = "2026-11-01"
ALIVE = "The process of every started run is alive."
STARTED = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])


@contextmanager
def locked_logs(backend: Backend) -> Iterator[None]:
    """An export of logs waits as long as this block lasts."""
    with psycopg.connect(backend.url) as connection:
        connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        yield


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> str:
    return ticked(instance, cursor)[0]


def ticked(instance: dg.DagsterInstance, cursor: str | None = None) -> tuple[str, str]:
    """What the sensor said, and its cursor for the next tick."""
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    skipped = dead_runs_sensor(context)
    return str(skipped.skip_message), str(context.cursor)  # type: ignore[union-attr]


@pytest.fixture
def project(project: Project) -> Project:
    """The test looks at the history while a command of it begins."""
    create_history(project)
    return project


def started_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """The only run, once it shows that it is alive."""
    run = wait_until(lambda: instance.get_run_records(STARTED), "a run starts")[0].dagster_run
    wait_until(lambda: presence_of(instance, run.run_id), "the run shows that it is alive")
    return run


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    return instance.get_run_by_id(run.run_id).status.value  # type: ignore[union-attr]


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    # Dagster's copy of the output, `tail`, may outlive it and keep the pipes open.
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def test_a_killed_run_is_ended_and_a_living_one_is_not(
    project: Project, backend: Backend, settings: dict[str, str]
) -> None:
    backend.add_logs(DAY, 10)
    with locked_logs(backend):
        process = project.start("logs", partition=DAY)
        with history_of(project) as instance:
            run = started_run(instance)
            assert tick(instance) == ALIVE
            assert status_of(instance, run) == "STARTED"
            kill(process)
            assert tick(instance).startswith(f"Failed {run.run_id}. Recorded 0 published days")
            assert status_of(instance, run) == "FAILURE"
            assert run_locks.locked_runs(locks_folder(instance)) == []
            assert presence_of(instance, run.run_id) is None
            assert tick(instance) == ALIVE
    assert project.materialize("logs", partition=DAY).code == 0


def test_a_run_that_ended_leaves_neither_lock_nor_lease(project: Project, backend: Backend) -> None:
    backend.add_logs(DAY, 10)
    assert project.materialize("logs", partition=DAY).code == 0
    with history_of(project) as instance:
        [run] = instance.get_runs()
        assert presence_of(instance, run.run_id) is None
        assert locks_folder(instance).is_dir()
        assert run_locks.locked_runs(locks_folder(instance)) == []
    assert not (project.output / ".runs").exists()


def test_a_killed_run_is_ended_after_the_output_folder_changed(
    project: Project, backend: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with locked_logs(backend):
        process = project.start("logs", partition=DAY)
        with history_of(project) as instance:
            run = started_run(instance)
            monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(tmp_path / "elsewhere"))
            assert tick(instance) == ALIVE
            kill(process)
            assert tick(instance).startswith(f"Failed {run.run_id}.")


def test_projects_with_the_same_output_folder_judge_their_own_runs_only(
    project: Project, backend: Backend, settings: dict[str, str], tmp_path: Path
) -> None:
    other = copy_project(tmp_path / "other", settings)
    assert other.output == project.output
    create_history(other)
    with locked_logs(backend):
        process = project.start("logs", partition=DAY)
        with history_of(project) as instance:
            run = started_run(instance)
            kill(process)
        with history_of(other) as others:
            assert tick(others) == ALIVE
        with history_of(project) as instance:
            assert run_locks.locked_runs(locks_folder(instance)) == [run.run_id]
            assert tick(instance).startswith(f"Failed {run.run_id}.")


@pytest.fixture
def elsewhere(settings: dict[str, str]) -> Iterator[tuple[dg.DagsterInstance, dg.DagsterRun]]:
    """A started run of another host, which has renewed its lease three times."""
    with dg.instance_for_test() as instance:
        job = dg.Definitions(assets=[_asset]).resolve_implicit_global_asset_job_def()
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        renew(instance, run, 3)
        yield instance, run


@dg.asset
def _asset() -> None: ...


def renew(instance: dg.DagsterInstance, run: dg.DagsterRun, renewals: int) -> None:
    """As the other host does."""
    presence = Presence("other-host", "a-boot", f"/nowhere/{run.run_id}.lock", renewals)
    write_value(instance, f"exporter_pipelines/runs/{run.run_id}", json.dumps(asdict(presence)))


def later(cursor: str, seconds: float) -> str:
    """The cursor as it is when the leases in it were first seen this much earlier."""
    stored = json.loads(cursor)
    leases = json.loads(stored["leases"])
    leases["seen"] = [[run, lease, since - seconds] for run, lease, since in leases["seen"]]
    return json.dumps({**stored, "leases": json.dumps(leases)})


def test_a_run_of_another_host_is_ended_when_its_lease_is_not_renewed(
    elsewhere: tuple[dg.DagsterInstance, dg.DagsterRun],
) -> None:
    instance, run = elsewhere
    said, cursor = ticked(instance)
    assert said == ALIVE
    said, cursor = ticked(instance, later(cursor, 230))
    assert said == ALIVE, "four minutes are not over"
    renew(instance, run, 4)
    said, cursor = ticked(instance, later(cursor, 230))
    assert said == ALIVE, "it was renewed"
    said, cursor = ticked(instance, later(cursor, 241))
    assert said.startswith(f"Failed {run.run_id}.")
    assert status_of(instance, run) == "FAILURE"
    assert "on the host other-host has not renewed its lease for 4 minutes" in last_event(
        instance, run
    )


def test_a_sensor_that_was_away_observes_leases_from_the_beginning(
    elsewhere: tuple[dg.DagsterInstance, dg.DagsterRun],
) -> None:
    instance, run = elsewhere
    _, cursor = ticked(instance)
    stored = json.loads(later(cursor, 1000))
    leases = json.loads(stored["leases"])
    leases["at"] -= 500
    said, _ = ticked(instance, json.dumps({**stored, "leases": json.dumps(leases)}))
    assert said == ALIVE
    assert status_of(instance, run) == "STARTED"


def test_a_run_of_an_earlier_boot_of_this_host_is_judged_by_its_lease(
    elsewhere: tuple[dg.DagsterInstance, dg.DagsterRun], tmp_path: Path
) -> None:
    _, run = elsewhere
    lock = tmp_path / f"{run.run_id}.lock"
    lock.write_text("")
    presence = Presence(this_host()[0], "an-earlier-boot", str(lock), 3)
    assert presence.holds_lock is None
    assert replace(presence, boot=this_host()[1]).holds_lock is False


def test_a_killed_run_of_another_host_is_ended_without_its_lock(
    project: Project, backend: Backend, settings: dict[str, str]
) -> None:
    other_host = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', "worker-2"]
    if subprocess.run([*other_host, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not start a process with another host name")
    with locked_logs(backend):
        process = project.start("logs", partition=DAY, within=other_host)
        with history_of(project) as instance:
            run = started_run(instance)
            kill(process)
            said, cursor = ticked(instance)
            assert said == ALIVE, "its lock is free, but that is unknown here"
            said, _ = ticked(instance, later(cursor, 241))
            assert said.startswith(f"Failed {run.run_id}.")
            assert "on the host worker-2 has not renewed" in last_event(instance, run)


@pytest.mark.parametrize(("seconds", "ended"), [(230, False), (250, True)])
def test_an_export_that_was_killed_before_it_announced_itself_is_ended(
    settings: dict[str, str], seconds: int, ended: bool
) -> None:
    with dg.instance_for_test() as instance:
        logs = dg.asset(name="logs")(lambda: None)
        job = dg.Definitions(assets=[_asset, logs]).resolve_implicit_global_asset_job_def()
        run, other = (
            instance.create_run_for_job(job, asset_selection=frozenset({dg.AssetKey(name)}))
            for name in ("logs", "_asset")
        )
        began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)
        for each in (run, other):
            start = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, each.job_name)
            instance.run_storage.handle_run_event(each.run_id, start, began)
        said = tick(instance)
        assert said.startswith(f"Failed {run.run_id}." if ended else ALIVE)
        assert status_of(instance, other) == "STARTED"


def last_event(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    [entry] = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return str(entry.dagster_event and entry.dagster_event.message)


def test_a_run_renews_its_lease(
    project: Project, backend: Backend, settings: dict[str, str]
) -> None:
    presence = project.path / "exporter_pipelines/orchestration/exports/run_presence.py"
    text = presence.read_text()
    assert "RENEW_SECONDS = 60.0" in text
    presence.write_text(text.replace("RENEW_SECONDS = 60.0", "RENEW_SECONDS = 0.1"))
    with locked_logs(backend):
        process = project.start("logs", partition=DAY)
        with history_of(project) as instance:
            run = started_run(instance)
            key = f"exporter_pipelines/runs/{run.run_id}"
            wait_until(
                lambda: json.loads(read_value(instance, key) or "{}")["renewals"] > 2,
                "the lease is renewed",
            )
            kill(process)


def test_a_day_that_was_published_just_before_the_kill_is_recorded(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.add_logs(DAY, 10)
    project = mortal_project(tmp_path / "project", backend, DAY, "2026-11-15")
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(project.output))
    start(project, "published", partition_range=f"{DAY}...2026-11-02").wait(300)
    with history_of(project) as instance:
        assert materializations(instance, "logs", DAY) == []
        assert "Recorded 1 published days." in tick(instance)
        [recorded] = materializations(instance, "logs", DAY)
        manifest = project.manifest("logs", DAY)
        assert manifest
        assert recorded.metadata["rows_exported"].value == 10
        assert (recorded.tags or {})["dagster/data_version"] == manifest.data_version
        assert tick(instance) == ALIVE
        assert instance.get_materialized_partitions(dg.AssetKey("logs")) == {DAY}


def test_a_lock_that_cannot_be_written_is_no_reason_to_fail(
    store_root_is_a_file: str, project: Project, backend: Backend
) -> None:
    done = project.materialize("logs", partition=DAY)
    assert done.code == 1
    assert "A file exists where a folder is needed; move it away" in done.last_words


@pytest.fixture
def store_root_is_a_file(project: Project) -> str:
    project.output.parent.mkdir(exist_ok=True)
    project.output.write_text("")
    return str(project.output)
