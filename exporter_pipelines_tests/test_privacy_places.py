"""A hostile day under a policy, in every format and from both databases: nothing raw anywhere.

One export per database, and then a search of everything that is kept or answered: data, manifests,
cards, schemas, quarantines, ledger, fingerprints, report, Dagster's history, the service's answers.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from fastapi.routing import APIRoute

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.orchestration.dagster_internals.web_server import open_workspace
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.orchestration.report.asset import NAME as REPORT
from exporter_pipelines.orchestration.report.asset import export_report
from exporter_pipelines.service.app import create_api
from exporter_pipelines.service.context import ServeOptions, ServiceContext
from exporter_pipelines.service.routes import ROUTERS
from exporter_pipelines_tests.support.api_clients import client_of
from exporter_pipelines_tests.support.databases import DATABASES
from exporter_pipelines_tests.support.planted_values import values_of
from exporter_pipelines_tests.support.private_days import DAY, RAW, ROWS, everything_below
from exporter_pipelines_tests.support.private_project import (
    DATASETS,
    LEAKING,
    PrivateProject,
    private_project,
)
from exporter_pipelines_tests.support.runs import Runner

LOGS = [name for name in DATASETS if name.startswith("logs_in_")]


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateProject]:
    """The day is exported in all formats, held for a leak once, and there is a report."""
    folder = tmp_path_factory.mktemp(request.param)
    with (
        DATABASES[request.param](request, folder) as database,
        private_project(folder / "project", database) as found,
    ):
        done = found.run("export", *DATASETS, DAY)
        assert done.exit_code == 0, done.output
        held = found.run("export", LEAKING, DAY)
        assert held.exit_code == 1, held.output
        assert "Raw identifiers were found" in held.output
        assert_nothing_raw(done.output + held.output)
        assert found.run("verify", *DATASETS, "--privacy", "--source").exit_code == 0
        _render_report(found)
        yield found


def _render_report(project: PrivateProject) -> None:
    datasets = [Definitions().named(name) for name in DATASETS]
    report = export_report({each.name: "" for each in datasets}, daily_partitions())
    with dg.DagsterInstance.from_config(str(project.home)) as instance:
        runner = Runner(datasets, [report], instance)
        for select in ("anomalies", REPORT):
            assert runner.run(select, DAY).success


def assert_nothing_raw(text: str) -> None:
    assert [raw for raw in RAW if raw in text.lower()] == []


def rows_of(project: PrivateProject, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = open_day(project.store, name, DAY).read_all().to_pylist()
    return rows


def test_no_byte_on_disk_is_raw(project: PrivateProject) -> None:
    assert_nothing_raw(everything_below(project.home))
    for database in project.home.rglob("*.db"):
        assert_nothing_raw(values_of(database))
    kinds = {
        file.name.partition(".")[0] for file in project.store.root.rglob("*") if file.is_file()
    }
    assert {"_manifest", "README", "schema", "croissant", "index", "date=2026-11-01"} <= kinds


def test_no_row_is_raw_and_all_formats_say_the_same(project: PrivateProject) -> None:
    first, *others = [rows_of(project, name) for name in LOGS]
    assert len(first) == len(ROWS) - 1
    assert all(other == first for other in others)
    for name in DATASETS:
        rows = rows_of(project, name)
        assert_nothing_raw(json.dumps(rows, ensure_ascii=False, default=str))
        manifest = Manifest.from_json(project.store.read_manifest(name, DAY) or b"")
        assert manifest.privacy
        assert manifest.privacy.leak_check
        assert manifest.privacy.leak_check.hits == 0
    for row in first:
        json.loads(row["attributes"] or "null")


def test_an_address_has_one_pseudonym_everywhere(project: PrivateProject) -> None:
    seen = {row["id"]: row["address"] for row in rows_of(project, "ips")}
    assert len(set(seen.values())) == 3
    for row in rows_of(project, "ips"):
        assert json.loads(row["labels"]) == [row["address"], "botnet"]
    for row in rows_of(project, "anomalies"):
        assert row["ip"] == seen[row["id"]]
        assert json.loads(row["details"])["why"].startswith(f"many from [{row['ip']}]:443 by user-")
    for name in LOGS:
        rows = rows_of(project, name)
        assert (rows[0]["ip"], rows[1]["ip"], rows[3]["ip"]) == (seen[1], seen[2], seen[1])
        assert rows[0]["message"].startswith(f"{seen[1]}:8080 opened by user-")
        assert rows[1]["message"] == f"[{seen[2]}]:443 std::vector 12:34:56"


def test_no_fingerprint_can_be_computed_without_the_key(project: PrivateProject) -> None:
    text = everything_below(project.store.root)
    keys = ["10.1.2.3", "2001:db8::77", "fd00::9", *(str(n) for n in range(20))]
    guesses = {
        hashlib.sha256(f"{count}|{key}{ending}".encode()).hexdigest()[:32]
        for count in range(20)
        for key in keys
        for ending in ("", "/32", "/128")
    }
    assert not [guess for guess in guesses if guess in text]


def test_no_answer_of_the_service_is_raw(project: PrivateProject, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text("load_from: []\n")
    with (
        dg.DagsterInstance.from_config(str(project.home)) as instance,
        open_workspace(instance, workspace) as opened,
    ):
        api = create_api(ServiceContext(opened, project.store, ServeOptions()))
        client = client_of(api, "operator", "quarantine", "metrics")
        answers = []
        for path in _paths(project, client):
            answer = client.get(path)
            answers.append((answer.status_code, path))
            data = answer.content
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
            assert_nothing_raw(data.decode("utf-8", "replace") + str(answer.headers))
        body = {"datasets": DATASETS, "start_date": DAY, "end_date": DAY}
        preview = client.post("/api/v1/exports/preview", json=body)
        assert preview.status_code == 200, preview.text
        assert_nothing_raw(preview.text)
    good = [path for status, path in answers if status == 200]
    for part in ("/quarantine", "/manifest", "/card", "/schema", "/rows", "/files/", "/report/",
                 "/metrics", "/history", "/status/"):  # fmt: skip
        assert any(part in path for path in good), (part, answers)


def _paths(project: PrivateProject, client: Any) -> Iterator[str]:
    """Every path that can be read, with every parameter that the project has."""
    exports = client.get("/api/v1/exports").json()["items"]
    files = {
        name: [file.path for file in Manifest.from_json(
            project.store.read_manifest(name, DAY) or b"").files]
        for name in DATASETS
    }  # fmt: skip
    for route in (route for router in ROUTERS for route in router.routes):
        if not isinstance(route, APIRoute) or "GET" not in (route.methods or ()):
            continue
        if "/docs" in route.path or "/login" in route.path or route.path.endswith("/events"):
            continue
        path = re.sub(r":path}", "}", route.path).replace("{day}", DAY)
        query = f"?start_date={DAY}&end_date={DAY}" if path.endswith("/rows") else ""
        for name in DATASETS if "{dataset}" in path else [""]:
            of_dataset = path.replace("{dataset}", name)
            named = files.get(name, ["report.css"]) if "{name}" in path else [""]
            for file in named:
                of_file = of_dataset.replace("{name}", file)
                for export in exports if "{export_id}" in path else [{"id": ""}]:
                    yield of_file.replace("{export_id}", export["id"]) + query
