"""Builds of training sets that the service starts and follows, in real runs of Dagster."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from exporter_pipelines.defs_files import definitions
from exporter_pipelines.errors import DayNotPublishedError
from exporter_pipelines.service import training_builds
from exporter_pipelines.service.history import HistoryQuery
from exporter_pipelines.service.models import TrainingSetBuild
from exporter_pipelines.service.problems import Problem
from exporter_pipelines_tests.support.service import EXPORTER, Service, service
from exporter_pipelines_tests.support.training import WINDOWS, fill, publish

SETTINGS = {
    "EXPORTER_START_DATE": "2026-11-01",
    "EXPORTER_END_DATE": "2026-11-15",
    "EXPORTER_TIMEZONE": "UTC",
}


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service with the set `windows`, and a backend of which nothing is exported."""
    fill(tmp_path / "app.db")
    shutil.copytree(definitions.DEFS, tmp_path / "defs")
    home = tmp_path / "defs" / "windows"
    home.mkdir()
    document = {
        "type": "exporter_pipelines.components.TrainingSet",
        "attributes": yaml.safe_load(WINDOWS),
    }
    (home / "defs.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setattr(definitions, "DEFS", tmp_path / "defs")
    settings = {
        **SETTINGS,
        "EXPORTER_SOURCE_URL": f"sqlite:///{tmp_path / 'app.db'}",
        "EXPORTER_OUTPUT_URL": str(tmp_path / "exports"),
    }
    with service(tmp_path / "home", settings, code_location="code_location_with_sets") as found:
        yield found


def test_a_set_is_built_once_per_key_and_followed(running: Service, tmp_path: Path) -> None:
    launcher = running.exports.launcher(EXPORTER)

    def start(key: str) -> TrainingSetBuild:
        return training_builds.start(running.context, launcher, "windows", EXPORTER, key)

    with pytest.raises(DayNotPublishedError, match="has published logs and anomalies"):
        start("k")
    publish(tmp_path / "app.db", running.context.store)
    started = start("k")
    assert (started.status, started.user) == ("pending", "emil")
    assert start("k").id == started.id
    assert len(running.queued()) == 1
    running.work_off()
    ended = training_builds.build_of(running.context, "windows", started.id)
    assert (ended.status, ended.problem) == ("completed", None)
    assert ended.ended_at
    assert (running.context.store.root / "training_sets" / "windows" / "latest").exists()
    with pytest.raises(Problem, match="There is no build"):
        training_builds.build_of(running.context, "another", started.id)
    assert not running.history.page(HistoryQuery()).items, "a build is no export"
