"""A training set in Dagster: its asset, checks, staleness and the sensor that builds it again."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import yaml

from exporter_pipelines.defs_files import Definitions, definitions
from exporter_pipelines.defs_files.training_sets import TrainingSets
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.training.asset import CHECKS, training_set_asset
from exporter_pipelines.orchestration.training.sensor import training_sets_sensor
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.training import DAYS, HELD, WINDOWS, config, fill, publish


class Sets:
    """Published days, and a folder of definitions with one training set.

    Attributes:
        store: The output folder.
        backend: The SQLite file.
        instance: Dagster's.
    """

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.folder, self.instance = folder, instance
        self.store, self.backend = LocalStore(folder / "exports"), folder / "app.db"

    def define(self, **changes: object) -> None:
        """Write the definition."""
        home = self.folder / "defs" / "windows"
        home.mkdir(parents=True, exist_ok=True)
        document = {
            "type": "exporter_pipelines.components.TrainingSet",
            "attributes": {**yaml.safe_load(WINDOWS), **changes},
        }
        (home / "defs.yaml").write_text(yaml.safe_dump(document))

    def build(self, **changes: object) -> dg.ExecuteInProcessResult:
        """Materialize the asset."""
        return dg.materialize(
            [training_set_asset(config(WINDOWS, **changes))],
            resources={"exports": ExportIOManager()},
            instance=self.instance,
            raise_on_error=False,
        )

    def tick(self, cursor: str | None = None) -> dg.SensorResult:
        """Evaluate the sensor."""
        context = dg.build_sensor_context(instance=self.instance, cursor=cursor)
        result = training_sets_sensor(context)
        assert isinstance(result, dg.SensorResult)
        return result

    def change_a_day(self) -> None:
        """Change a row of the first day and export the day again."""
        with closing(sqlite3.connect(self.backend)) as db, db:
            db.execute("UPDATE logs SET message = 'changed' WHERE id = 30")
        publish(self.backend, self.store, DAYS[:1])


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backend and its published days; never changed by a test."""
    folder = tmp_path_factory.mktemp("published")
    fill(folder / "app.db")
    publish(folder / "app.db", LocalStore(folder / "exports"))
    return folder


@pytest.fixture
def sets(
    settings: dict[str, str], published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sets]:
    shutil.copytree(published, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(tmp_path / "exports"))
    folder = tmp_path / "defs"
    shutil.copytree(definitions.DEFS, folder)
    monkeypatch.setattr(definitions, "DEFS", folder)
    with dg.DagsterInstance.ephemeral() as instance:
        found = Sets(tmp_path, instance)
        found.define()
        yield found


def test_the_asset_shows_its_checks_splits_and_what_is_left_out(sets: Sets) -> None:
    done = sets.build()
    assert done.success
    evaluations = {each.check_name: each for each in done.get_asset_check_evaluations()}
    assert set(evaluations) == {*CHECKS, "up_to_date"}
    [built] = done.asset_materializations_for_node("windows")
    assert built.metadata["train_examples"].value > 0
    assert HELD in str(built.metadata["days_left_out"].value)
    assert Path(str(built.metadata["folder"].value), "README.md").is_file()


def test_a_held_set_fails_with_its_checks_and_the_old_version_stays(sets: Sets) -> None:
    sets.build()
    done = sets.build(checks={"min_positives": 5000})
    assert not done.success
    failed = [each for each in done.get_asset_check_evaluations() if not each.passed]
    assert "balance" in {each.check_name for each in failed}
    assert not done.asset_materializations_for_node("windows")
    assert (sets.store.root / "training_sets" / "windows" / "latest").exists()


def test_a_changed_day_makes_the_set_stale_once(sets: Sets) -> None:
    assert "not built yet" in str(sets.tick().skip_reason)
    sets.build()
    first = sets.tick()
    assert [event.passed for event in first.asset_events] == [True]  # type: ignore[union-attr]
    sets.change_a_day()
    second = sets.tick(first.cursor)
    [stale] = second.asset_events
    assert isinstance(stale, dg.AssetCheckEvaluation)
    assert not stale.passed
    assert stale.description == f"Since it was built: logs {DAYS[0]} was exported again."
    assert not second.run_requests
    assert not sets.tick(second.cursor).asset_events


def test_the_sensor_builds_a_stale_set_again_if_asked_to(sets: Sets) -> None:
    sets.define(rebuild="when_days_change")
    sets.build()
    sets.change_a_day()
    [request] = sets.tick().run_requests or []
    assert request.asset_selection == [dg.AssetKey("windows")]
    sets.build()
    assert not sets.tick().run_requests


def test_a_removed_day_is_named(sets: Sets) -> None:
    sets.build()
    shutil.rmtree(sets.store.day_folder("logs", DAYS[-1]))
    [stale] = sets.tick().asset_events
    assert isinstance(stale, dg.AssetCheckEvaluation)
    assert f"logs {DAYS[-1]} is no longer used" in str(stale.description)


def test_a_set_that_cannot_be_built_again_says_why_once(sets: Sets) -> None:
    sets.define(rebuild="when_days_change")
    sets.build()
    for day in DAYS:
        shutil.rmtree(sets.store.root / "logs" / "data" / f"date={day}", ignore_errors=True)
    first = sets.tick()
    [warned] = first.asset_events
    assert isinstance(warned, dg.AssetCheckEvaluation)
    assert not warned.passed
    assert "It cannot be built from the days that are published now." in str(warned.description)
    assert "has published logs" in str(warned.description)
    assert not first.run_requests, "a build would be refused"
    assert not sets.tick(first.cursor).asset_events


def test_a_set_whose_newest_version_was_removed_is_built_again(sets: Sets) -> None:
    sets.define(rebuild="when_days_change")
    sets.build()
    versions = sets.store.versions("windows")
    with versions.lock(1):
        versions.remove(versions.stored()[0])
    ticked = sets.tick()
    [stale] = ticked.asset_events
    assert isinstance(stale, dg.AssetCheckEvaluation)
    assert stale.description == "Since it was built: its newest version was removed."
    assert len(ticked.run_requests or []) == 1
    sets.build()
    assert not sets.tick().run_requests


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "events"}, "dataset 'events' does not exist"),
        ({"name": "logs"}, "the name 'logs' is taken by a dataset"),
        ({"name": "training_sets"}, "is taken by the folder of the training sets"),
        ({"spilt": {}}, "spilt: there is no such setting"),
        ({"labels": [{"dataset": "events", "by": {"a": "b"}}]}, "labels[0]: dataset 'events'"),
        ({"labels": [{"dataset": "anomalies", "by": {"ip": "ip"}, "within": "2h"}]}, "split.gap"),
    ],
)
def test_a_mistake_names_its_line_and_breaks_only_this_set(
    sets: Sets, changes: dict[str, object], message: str
) -> None:
    sets.define(**changes)
    [broken] = [each for each in TrainingSets() if each.mistake]
    assert message in str(broken.mistake)
    assert re.search(r"defs\.yaml:\d+: \w", str(broken.mistake))
    assert not Definitions().broken()
