"""The files of deploy/ agree with the project: commands, settings, modules and copies exist."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from exporter_pipelines_tests.support.projects import BIN, ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())
VALUES = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
SERVED = {name for name, service in COMPOSE["services"].items() if name != "history"}
SERVE = next(each for each in VALUES["extraManifests"] if each["kind"] == "Deployment")
CODE = VALUES["dagster-user-deployments"]["deployments"][0]
CHART_SCHEMA = "EXPORTER_TEST_CHART_SCHEMA"
"""Path of the chart's values.schema.json, which the project does not have."""


def documented_settings() -> set[str]:
    page = (ROOT / "docs" / "settings.md").read_text()
    return set(re.findall(r"^\| `((?:EXPORTER|DAGSTER)_\w+)` \|", page, re.MULTILINE))


def commands() -> Iterator[list[str]]:
    yield json.loads(re.search(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)[1])  # type: ignore[index]
    for name in sorted(SERVED):
        service = COMPOSE["services"][name]
        yield service["command"]
        yield service.get("healthcheck", {}).get("test", ["CMD", "python"])[1:]
    pod = SERVE["spec"]["template"]["spec"]
    yield from (container["command"] for container in pod["containers"] + pod["initContainers"])


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_a_command_of_the_image_exists(command: list[str]) -> None:
    assert (BIN / command[0]).exists() or shutil.which(command[0])


def test_the_image_copies_what_is_there_and_no_secret() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert "exporter_pipelines" in copied
    assert all((ROOT / source).exists() for source in copied)
    assert not {".", ".env", ".tokens"} & set(copied)
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


def test_the_variables_are_settings() -> None:
    in_pod = SERVE["spec"]["template"]["spec"]["containers"][0]["env"]
    named = {each["name"] for each in [*in_pod, *CODE["env"]]}
    for name in sorted(SERVED):
        named |= set(COMPOSE["services"][name]["environment"])
    named |= set(re.findall(r"\b(EXPORTER_\w+)=", DOCKERFILE))
    elsewhere = {
        "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR",
        "DAGSTER_PG_PASSWORD",
        "DAGSTER_POSTGRES_URL",
    }
    assert named - elsewhere <= documented_settings()


def test_no_password_has_a_default() -> None:
    text = (DEPLOY / "docker-compose.yaml").read_text()
    passwords = re.findall(r"\$\{(\w*(?:PASSWORD|SOURCE_URL)\w*)([^}]*)\}", text)
    assert passwords
    assert all(rest.startswith(":?") for _, rest in passwords)


def test_dagster_retries_a_run_and_kubernetes_does_not() -> None:
    job = VALUES["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["jobSpecConfig"]
    assert job["backoffLimit"] == 0
    daemon = VALUES["dagsterDaemon"]
    shipped = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert snake(daemon["runRetries"]) == shipped["run_retries"]
    monitoring = snake(daemon["runMonitoring"])
    assert monitoring["max_resume_run_attempts"] == 0
    for name in ("enabled", "max_runtime_seconds"):
        assert monitoring[name] == shipped["run_monitoring"][name]
    coordinator = daemon["runCoordinator"]["config"]["customRunCoordinator"]
    assert coordinator == shipped["run_coordinator"]
    assert pkgutil.resolve_name(f"{coordinator['module']}:{coordinator['class']}")


def test_a_backfill_leaves_a_place_in_the_pool() -> None:
    concurrency = VALUES["concurrency"]
    limit = concurrency["pools"]["defaultLimit"]
    [tagged] = concurrency["runs"]["tagConcurrencyLimits"]
    assert tagged["limit"] < limit < concurrency["runs"]["maxConcurrentRuns"]


def test_all_find_the_code_location_under_its_name() -> None:
    [server] = VALUES["dagsterWebserver"]["workspace"]["servers"]
    assert server == {"host": CODE["name"], "port": CODE["port"], "name": "exporter_pipelines"}
    workspace = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    assert workspace == [
        {"grpc_server": {"host": "code", "port": 4000, "location_name": "exporter_pipelines"}}
    ]
    assert "code" in COMPOSE["services"]


def test_the_values_match_the_schema_of_the_chart() -> None:
    """As Helm does: the defaults of the chart, replaced by these values, against its schema."""
    if not (path := os.environ.get(CHART_SCHEMA)):
        pytest.skip(f"{CHART_SCHEMA} does not name the values.schema.json of the chart")
    schema = json.loads(Path(path).read_text())
    defaults = yaml.safe_load(Path(path).with_name("values.yaml").read_text())
    jsonschema.validate(merged(defaults, VALUES), schema)


def merged(default: Any, value: Any) -> Any:
    if isinstance(default, dict) and isinstance(value, dict):
        return {**default, **{key: merged(default.get(key), value[key]) for key in value}}
    return value


def snake(values: dict[str, Any]) -> dict[str, Any]:
    return {re.sub("[A-Z]", lambda m: "_" + m[0].lower(), name): values[name] for name in values}
