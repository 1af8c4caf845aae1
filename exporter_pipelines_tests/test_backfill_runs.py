"""EXPORTER_BACKFILL_DAYS_PER_RUN splits the backfills of the UI, and no range of a command."""

from __future__ import annotations

import sys

import dagster as dg
import psycopg
import pytest

from exporter_pipelines.definitions import build
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import history_of, materializations
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.servers import daemon, kill_process_of, web_server
from exporter_pipelines_tests.support.waiting import wait_until

VARIABLE = "EXPORTER_BACKFILL_DAYS_PER_RUN"
DATASETS = ["anomalies", "logs"]
DAYS = [f"2026-11-{day:02}" for day in range(1, 5)]
RANGE_TAGS = [f"dagster/asset_partition_range_{end}" for end in ("start", "end")]


def policies(monkeypatch: pytest.MonkeyPatch, *command: str) -> set[dg.BackfillPolicy | None]:
    """Of all assets with partitions, in a process with this command line."""
    monkeypatch.setattr(sys, "argv", list(command))
    graph = build().get_repository_def().asset_graph
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    return {node.backfill_policy for node in nodes if node.partitions_def}


@pytest.mark.parametrize(
    "command",
    [
        ("/venv/bin/dagster", "api", "grpc", "--socket", "/tmp/code.sock"),
        ("/venv/bin/dagster", "code-server", "start", "--port", "4000"),
    ],
)
def test_all_assets_of_a_code_server_have_the_same_policy(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    single_run = dg.BackfillPolicy.single_run()
    assert policies(monkeypatch, *command) == {single_run}
    monkeypatch.setenv(VARIABLE, "30")
    assert policies(monkeypatch, *command) == {dg.BackfillPolicy.multi_run(30)}
    assert policies(monkeypatch, "/venv/bin/dagster", "asset", "materialize") == {single_run}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0", f"{VARIABLE}='0' is not a whole number of 1 or more."),
        ("a month", f"{VARIABLE}='a month' is not a whole number of 1 or more."),
        (
            "367",
            f"{VARIABLE}=367 is more than EXPORTER_MAX_DAYS=366, so each of these runs would fail. "
            "Choose fewer days for each run, or increase EXPORTER_MAX_DAYS.",
        ),
    ],
)
def test_an_unusable_number_is_refused(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ConfigurationError) as refused:
        policies(monkeypatch, "dagster", "api", "grpc")
    assert str(refused.value) == message


@pytest.mark.slow
def test_a_backfill_of_the_ui_is_split_into_runs(project: Project, backend: Backend) -> None:
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 20, first_id=1000 * number)
    project.set(**{VARIABLE: "2"})
    project.hurry_sensors()
    assert project.dagster("instance", "migrate").code == 0
    with (
        history_of(project) as instance,
        web_server(project) as server,
        psycopg.connect(backend.url) as lock,
        daemon(project, seconds=2),
    ):
        lock.execute("LOCK TABLE logs")  # the runs stay half done
        backfill = server.launch_backfill(DATASETS, DAYS)
        wait_until(
            lambda: instance.get_materialized_partitions(dg.AssetKey("anomalies")),
            "both runs have exported their days of anomalies",
            until=lambda days: days == set(DAYS),
        )
        runs = server.runs_of(backfill)
        assert list(runs.values()) == ["STARTED", "STARTED"]
        killed, other = sorted(runs, key=lambda run: first_day(instance, run))
        kill_process_of(project, killed)
        lock.rollback()
        ended = server.finished_backfill(backfill)
        assert ended["status"] == "COMPLETED_SUCCESS"
        statuses = {run["id"]: run["status"] for run in ended["runs"]}
        [retry] = statuses.keys() - {killed, other}
        assert statuses == {killed: "FAILURE", other: "SUCCESS", retry: "SUCCESS"}
        for run in statuses:
            selected = instance.get_run_by_id(run).asset_selection  # type: ignore[union-attr]
            assert selected == {dg.AssetKey(name) for name in DATASETS}
        assert publishers(project, "anomalies") == [killed, killed, other, other]
        assert publishers(project, "logs") == [retry, retry, other, other]
        for dataset in DATASETS:  # Dagster repeats only the dataset that had not ended
            assert {len(materializations(instance, dataset, day)) for day in DAYS} == {1}

    done_by_command = project.materialize("logs", partition_range=f"{DAYS[0]}...{DAYS[-1]}")
    assert done_by_command.code == 0, done_by_command.stderr
    with history_of(project) as instance:
        [newest, *_] = instance.get_runs(limit=1)
        assert [newest.tags[tag] for tag in RANGE_TAGS] == [DAYS[0], DAYS[-1]]


def first_day(instance: dg.DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    assert run
    return run.tags[RANGE_TAGS[0]]


def publishers(project: Project, dataset: str) -> list[str]:
    """The run that published each day."""
    manifests = [project.manifest(dataset, day) for day in DAYS]
    return [manifest.run.run_id if manifest else "" for manifest in manifests]
