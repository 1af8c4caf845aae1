"""Exports refuse another output folder than before, and `exporter verify` reports it."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from exporter_pipelines import api
from exporter_pipelines.cli import main
from exporter_pipelines.errors import OutputUnavailableError, WrongOutputFolderError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.runs import Runner, failure

DAY, NEXT = "2026-11-01", "2026-11-02"
MARKER = ".exporter-output.json"


def exporter(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def home(settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DAGSTER_HOME of a project that exported nothing yet."""
    folder = tmp_path / "dagster_home"
    folder.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


@pytest.fixture
def exported(home: Path, backend: Backend, store: LocalStore) -> LocalStore:
    """The output folder of a project with one published day."""
    backend.add_logs(DAY, 5)
    backend.add_logs(NEXT, 5, first_id=100)
    api.export_day("logs", DAY)
    return store


def test_a_fresh_project_begins_by_itself(home: Path, store: LocalStore) -> None:
    assert exporter("verify").exit_code == 0
    api.export_day("logs", DAY)
    known = json.loads((home / "exporter_output.json").read_text())
    marker = json.loads((store.root / MARKER).read_text())
    assert known == {"id": marker["id"], "sample": False, "path": str(store.root)}


@pytest.mark.parametrize("how", ["not mounted", "empty", "emptied"])
def test_nothing_is_written_where_the_disk_is_not_mounted(
    exported: LocalStore, tmp_path: Path, how: str
) -> None:
    if how == "emptied":
        shutil.rmtree(exported.root)
        exported.root.mkdir()
    else:
        exported.root.rename(tmp_path / "unmounted")
        if how == "empty":
            exported.root.mkdir()
    with pytest.raises(WrongOutputFolderError, match="exporter output adopt"):
        api.export_day("logs", NEXT)
    result = Runner([dataset()]).run("logs", DAY, NEXT)
    assert "Check that the disk is mounted" in failure(result)
    assert not exported.root.exists() or not list(exported.root.iterdir())
    found = exporter("verify")
    assert found.exit_code == 1
    assert "output_folder" in found.output
    assert exporter("keep", "logs", DAY).exit_code == 1


def test_a_day_is_published_where_dagster_home_cannot_be_written(
    home: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OutputUnavailableError("Read-only file system.")

    monkeypatch.setattr("exporter_pipelines.output_folder.replace_file", refuse)
    assert api.export_day("logs", DAY).record_count == 0
    assert Runner([dataset()]).run("logs", NEXT).success
    assert "is not remembered in DAGSTER_HOME. Read-only file system." in caplog.text


def test_another_folder_is_refused_and_adopted(
    exported: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(tmp_path / "other"))
    before = f"other does not exist. Days were exported to {exported.root} before."
    with pytest.raises(WrongOutputFolderError, match=re.escape(before)):
        api.export_day("logs", NEXT)
    assert exporter("output", "adopt").exit_code == 0
    assert api.export_day("logs", NEXT).record_count == 5
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(exported.root))
    with pytest.raises(WrongOutputFolderError, match="another output folder"):
        api.export_day("logs", NEXT)


def test_a_moved_folder_is_the_same_one(
    exported: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported.root.rename(tmp_path / "moved")
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(tmp_path / "moved"))
    assert api.export_day("logs", NEXT).record_count == 5
    assert exporter("verify").exit_code == 0


def test_the_folder_of_the_sample_may_be_left(
    exported: LocalStore, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = json.loads((home / "exporter_output.json").read_text())
    (home / "exporter_output.json").write_text(json.dumps({**known, "sample": True}))
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(tmp_path / "mine"))
    assert api.export_day("logs", NEXT).record_count == 5
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(exported.root))
    with pytest.raises(WrongOutputFolderError):
        api.export_day("logs", NEXT)


def test_a_lost_history_is_no_obstacle(exported: LocalStore, home: Path) -> None:
    shutil.rmtree(home)
    home.mkdir()
    assert api.export_day("logs", NEXT).record_count == 5
    assert (home / "exporter_output.json").exists()


@pytest.mark.parametrize("damage", ["{", "", "fifo", "{}"])
def test_a_damaged_marker_is_named(exported: LocalStore, damage: str) -> None:
    marker = exported.root / MARKER
    marker.unlink()
    if damage == "fifo":
        os.mkfifo(marker)
    else:
        marker.write_text(damage)
    with pytest.raises(Exception, match=r"exporter-output\.json is damaged"):
        api.export_day("logs", NEXT)
    found = exporter("verify")
    assert (found.exit_code, "is damaged" in found.output) == (2, True)


def test_without_a_dagster_home_there_is_nothing_to_compare(
    settings: dict[str, str], backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    backend.add_logs(DAY, 5)
    assert api.export_day("logs", DAY).record_count == 5
    assert "DAGSTER_HOME is not a folder" in exporter("output", "adopt").output
    assert exporter("verify").exit_code == 0


def test_the_doctor_and_prune_name_the_wrong_folder(exported: LocalStore, tmp_path: Path) -> None:
    exported.root.rename(tmp_path / "unmounted")
    assert "does not exist, but days were exported to it before" in exporter("doctor").output
    assert f"output_folder  {exported.root} does not exist" in exporter("verify").output
    pruned = exporter("prune", "--apply")
    assert (pruned.exit_code, "exporter output adopt" in pruned.output) == (1, True)


def test_days_that_only_the_history_lacks_are_a_note(exported: LocalStore) -> None:
    found = exporter("verify")
    assert found.exit_code == 0
    assert f"Dagster's history does not have 1 published days of logs, from {DAY}" in found.output
    assert "history" not in exporter("verify", "--quick").output
    assert Runner([dataset()], instance=dg.DagsterInstance.get()).run("logs", DAY).success
    assert "history" not in exporter("verify").output


def test_a_backup_is_restored_step_by_step(exported: LocalStore, tmp_path: Path) -> None:
    """As docs/archive.md describes it."""
    backup = tmp_path / "backup"
    shutil.copytree(exported.root, backup)
    api.export_day("logs", NEXT)
    shutil.rmtree(exported.root)
    assert exporter("verify").exit_code == 1
    shutil.copytree(backup, exported.root)
    assert exporter("verify").exit_code == 0
    # The backup has only the files, and the ledger was not lost.
    api.export_day("logs", NEXT)
    shutil.rmtree(exported.root / "logs")
    shutil.copytree(backup / "logs", exported.root / "logs")
    found = exporter("verify", "--quick")
    assert (found.exit_code, f"FAIL  logs  {NEXT}  day_missing" in found.output) == (1, True)
    api.export_day("logs", NEXT)
    assert exporter("verify", "--quick").exit_code == 0
    # The marker is lost as well.
    (exported.root / MARKER).unlink()
    with pytest.raises(WrongOutputFolderError):
        api.export_day("logs", NEXT)
    assert exporter("output", "adopt").exit_code == 0
    assert api.export_day("logs", NEXT).record_count == 5


def test_a_dataset_that_is_removed_while_its_days_are_listed_has_none(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.root / "logs" / "data" / "date=2026-11-01").mkdir(parents=True)
    is_link = Path.is_symlink

    def removed_now(path: Path) -> bool:
        shutil.rmtree(store.root / "logs")
        return is_link(path)

    assert store.published_days("logs") == ["2026-11-01"]
    monkeypatch.setattr(Path, "is_symlink", removed_now)
    assert store.published_days("logs") == []
