"""A fourth dataset by adding one folder and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click
import pytest
import yaml
from dagster.components.component_scaffolding import scaffold_object

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.contracts.row_models import load_row_schema
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import export, parse, rejected, rows
from exporter_pipelines_tests.support.doc_examples import example
from exporter_pipelines_tests.support.projects import Project

DAY = "2026-11-01"
COMPONENTS = "exporter_pipelines.components"
_CALLED = """
import pathlib, pytest, tempfile
with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
    test_a_session_ends_after_it_started(pathlib.Path(folder), patch)
"""


@pytest.fixture
def sessions(backend: Backend) -> Backend:
    """The table of the page, with ten sessions of the day, one of them broken, and one of later."""
    backend.run(example("sessions.sql"))
    backend.run(
        "INSERT INTO user_sessions SELECT gen_random_uuid(), %s::timestamptz + n * interval '1 h', "
        "%s::timestamptz + n * interval '2 h', 'user-' || n, n * 1000, '{\"os\": \"linux\"}' "
        "FROM generate_series(0, 9) n",
        [f"{DAY}T00:00Z", f"{DAY}T00:00Z"],
    )
    backend.run("UPDATE user_sessions SET ended_at = '2020-01-01Z' WHERE user_name = 'user-3'")
    backend.run("UPDATE user_sessions SET ended_at = NULL WHERE user_name = 'user-4'")
    backend.run("INSERT INTO user_sessions VALUES (gen_random_uuid(), '2026-11-02Z', NULL, 'x', 1)")
    return backend


def files(folder: Path) -> dict[Path, str]:
    """Path -> hash of everything in a project but what Python and Dagster leave there."""
    return {
        file.relative_to(folder): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (folder / "exporter_pipelines").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_page_is_followed_to_the_letter(project: Project, sessions: Backend) -> None:
    before = files(project.path)
    folder = project.path / "exporter_pipelines" / "defs" / "sessions"
    folder.mkdir()
    for name in ("schema.py", "defs.yaml"):
        (folder / name).write_text(example(f"sessions/{name}"))
    done = project.materialize("group:exports", partition=DAY)
    assert done.code == 0, done.stderr
    manifest = project.manifest("sessions", DAY)
    assert manifest
    assert (manifest.counts.read, manifest.counts.exported) == (10, 9)
    assert [r.rule for r in manifest.validation.rules if r.failed] == ["ended_after_started"]
    path = project.output / "sessions" / "data" / f"date={DAY}" / manifest.files[0].path
    first = parse(path)[0]
    assert (first["user_name"], first["client"]) == ("user-0", {"os": "linux"})
    assert project.manifest("logs", DAY), "the other datasets are exported beside it"
    tested = project.python(example("sessions/test_sessions.py") + _CALLED)
    assert tested.code == 0, tested.stderr
    added = files(project.path).keys() - before.keys()
    assert {file.name for file in added} == {"schema.py", "defs.yaml"}
    assert before.items() <= files(project.path).items()


def test_its_rules_and_types_are_as_written(
    sessions: Backend, store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sessions_schema.py").write_text(example("sessions/schema.py"))
    monkeypatch.syspath_prepend(str(tmp_path))
    attributes = yaml.safe_load(example("sessions/defs.yaml"))["attributes"]
    config = DatasetConfig(**{**attributes, "schema": "sessions_schema.SessionRow"})
    dataset = Dataset(config, load_row_schema(config.row_schema))
    manifest = export(sessions.url, dataset, DAY, store)
    assert [column.type for column in manifest.columns] == [
        "string", "timestamp[us, tz=UTC]", "timestamp[us, tz=UTC]", "string", "int64", "json",
    ]  # fmt: skip
    assert {rule.rule for rule in manifest.validation.rules} >= {
        "required", "ended_after_started", "not_every_second",
    }  # fmt: skip
    assert rows(store, manifest)[3]["ended"] is None
    [broken] = rejected(store, manifest)
    assert broken["user_name"] == "user-3"


def test_a_scaffolded_folder_works_as_it_is(project: Project, backend: Backend) -> None:
    defs = project.path / "exporter_pipelines" / "defs"
    for kind, name in (("DatasetExport", "door_events"), ("DatasetPreset", "night_logs")):
        scaffold_object(defs / name, f"{COMPONENTS}.{kind}", None, "yaml", project.path)
    backend.run("CREATE TABLE door_events (id bigint PRIMARY KEY, timestamp timestamptz NOT NULL)")
    backend.run("INSERT INTO door_events VALUES (1, %s)", [f"{DAY}T12:00Z"])
    backend.add_logs(DAY, 3)
    done = project.materialize("door_events,night_logs", partition=DAY)
    assert done.code == 0, done.stderr
    for name, count in (("door_events", 1), ("night_logs", 3)):
        manifest = project.manifest(name, DAY)
        assert manifest
        assert manifest.record_count == count
    assert sorted(file.name for file in (defs / "door_events").glob("*.*")) == [
        "__init__.py", "defs.yaml", "schema.py",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["DatasetExport", "DatasetPreset"])
@pytest.mark.parametrize(
    ("folder", "format_", "said"),
    [
        ("Door-Events", "yaml", "'Door-Events' cannot be the name of a dataset"),
        ("door_events", "python", "with a defs.yaml only"),
        ("taken", "yaml", "has a defs.yaml already"),
    ],
)
def test_what_cannot_be_scaffolded_is_refused(
    tmp_path: Path, kind: str, folder: str, format_: str, said: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "defs.yaml").write_text("mine")
    with pytest.raises(click.ClickException, match=said):
        scaffold_object(tmp_path / folder, f"{COMPONENTS}.{kind}", None, format_, tmp_path)
    assert (tmp_path / "taken" / "defs.yaml").read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["taken"], "no empty folder stays"
