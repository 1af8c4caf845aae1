"""A project with a mistake in a definition: the others load and export, the broken one says why.

Which sentence each mistake gets: `test_definitions_agree`.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import history_of
from exporter_pipelines_tests.support.projects import ROOT, Project, copy_project

DAY = "2026-11-01"
MODULE = ("-m", "exporter_pipelines.definitions")


@pytest.fixture
def bare_project(tmp_path: Path) -> Project:
    """A project that is only loaded, never run."""
    return copy_project(tmp_path / "project", {"EXPORTER_OUTPUT_URL": str(tmp_path / "exports")})


def defs_of(project: Project) -> Path:
    """The folder of its definitions."""
    return project.path / "exporter_pipelines" / "defs"


def listed(project: Project, select: str) -> list[str]:
    """The assets of a selection, by Dagster's command."""
    done = project.dagster("asset", "list", *MODULE, "--select", select)
    assert done.code == 0, done.stderr
    return done.stdout.split()


def test_with_one_broken_dataset_the_others_are_exported(
    project: Project, backend: Backend
) -> None:
    backend.add_logs(DAY, 3)
    project.edit("ips", "format: jsonl", "format: xml")
    done = project.materialize("group:exports", partition=DAY)
    assert done.code == 1
    assert project.manifest("logs", DAY)
    assert project.manifest("anomalies", DAY)
    assert project.manifest("ips", DAY) is None
    known = "(there are: jsonl, json, csv, parquet)"
    file = defs_of(project) / "ips" / "defs.yaml"
    assert done.last_words == f"ips: {file}:20: format 'xml' does not exist {known}."
    assert "Traceback" not in done.stderr
    with history_of(project) as instance:
        [run] = instance.get_runs()
        [check] = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(dg.AssetKey("ips"), "definition_is_valid")]
        ).values()
        assert check.status.value == "FAILED"
        assert run.status.value == "FAILURE"


def test_a_broken_dataset_does_not_fail_the_run_of_another(
    project: Project, backend: Backend
) -> None:
    backend.add_logs(DAY, 3)
    (defs_of(project) / "ips" / "defs.yaml").write_bytes("type: x".encode("utf-16"))
    done = project.materialize("logs", partition=DAY)
    assert done.code == 0, done.stderr
    assert project.manifest("logs", DAY)
    assert "ips/defs.yaml:1: the file is not UTF-8 text." in done.stderr


def test_two_datasets_of_one_name_are_both_broken_and_nothing_else(bare_project: Project) -> None:
    bare_project.edit("anomalies", "name: anomalies", "name: ips")
    assert listed(bare_project, "group:exports") == ["ips", "logs"]
    done = bare_project.materialize("ips", partition=DAY)
    assert done.code == 1
    for folder in ("anomalies", "ips"):
        file = defs_of(bare_project) / folder / "defs.yaml"
        assert f"{file}:5: the name 'ips' is taken twice: in anomalies and ips." in done.last_words


def test_when_every_dataset_is_broken_the_project_still_loads(bare_project: Project) -> None:
    for folder in ("anomalies", "ips", "logs"):
        (defs_of(bare_project) / folder / "defs.yaml").write_text("attributes: [")
    assert listed(bare_project, "*") == [
        "anomalies", "export_report", "ips", "logs", "logs_errors", "logs_light", "logs_parquet",
    ]  # fmt: skip
    done = bare_project.dagster("definitions", "validate", *MODULE)
    assert done.code == 0, done.stderr


@pytest.mark.parametrize("whole", [False, True], ids=["no folder in it", "no package at all"])
def test_without_any_dataset_the_project_still_loads(bare_project: Project, whole: bool) -> None:
    for folder in defs_of(bare_project).iterdir():
        if folder.is_dir():
            for file in sorted(folder.rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
            folder.rmdir()
    if whole:
        (defs_of(bare_project) / "__init__.py").unlink()
    assert listed(bare_project, "*") == ["export_report"]
    done = bare_project.dagster("definitions", "validate", *MODULE)
    assert done.code == 0, done.stderr
    assert f"There is no dataset below {defs_of(bare_project)}." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_component_of_another_package_is_loaded_beside_ours(bare_project: Project) -> None:
    (bare_project.path / "others.py").write_text(
        "import dagster as dg\n"
        "class One(dg.Component, dg.Model, dg.Resolvable):\n"
        "    key: str\n"
        "    def build_defs(self, context):\n"
        "        return dg.Definitions(assets=[dg.asset(name=self.key)(lambda: 1)])\n"
    )
    (defs_of(bare_project) / "other").mkdir()
    (defs_of(bare_project) / "other" / "defs.yaml").write_text(
        "type: others.One\nattributes: {key: theirs}\n"
    )
    bare_project.edit("ips", "format: jsonl", "format: [")
    assert listed(bare_project, "*") == [
        "anomalies", "export_report", "ips", "logs", "logs_errors", "logs_light", "logs_parquet",
        "theirs",
    ]  # fmt: skip


def test_a_copied_folder_is_a_fourth_dataset(bare_project: Project) -> None:
    defs = defs_of(bare_project)
    sessions = defs / "sessions"
    sessions.mkdir()
    for name in ("__init__.py", "schema.py", "defs.yaml"):
        text = (defs / "logs" / name).read_text()
        (sessions / name).write_text(text.replace("logs", "sessions"))
    assert listed(bare_project, "group:exports") == ["anomalies", "ips", "logs", "sessions"]


def test_definitions_validate(bare_project: Project) -> None:
    done = bare_project.dagster("definitions", "validate", *MODULE)
    assert done.code == 0, done.stderr


def test_no_dataset_names_a_url() -> None:
    for file in (ROOT / "exporter_pipelines" / "defs").rglob("defs.yaml"):
        assert "://" not in file.read_text()
