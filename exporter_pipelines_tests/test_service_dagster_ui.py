"""The Dagster UI behind the guard: what each role may do in it, and who is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dagster_graphql.schema import create_schema
from graphql import GraphQLInputType, GraphQLNonNull, get_named_type
from starlette.testclient import TestClient

from exporter_pipelines.orchestration.dagster_internals.graphql_documents import mutations_in
from exporter_pipelines.service.app import create_app
from exporter_pipelines.service.context import ServeOptions
from exporter_pipelines.service.tokens import add_token
from exporter_pipelines_tests.support.backends import ANOMALIES, IPS, LOGS, fresh_database
from exporter_pipelines_tests.support.in_process_service import (
    InProcessService,
    in_process_service,
)

SCHEMA = create_schema().graphql_schema
MUTATIONS = sorted(SCHEMA.mutation_type.fields)
LAUNCH = """mutation Run($tags: [ExecutionTag!]) { launchRun(executionParams: {
  selector: {repositoryLocationName: "exporter_pipelines",
             repositoryName: "__repository__", jobName: "logs_job"},
  executionMetadata: {tags: $tags}, runConfigData: {}})
  { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
BACKFILL = """mutation Days($tags: [ExecutionTag!]) { launchPartitionBackfill(backfillParams: {
  assetSelection: [{path: ["logs"]}], partitionNames: ["2026-11-01", "2026-11-03"], tags: $tags})
  { __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""


class Users:
    """A service, its tokens by role, and its audit file."""

    def __init__(self, service: InProcessService, folder: Path) -> None:
        self.instance = service.context.instance
        self.tokens = {
            role: add_token(folder / ".tokens", f"{role}-name", frozenset({role}), None)
            for role in ("viewer", "exporter", "operator")
        }
        self._audit = folder / ".dagster" / "audit.jsonl"
        self._app = create_app(service.context)
        read_only = replace(service.context, options=ServeOptions(read_only=True))
        self._read_only_app = create_app(read_only)

    def ask(
        self, role: str, body: object, path: str = "/graphql", *, read_only: bool = False
    ) -> Any:
        """The answer to a GraphQL request of a role."""
        app = self._read_only_app if read_only else self._app
        client = TestClient(app, "http://127.0.0.1:3000", raise_server_exceptions=False)
        text = body if isinstance(body, str) else json.dumps(body)
        headers = {
            "Authorization": f"Bearer {self.tokens[role]}", "Content-Type": "application/json",
        }  # fmt: skip
        return client.post(path, content=text, headers=headers)

    def audit(self) -> list[dict[str, str]]:
        """Its lines."""
        return [json.loads(line) for line in self._audit.read_text().splitlines()]


@pytest.fixture(scope="module")
def users(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    folder = tmp_path_factory.mktemp("ui")
    with fresh_database(postgres_url) as backend:
        backend.run(";".join((LOGS, ANOMALIES, IPS)))
        with in_process_service(folder, backend.url, queue=True) as service:
            yield Users(service, folder / "project")


def document(name: str) -> str:
    """A mutation with a value for each argument that it needs."""
    field = SCHEMA.mutation_type.fields[name]
    needed = [a for a, d in field.args.items() if isinstance(d.type, GraphQLNonNull)]
    given = ", ".join(f"{a}: {example(field.args[a].type)}" for a in needed)
    return f"mutation {{ {name}{f'({given})' if given else ''} {{ __typename }} }}"


def example(kind: GraphQLInputType, depth: int = 0) -> str:
    """Some value of a type: permissions are checked before values are."""
    named = get_named_type(kind)
    if "[" in str(kind):
        return "[]"
    if fields := getattr(named, "fields", None):
        needed = {n: f.type for n, f in fields.items() if isinstance(f.type, GraphQLNonNull)}
        return "{" + ", ".join(f"{n}: {example(t, depth + 1)}" for n, t in needed.items()) + "}"
    if values := getattr(named, "values", None):
        return str(next(iter(values)))
    return {"Int": "1", "Float": "1.0", "Boolean": "true"}.get(named.name, '"x"')


@pytest.mark.parametrize("role", ["viewer", "exporter"])
def test_every_mutation_is_refused_to_who_is_no_operator(users: Users, role: str) -> None:
    assert len(MUTATIONS) >= 40
    statuses = {name: users.ask(role, {"query": document(name)}).status_code for name in MUTATIONS}
    assert statuses == dict.fromkeys(MUTATIONS, 403)
    operations = [line.get("operation") for line in users.audit() if line["user"].startswith(role)]
    assert operations == MUTATIONS


@pytest.mark.parametrize(
    "query",
    [
        "query A { version } mutation B { reloadWorkspace { __typename } }",
        "mutation { ...F } fragment F on Mutation { reloadWorkspace { __typename } }",
        "mutation { ... on Mutation { ... { reloadWorkspace { __typename } } } }",
        "mutation { a: version b: reloadWorkspace { __typename } }",
        "# query\n  ,,, mutation\n{ reloadWorkspace { __typename } }",
    ],
)
def test_a_hidden_mutation_is_found(users: Users, query: str) -> None:
    assert "reloadWorkspace" in mutations_in(query)
    body = {"query": query, "operationName": "A"}
    assert users.ask("viewer", body).status_code == 403


def test_a_viewer_reads_and_sees_that_nothing_is_allowed(users: Users) -> None:
    found = {}
    for role in users.tokens:
        answer = users.ask(role, {"query": "{ permissions { permission value } }"}).json()
        found[role] = {each["value"] for each in answer["data"]["permissions"]}
    assert found["viewer"] == found["exporter"] == {False}
    assert True in found["operator"]


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "[]", "3", "null", '"x"', "[" * 5000, '{"query": 3}', '{"query": null}', "{}",
        '{"query": "{", "variables": {}}', '{"query": "{version}", "variables": [1]}',
        '{"query": "{version}", "operationName": {}}', "\x00", '{"query": "\\ud800"}',
        '{"query": "query A{version} query B{version}", "operationName": "\\ud800"}',
        '{"query": "{version}", "variables": {"a": ["\\udfff"]}}',
        json.dumps({"query": "{a" * 20_000}),
        json.dumps({"query": "{" + "version " * 30_000 + "}"}),
    ],
)  # fmt: skip
def test_what_is_no_graphql_request_is_a_mistake_of_the_client(users: Users, body: str) -> None:
    answer = users.ask("operator", body)
    assert answer.status_code == 400, answer.text
    assert "Traceback" not in answer.text


def test_runs_and_backfills_have_the_tag_of_who_started_them(users: Users) -> None:
    forged = [{"key": "exporter/user", "value": "mallory"}, {"key": "mine", "value": "1"}]
    run = users.ask("operator", {"query": LAUNCH, "variables": {"tags": forged}}).json()
    started = run["data"]["launchRun"]
    assert started["__typename"] == "LaunchRunSuccess", started
    run_id = started["run"]["runId"]
    tags = users.instance.get_run_by_id(run_id).tags  # type: ignore[union-attr]
    assert (tags["exporter/user"], tags["mine"]) == ("operator-name", "1")
    assert users.audit()[-1]["export"] == run_id
    days = users.ask("operator", {"query": BACKFILL, "variables": {"tags": forged}}).json()
    backfill_id = days["data"]["launchPartitionBackfill"]["backfillId"]
    assert users.instance.get_backfill(backfill_id).tags["exporter/user"] == "operator-name"  # type: ignore[union-attr]
    assert users.audit()[-1] == {
        **users.audit()[-1],
        "user": "operator-name", "via": "bearer", "verb": "POST", "path": "/graphql",
        "operation": "launchPartitionBackfill", "export": backfill_id, "result": "200",
    }  # fmt: skip


def test_a_read_only_service_lets_an_operator_change_nothing(users: Users) -> None:
    reload = {"query": "mutation { reloadWorkspace { __typename } }"}
    assert users.ask("operator", reload, read_only=True).status_code == 403
    assert users.ask("operator", {}, "/api/v1/exports", read_only=True).status_code == 403
    permissions = {"query": "{ permissions { value } }"}
    answer = users.ask("operator", permissions, read_only=True).json()
    assert {each["value"] for each in answer["data"]["permissions"]} == {False}


def test_queries_are_not_recorded(users: Users) -> None:
    before = len(users.audit())
    assert users.ask("viewer", {"query": "{ version }"}).status_code == 200
    assert len(users.audit()) == before


def test_debug_files_are_for_operators_and_events_for_runs(users: Users) -> None:
    assert users.ask("viewer", {}, "/download_debug/x").status_code == 403
    assert users.ask("operator", {}, "/report_asset_materialization/logs").status_code == 404
