"""EXPORTER_DEFS_DIR: definitions outside of the package, for commands, Dagster, init and doctor."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from exporter_pipelines import settings
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.projects import ROOT, Project

DAY, NEXT = "2026-11-01", "2026-11-02"


@pytest.fixture
def outside(project: Project, tmp_path: Path) -> Path:
    """A folder with the logs alone, as a user writes it; the package keeps all datasets."""
    packaged = project.path / "exporter_pipelines" / "defs"
    shutil.copy(ROOT / "exporter_pipelines" / "defs" / "__init__.py", packaged)
    folder = tmp_path / "mine" / "definitions"
    (folder / "logs").mkdir(parents=True)
    shutil.copy(packaged / "logs" / "defs.yaml", folder / "logs")
    project.set(EXPORTER_DEFS_DIR=str(folder))
    return folder


def test_commands_and_dagster_use_the_definitions_of_the_folder(
    project: Project, outside: Path, backend: Backend
) -> None:
    for number, day in enumerate((DAY, NEXT)):
        backend.add_logs(day, 5, first_id=100 * number)
    backend.run(
        "CREATE TABLE events (id int PRIMARY KEY, at timestamptz, what text);"
        f"INSERT INTO events VALUES (1, '{DAY}T01:00Z', 'x')"
    )
    done = project.exporter("init", "events")
    assert done.code == 0, done.stderr
    assert (outside / "events" / "schema.py").is_file()
    assert not (project.path / "exporter_pipelines" / "defs" / "events").exists()

    done = project.exporter("export", "logs", "events", DAY)
    assert done.code == 0, done.stdout + done.stderr
    unknown = project.exporter("export", "anomalies", DAY)
    assert "'anomalies' does not exist (there are: events, logs)" in unknown.stderr
    done = project.materialize("logs", partition=NEXT)
    assert done.code == 0, done.stderr
    for name, day, rows in (("logs", DAY, 5), ("logs", NEXT, 5), ("events", DAY, 1)):
        manifest = project.manifest(name, day)
        assert manifest
        assert manifest.record_count == rows
    listed = project.dagster("definitions", "validate")
    assert listed.code == 0, listed.stderr

    found = json.loads(project.exporter("doctor", "--json").stdout)
    assert {each["dataset"] for each in found} == {None, "logs", "events"}


def test_a_folder_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert settings.defs_folder() is None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPORTER_DEFS_DIR", "definitions")
    with pytest.raises(ConfigurationError, match="'definitions' is not a folder"):
        settings.defs_folder()
    (tmp_path / "definitions").mkdir()
    assert settings.defs_folder() == tmp_path / "definitions"


def test_a_command_says_so_in_one_sentence(project: Project) -> None:
    project.set(EXPORTER_DEFS_DIR="/nowhere/definitions")
    done = project.exporter("export", "logs", DAY)
    assert done.code in (1, 2, 3)
    assert "EXPORTER_DEFS_DIR='/nowhere/definitions' is not a folder." in done.stderr
    assert "Traceback" not in done.stderr


def test_an_installed_package_has_no_pyproject(
    project: Project, outside: Path, backend: Backend
) -> None:
    """A wheel is installed without the files of the clone."""
    for name in ("pyproject.toml", "workspace.yaml"):
        (project.path / name).unlink()
    backend.add_logs(DAY, 5)
    done = project.exporter("export", "logs", DAY)
    assert done.code == 0, done.stdout + done.stderr
    assert project.manifest("logs", DAY)
