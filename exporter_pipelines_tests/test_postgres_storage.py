"""Dagster's history in PostgreSQL, as deploy/dagster.yaml has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from exporter_pipelines_tests.support.backends import Backend, fresh_database
from exporter_pipelines_tests.support.dagster_history import (
    check_statuses,
    history_of,
    materializations,
)
from exporter_pipelines_tests.support.projects import BIN, ROOT, Project

DAY = "2026-11-01"
DEPLOY = ROOT / "deploy"


def test_an_export_is_recorded_in_postgresql(
    project: Project, backend: Backend, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.add_logs(DAY, 100)
    home = project.path / "deploy"
    home.mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", home)
    with fresh_database(postgres_url) as storage:
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", storage.url)
        project.set(DAGSTER_HOME=str(home), DAGSTER_POSTGRES_URL=storage.url)
        finished = project.materialize("logs", partition=DAY)
        assert finished.code == 0, finished.stderr
        with history_of(Project(home, project.output)) as instance:
            [event] = materializations(instance, "logs", DAY)
            assert event.metadata["dagster/partition_row_count"].value == 100
            assert check_statuses(instance, "logs", "rejected_rows") == {DAY: "SUCCEEDED"}
        assert storage.run("SELECT count(*) FROM runs") == [(1,)]
    assert not list(project.path.rglob("*.db"))


def test_a_server_differs_from_one_machine_in_storage_only() -> None:
    server, machine = (
        yaml.safe_load((folder / "dagster.yaml").read_text()) for folder in (DEPLOY, ROOT)
    )
    assert {key for key in server if server[key] != machine.get(key)} == {"storage"}
    assert set(server) == set(machine)


@pytest.mark.parametrize("unit", ["exporter-webserver.service", "exporter-daemon.service"])
def test_a_unit_starts_what_is_installed_on_the_loopback_interface(unit: str) -> None:
    [command] = [
        line.partition("=")[2].split()
        for line in (DEPLOY / unit).read_text().splitlines()
        if line.startswith("ExecStart=")
    ]
    assert (BIN / Path(command[0]).name).exists()
    # `exporter serve` listens on the loopback interface unless a setting says otherwise.
    assert command[1:] in (["serve"], ["run"])
