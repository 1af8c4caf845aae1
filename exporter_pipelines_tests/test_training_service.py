"""Training sets in the service: listed, described and downloaded."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI
from starlette.testclient import TestClient

from exporter_pipelines.defs_files import definitions
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.api_clients import client_of
from exporter_pipelines_tests.support.reading_service import reading_service
from exporter_pipelines_tests.support.training import WINDOWS, build, config, fill, publish

SETS = "/api/v1/training-sets"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """A service with the sets `windows`, which was built, `later`, which was not, and `broken`."""
    folder = tmp_path_factory.mktemp("service")
    backend = folder / "app.db"
    fill(backend)
    with pytest.MonkeyPatch.context() as patched:
        shutil.copytree(definitions.DEFS, folder / "defs")
        for name, changes in {"windows": {}, "later": {}, "broken": {"dataset": "x"}}.items():
            _define(folder / "defs" / name, {**yaml.safe_load(WINDOWS), "name": name, **changes})
        patched.setattr(definitions, "DEFS", folder / "defs")
        with reading_service(folder, f"sqlite:///{backend}") as found:
            store: LocalStore = found.state.context.store
            publish(backend, store)
            build(config(WINDOWS), store)
            yield found


def _define(folder: Path, attributes: dict[str, object]) -> None:
    folder.mkdir()
    document = {
        "type": "exporter_pipelines.components.TrainingSet",
        "attributes": attributes,
    }
    (folder / "defs.yaml").write_text(yaml.safe_dump(document))


@pytest.fixture
def viewer(service: FastAPI) -> TestClient:
    return client_of(service, "viewer")


def test_all_sets_are_listed_with_what_is_in_them(viewer: TestClient) -> None:
    broken, later, windows = viewer.get(SETS).json()["items"]
    assert "dataset 'x' does not exist" in broken["problem"]
    assert later["version"] is None
    assert windows["splits"]["train"]["examples"] > windows["splits"]["train"]["positives"] > 0
    assert windows["left_out_days"] == {"2026-11-04": "not published: logs"}
    assert viewer.get(f"{SETS}/windows").json() == windows


def test_its_files_arrive_as_they_were_built(service: FastAPI, viewer: TestClient) -> None:
    home = service.state.context.store.root / "training_sets" / "windows" / "latest"
    found = viewer.get(f"{SETS}/windows").json()
    [path] = found["splits"]["train"]["files"]
    for name in (path, "README.md", "croissant.json", "_manifest.json", "templates.parquet"):
        answer = viewer.get(f"{SETS}/windows/files/{name}")
        assert answer.content == (home / name).read_bytes()
    file = viewer.get(f"{SETS}/windows/files/{path}", headers={"Range": "bytes=0-3"})
    assert (file.status_code, file.content) == (206, b"PAR1")
    assert file.headers["etag"] == f'"{hashlib.sha256((home / path).read_bytes()).hexdigest()}"'


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("windows/files/evidence/train.parquet", 404),
        ("windows/files/../../../logs/README.md", 404),
        ("windows/files/data/none.parquet", 404),
        ("later/files/README.md", 404),
        ("nothing", 404),
        ("nothing/files/README.md", 404),
        ("windows/files/%2e%2e/x", 404),
    ],
)
def test_nothing_else_is_sent(viewer: TestClient, path: str, status: int) -> None:
    answer = viewer.get(f"{SETS}/{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_viewer_is_needed(service: FastAPI) -> None:
    assert client_of(service, "metrics").get(SETS).status_code == 403
