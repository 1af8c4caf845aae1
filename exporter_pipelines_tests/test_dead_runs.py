"""A run whose process was killed does not stay started, and its days can be run again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from exporter_pipelines.orchestration.upkeep.dead_runs import dead_runs_sensor
from exporter_pipelines.stores.local import run_locks
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import history_of, materializations
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.waiting import wait_until
from exporter_pipelines_tests.torture.commands import mortal_project, start

DAY = "2026-11-01"
STARTED = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])


@contextmanager
def locked_logs(backend: Backend) -> Iterator[None]:
    """An export of logs waits as long as this block lasts."""
    with psycopg.connect(backend.url) as connection:
        connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        yield


def tick(instance: dg.DagsterInstance) -> str:
    context = dg.build_sensor_context(instance=instance)
    return str(dead_runs_sensor(context).skip_message)  # type: ignore[union-attr]


def started_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    return wait_until(lambda: instance.get_run_records(STARTED), "a run starts")[0].dagster_run


def test_a_killed_run_is_ended_and_a_living_one_is_not(
    project: Project, backend: Backend, settings: dict[str, str]
) -> None:
    backend.add_logs(DAY, 10)
    with locked_logs(backend):
        process = project.start("logs", partition=DAY)
        with history_of(project) as instance:
            run = started_run(instance)
            wait_until(
                lambda: run_locks.is_abandoned(project.output, run.run_id) is not None,
                "the run has its lock",
            )
            assert tick(instance) == "The process of every started run is alive."
            assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED  # type: ignore[union-attr]

            process.kill()
            process.communicate()

            assert tick(instance).startswith(f"Failed {run.run_id}. Recorded 0 days")
            assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
            assert run_locks.locked_runs(project.output) == []
            assert tick(instance) == "The process of every started run is alive."
    assert project.materialize("logs", partition=DAY).code == 0


def test_a_day_that_was_published_just_before_the_kill_is_recorded(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.add_logs(DAY, 10)
    project = mortal_project(tmp_path / "project", backend, DAY, "2026-11-15")
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(project.output))
    start(project, "published", partition_range=f"{DAY}...2026-11-02").wait(300)
    with history_of(project) as instance:
        assert materializations(instance, "logs", DAY) == []
        assert "Recorded 1 days published by them." in tick(instance)
        [recorded] = materializations(instance, "logs", DAY)
        manifest = project.manifest("logs", DAY)
        assert manifest
        assert recorded.metadata["rows_exported"].value == 10
        assert (recorded.tags or {})["dagster/data_version"] == manifest.data_version
        assert tick(instance) == "The process of every started run is alive."
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
