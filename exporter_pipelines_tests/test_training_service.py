"""Training sets in the service and its client: listed, described, downloaded and refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from fastapi import FastAPI
from starlette.testclient import TestClient

from exporter_pipelines.client import (
    ServiceFailedError,
    UnexpectedAnswerError,
    UnknownResourceError,
)
from exporter_pipelines.client.training_sets import download_training_set
from exporter_pipelines.defs_files import definitions
from exporter_pipelines.service.training_builds import newest_builds
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.api_clients import client_of, library_client
from exporter_pipelines_tests.support.in_process_service import in_process_service
from exporter_pipelines_tests.support.reading_service import reading_service
from exporter_pipelines_tests.support.training import WINDOWS, build, config, fill, publish
from exporter_pipelines_tests.support.waiting import wait_until

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
    (folder / "defs.yaml").write_text(_definition(attributes))


def _definition(attributes: dict[str, object]) -> str:
    document = {"type": "exporter_pipelines.components.TrainingSet", "attributes": attributes}
    return yaml.safe_dump(document)


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


def test_the_client_downloads_a_version_as_it_was_built(service: FastAPI, tmp_path: Path) -> None:
    home = service.state.context.store.root / "training_sets" / "windows" / "latest"
    arrived: list[int] = []
    with library_client(service, "viewer") as client:
        assert [each.name for each in client.training_sets()] == ["broken", "later", "windows"]
        assert client.training_set("windows").splits["train"].examples > 0
        found = client.download_training_set("windows", tmp_path, on_progress=arrived.append)
        again = client.download_training_set("windows", tmp_path)
    assert (found.was_there, again.was_there) == (False, True)
    assert found.folder == tmp_path / "training_sets" / "windows" / home.resolve().name
    assert (tmp_path / "training_sets" / "windows" / "latest").resolve() == found.folder
    names = {file.relative_to(found.folder).as_posix() for file in found.files}
    assert {"README.md", "croissant.json", "sample.jsonl", "templates.parquet"} < names
    assert sum(arrived) == found.size_bytes
    for name in (*names, "_manifest.json"):
        assert (found.folder / name).read_bytes() == (home / name).read_bytes()
    assert not [name for name in names if name.startswith("evidence")]


def test_a_damaged_copy_is_downloaded_again(service: FastAPI, tmp_path: Path) -> None:
    with library_client(service, "viewer") as client:
        found = client.download_training_set("windows", tmp_path)
        [damaged] = [file for file in found.files if file.name.startswith("train-")]
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:-1] + b"x")
        assert not client.download_training_set("windows", tmp_path).was_there
    assert damaged.read_bytes() == whole


def test_the_client_says_what_cannot_be_downloaded(service: FastAPI, tmp_path: Path) -> None:
    with library_client(service, "viewer") as client:
        with pytest.raises(UnknownResourceError, match="'nothing' does not exist"):
            client.download_training_set("nothing", tmp_path)
        with pytest.raises(UnknownResourceError, match="was not built yet"):
            client.download_training_set("later", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["../x", "/etc/x", "data/../../x", ".hidden", "a\\b", "data//x"])
def test_a_manifest_that_leads_out_of_the_folder_is_refused(
    service: FastAPI, tmp_path: Path, path: str
) -> None:
    home = service.state.context.store.root / "training_sets" / "windows" / "latest"
    document = json.loads((home / "_manifest.json").read_bytes())
    document["other_files"] = [{"path": path, "size_bytes": 1, "sha256": "0" * 64}]

    class Answers:
        def request(self, _method: str, _path: str) -> SimpleNamespace:
            return SimpleNamespace(content=json.dumps(document).encode())

    with pytest.raises(UnexpectedAnswerError, match="is not a file of a training set"):
        download_training_set(Answers(), "windows", tmp_path, arrived=None)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_version_that_leads_out_of_the_folder_is_refused(
    service: FastAPI, tmp_path: Path
) -> None:
    home = service.state.context.store.root / "training_sets" / "windows" / "latest"
    document = json.loads((home / "_manifest.json").read_bytes())
    document["data_version"] = "/../../../.."

    class Answers:
        def request(self, _method: str, _path: str) -> SimpleNamespace:
            return SimpleNamespace(content=json.dumps(document).encode())

    with pytest.raises(UnexpectedAnswerError, match="cannot be used"):
        download_training_set(Answers(), "windows", tmp_path / "a", arrived=None)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_build_needs_a_role_a_set_and_a_code_location(service: FastAPI) -> None:
    assert client_of(service, "viewer").post(f"{SETS}/windows/builds").status_code == 403
    assert client_of(service, "viewer").get(f"{SETS}/windows/builds/x").status_code == 404
    with library_client(service, "exporter") as client:
        with pytest.raises(UnknownResourceError, match="'nothing' does not exist"):
            client.build_training_set("nothing")
        with pytest.raises(ServiceFailedError, match="has not loaded windows"):
            client.build_training_set("windows")


def test_a_build_that_the_page_starts_is_listed_until_it_has_ended(tmp_path: Path) -> None:
    backend = tmp_path / "app.db"
    fill(backend)
    definitions = {"windows": _definition(yaml.safe_load(WINDOWS))}
    with in_process_service(
        tmp_path / "service", f"sqlite:///{backend}", more_definitions=definitions
    ) as running:
        page = running.client("exporter")
        page.headers["accept"] = "text/html"
        build_path = "/exports/training-sets/windows/builds"
        nothing = page.post(build_path, data={"key": "1"})
        assert nothing.status_code == 404
        assert "no day from 2026-11-01 to 2026-11-08 has published" in nothing.text
        publish(backend, running.store)
        answers = [page.post(build_path, data={"key": "2"}) for _ in range(2)]
        assert [each.status_code for each in answers] == [303, 303], answers[0].text
        assert answers[0].headers["location"] == "/exports#training"
        [run] = running.context.instance.get_runs()
        assert f"/runs/{run.run_id}" in page.get("/exports").text
        newest = wait_until(
            lambda: newest_builds(running.context, ["windows"])["windows"],
            "the build has ended",
            until=lambda found: found.ended_at is not None,
        )
        assert (newest.status, newest.user) == ("completed", "alice"), newest.problem
        assert "not yet" not in page.get("/exports").text
        assert page.post(build_path, data={"key": "2"}).status_code == 303
        assert len(running.context.instance.get_runs()) == 1
        viewer = running.client("viewer")
        assert viewer.post(build_path, data={"key": "3"}).status_code == 403
