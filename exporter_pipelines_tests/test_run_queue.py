"""The run queue of dagster.yaml keeps to the limit of a pool from its first run on."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.run_coordinator import SubmitRunContext
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)

from exporter_pipelines.definitions import build
from exporter_pipelines.orchestration.dagster_internals.web_server import open_workspace
from exporter_pipelines_tests.support.projects import ROOT

POOL = "exporter_source_url"


def submit(instance: dg.DagsterInstance, *names: str) -> None:
    """Put a run of each asset into the queue."""
    job = build().get_repository_def().get_implicit_global_asset_job_def()
    location = RegisteredCodeLocationOrigin("exporter_pipelines")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job.name)
    # Where the run would be started is of no matter before it leaves the queue.
    nowhere = Path("workspace.yaml")
    nowhere.write_text("load_from: []\n")
    with open_workspace(instance, nowhere) as workspace:
        for name in names:
            run = instance.create_run_for_job(
                job, asset_selection=frozenset({dg.AssetKey(name)}), remote_job_origin=origin
            )
            submitted = SubmitRunContext(run, workspace.create_request_context())
            instance.run_coordinator.submit_run(submitted)


@pytest.mark.parametrize("file", ["dagster.yaml", "deploy/dagster.yaml"])
def test_the_first_runs_of_a_pool_are_as_many_as_it_allows(
    settings: dict[str, str], tmp_path: Path, file: str
) -> None:
    config = yaml.safe_load((ROOT / file).read_text())
    config["storage"] = yaml.safe_load((ROOT / "dagster.yaml").read_text())["storage"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    with chdir(tmp_path), dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        submit(instance, "anomalies", "ips", "logs", "logs_light")
        daemon = QueuedRunCoordinatorDaemon(interval_seconds=5)
        first = daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)
        assert len(first) == 3
        [limit] = instance.event_log_storage.get_pool_limits()
        assert (limit.name, limit.limit, limit.from_default) == (POOL, 3, True)


def test_a_limit_that_was_set_by_hand_stays(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    with chdir(tmp_path), dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.event_log_storage.set_concurrency_slots(POOL, 1)
        submit(instance, "logs")
        [limit] = instance.event_log_storage.get_pool_limits()
        assert (limit.limit, limit.from_default) == (1, False)
