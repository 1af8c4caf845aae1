"""The service serves exports in a bucket as it does those in a folder."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from exporter_pipelines import api
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.stores.opening import open_store
from exporter_pipelines_tests.support.api_clients import client_of
from exporter_pipelines_tests.support.backends import ANOMALIES, IPS, LOGS, Backend, fresh_database
from exporter_pipelines_tests.support.object_servers import ObjectServer
from exporter_pipelines_tests.support.reading_service import reading_service

DAY, LAST = "2026-11-01", "2026-11-02"
FILES = f"/api/v1/datasets/logs/days/{DAY}/files"


@pytest.fixture(scope="module")
def source(postgres_url: str) -> Iterator[Backend]:
    with fresh_database(postgres_url) as backend:
        backend.run(";".join((LOGS, ANOMALIES, IPS)))
        backend.add_logs(DAY, 400)
        backend.add_logs(DAY, 2, first_id=900, level="odd")
        backend.add_logs(LAST, 300, first_id=1000)
        yield backend


@pytest.fixture(scope="module")
def service(
    source: Backend, s3_server: ObjectServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FastAPI]:
    """A service over two published days in a bucket."""
    output = s3_server.below("service").settings
    with reading_service(tmp_path_factory.mktemp("service"), source.url, output) as found:
        assert len([*api.export_days("logs", DAY, LAST)]) == 2
        yield found


@pytest.fixture
def viewer(service: FastAPI) -> TestClient:
    return client_of(service, "viewer")


@pytest.fixture
def manifest(service: FastAPI) -> Manifest:
    found = Manifest.if_readable(store_of(service).read_manifest("logs", DAY))
    assert found
    return found


def store_of(service: FastAPI) -> Store:
    store: Store = service.state.context.store
    return store


def test_a_file_arrives_as_it_is_published(viewer: TestClient, manifest: Manifest) -> None:
    [file] = manifest.files
    answer = viewer.get(f"{FILES}/{file.path}", headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == file.sha256
    part = viewer.get(f"{FILES}/{file.path}", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, answer.content[100:200])
    known = {"If-None-Match": answer.headers["ETag"]}
    assert viewer.get(f"{FILES}/{file.path}", headers=known).status_code == 304
    head = viewer.head(f"{FILES}/{file.path}")
    assert (head.content, head.headers["Content-Length"]) == (b"", str(file.size_bytes))


def test_a_range_of_days_comes_as_one_file(viewer: TestClient) -> None:
    url = f"/api/v1/datasets/logs/rows?start_date={DAY}&end_date={LAST}&as=concat"
    lines = gzip.decompress(viewer.get(url).content).splitlines()
    assert len(lines) == 700
    archive = viewer.get(url.replace("concat", "tar"))
    assert archive.status_code == 200
    assert len(archive.content) == int(archive.headers["Content-Length"])


def test_manifest_card_and_rejected_rows(service: FastAPI, viewer: TestClient) -> None:
    found = viewer.get(f"/api/v1/datasets/logs/days/{DAY}/manifest")
    assert found.content == store_of(service).read_manifest("logs", DAY)
    assert b"# logs" in viewer.get("/api/v1/datasets/logs/card").content
    reader = client_of(service, "viewer", "quarantine")
    rows = gzip.decompress(reader.get(f"/api/v1/datasets/logs/days/{DAY}/quarantine").content)
    assert [json.loads(line)["level"] for line in rows.splitlines()] == ["odd", "odd"]


def test_days_metrics_and_report(service: FastAPI, viewer: TestClient) -> None:
    days = viewer.get(f"/api/v1/datasets/logs/days?start_date={DAY}&end_date={LAST}").json()
    assert "published" in json.dumps(days)
    metrics = client_of(service, "metrics").get("/metrics").text
    assert "exporter_output_free_bytes" not in metrics
    assert 'exporter_last_published_day_timestamp_seconds{dataset="logs"}' in metrics
    assert viewer.get("/exports/report/").status_code == 404
    store_of(service).write_report(None, b"<!doctype html><title>Report</title>")
    assert "<title>Report</title>" in viewer.get("/exports/report/").text


def test_a_day_that_was_changed_is_not_sent(
    service: FastAPI, viewer: TestClient, manifest: Manifest
) -> None:
    assert store_of(service).location == open_store().location
    name = manifest.files[0].path
    bucket = open_store().bucket  # type: ignore[attr-defined]
    [key] = [e.key for e in bucket.listed(f"logs/generations/date={DAY}") if e.name == name]
    before = bucket.read(key).content
    bucket.remove([key])
    answer = viewer.get(f"{FILES}/{name}")
    bucket.write(key, before)
    assert answer.status_code in (409, 500)
    assert "Export the day again" in answer.text
