"""EXPORTER_BACKFILL_DAYS_PER_RUN splits the backfills of the UI, and no range of a command.

The same web server and daemon show a broken dataset, and which runs have a process.
"""

from __future__ import annotations

import sys

import dagster as dg
import psycopg
import pytest

from exporter_pipelines.definitions import build
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.orchestration.dagster_internals.run_processes import has_no_process
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import (
    create_history,
    history_of,
    materializations,
)
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.servers import (
    WORKSPACE,
    WebServer,
    code_server,
    daemon,
    kill_process_of,
    web_server,
)
from exporter_pipelines_tests.support.waiting import wait_until

VARIABLE = "EXPORTER_BACKFILL_DAYS_PER_RUN"
DATASETS = ["anomalies", "logs"]
DAYS = [f"2026-11-{day:02}" for day in range(1, 5)]
_ASSETS = """
query { assetNodes { assetKey { path } groupName description isPartitioned
  metadataEntries { label ... on TextMetadataEntry { text } } } }"""
_RUN = """
query Run($id: ID!) { logsForRun(runId: $id, limit: 1000) { ... on EventConnection { events {
  __typename ... on ExecutionStepFailureEvent { failureMetadata { description } } } } } }"""
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
    project.edit("ips", "format: jsonl", "format: xml")
    project.hurry_sensors()
    create_history(project)
    with (
        history_of(project) as instance,
        code_server(project),
        web_server(project, *WORKSPACE) as server,
        psycopg.connect(backend.url) as lock,
        daemon(project, *WORKSPACE, seconds=2),
    ):
        broken_is_listed(server, project)
        lock.execute("LOCK TABLE logs")  # the runs stay half done
        backfill = server.launch_backfill(DATASETS, DAYS)
        wait_until(
            lambda: instance.get_materialized_partitions(dg.AssetKey("anomalies")),
            "both runs have exported their days of anomalies",
            until=lambda days: days == set(DAYS),
        )
        runs = server.runs_of(backfill)
        assert list(runs.values()) == ["STARTED", "STARTED"]
        wait_until(
            lambda: [run for run in runs if "anomalies" not in ended_steps(instance, run)],
            "both runs have ended that step, so a retry does not repeat it",
            until=lambda left: not left,
        )
        killed, other = sorted(runs, key=lambda run: first_day(instance, run))
        assert not has_no_process(instance, run_of(instance, other))
        kill_process_of(project, killed)
        lock.rollback()
        ended = server.finished_backfill(backfill)
        assert ended["status"] == "COMPLETED_SUCCESS"
        statuses = {run["id"]: run["status"] for run in ended["runs"]}
        [retry] = statuses.keys() - {killed, other}
        assert statuses == {killed: "FAILURE", other: "SUCCESS", retry: "SUCCESS"}
        wait_until(
            lambda: has_no_process(instance, run_of(instance, other)),
            "the process of a run has ended, shortly after its last event",
        )
        for run in statuses:
            assert run_of(instance, run).asset_selection == {dg.AssetKey(n) for n in DATASETS}
        assert publishers(project, "anomalies") == [killed, killed, other, other]
        assert publishers(project, "logs") == [retry, retry, other, other]
        for dataset in DATASETS:  # Dagster repeats only the dataset that had not ended
            assert {len(materializations(instance, dataset, day)) for day in DAYS} == {1}
        broken_fails(server, project)

    done_by_command = project.materialize("logs", partition_range=f"{DAYS[0]}...{DAYS[-1]}")
    assert done_by_command.code == 0, done_by_command.stderr
    with history_of(project) as instance:
        [newest, *_] = instance.get_runs(limit=1)
        assert [newest.tags[tag] for tag in RANGE_TAGS] == [DAYS[0], DAYS[-1]]


def ended_steps(instance: dg.DagsterInstance, run: str) -> set[str | None]:
    events = instance.all_logs(run, of_type=dg.DagsterEventType.STEP_SUCCESS)
    return {entry.step_key for entry in events}


def problem_of_ips(project: Project) -> str:
    file = project.path / "exporter_pipelines" / "defs" / "ips" / "defs.yaml"
    return f"{file}:20: format 'xml' does not exist (there are: jsonl, json, csv, parquet)."


def broken_is_listed(server: WebServer, project: Project) -> None:
    """With its message, between the others."""
    nodes = {node["assetKey"]["path"][0]: node for node in server.ask(_ASSETS)["assetNodes"]}
    assert set(nodes) == {
        "anomalies", "export_report", "ips", "logs", "logs_errors", "logs_light", "logs_parquet",
    }  # fmt: skip
    assert nodes["ips"]["groupName"] == "exports"
    assert problem_of_ips(project) in nodes["ips"]["description"]
    problem = {"label": "problem", "text": problem_of_ips(project)}
    assert problem in nodes["ips"]["metadataEntries"]


def broken_fails(server: WebServer, project: Project) -> None:
    """Its own run fails with the same message."""
    broken = server.launch_backfill(["ips"], [DAYS[0]])
    assert server.finished_backfill(broken)["status"] == "COMPLETED_FAILED"
    [run] = server.runs_of(broken)
    events = server.ask(_RUN, id=run)["logsForRun"]["events"]
    [failure] = [e for e in events if e["__typename"] == "ExecutionStepFailureEvent"]
    said = failure["failureMetadata"]["description"]
    assert said == f"ips: {problem_of_ips(project)}"


def run_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run
    return run


def first_day(instance: dg.DagsterInstance, run_id: str) -> str:
    return run_of(instance, run_id).tags[RANGE_TAGS[0]]


def publishers(project: Project, dataset: str) -> list[str]:
    """The run that published each day."""
    manifests = [project.manifest(dataset, day) for day in DAYS]
    return [manifest.run.run_id if manifest else "" for manifest in manifests]
