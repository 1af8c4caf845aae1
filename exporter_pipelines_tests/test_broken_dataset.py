"""A broken dataset in the real UI: it is listed with its message, and the others are exported."""

from __future__ import annotations

import pytest

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.servers import daemon, web_server

DAY = "2026-11-01"
_ASSETS = """
query { assetNodes { assetKey { path } groupName description isPartitioned
  metadataEntries { label ... on TextMetadataEntry { text } } } }"""
_RUN = """
query Run($id: ID!) { logsForRun(runId: $id, limit: 1000) { ... on EventConnection { events {
  __typename ... on ExecutionStepFailureEvent { failureMetadata { description } } } } } }"""


@pytest.mark.slow
def test_the_others_are_exported_beside_a_broken_dataset(
    project: Project, backend: Backend
) -> None:
    backend.add_logs(DAY, 5)
    project.edit("ips", "format: jsonl", "format: xml")
    file = project.path / "exporter_pipelines" / "defs" / "ips" / "defs.yaml"
    message = f"{file}:20: format 'xml' does not exist (there are: jsonl, json, csv, parquet)."
    assert project.dagster("instance", "migrate").code == 0
    with web_server(project) as server, daemon(project, seconds=1):
        nodes = {node["assetKey"]["path"][0]: node for node in server.ask(_ASSETS)["assetNodes"]}
        assert set(nodes) == {
            "anomalies", "export_report", "ips", "logs", "logs_errors", "logs_light",
            "logs_parquet",
        }  # fmt: skip
        assert nodes["ips"]["groupName"] == "exports"
        assert message in nodes["ips"]["description"]
        assert {"label": "problem", "text": message} in nodes["ips"]["metadataEntries"]
        good = server.launch_backfill(["anomalies", "logs"], [DAY])
        assert server.finished_backfill(good)["status"] == "COMPLETED_SUCCESS"
        assert project.manifest("logs", DAY)
        assert project.manifest("anomalies", DAY)
        broken = server.launch_backfill(["ips"], [DAY])
        assert server.finished_backfill(broken)["status"] == "COMPLETED_FAILED"
        [run] = server.runs_of(broken)
        events = server.ask(_RUN, id=run)["logsForRun"]["events"]
        [failure] = [e for e in events if e["__typename"] == "ExecutionStepFailureEvent"]
        assert failure["failureMetadata"]["description"] == f"ips: {message}"
