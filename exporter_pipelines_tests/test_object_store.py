"""Days published to a bucket, and read back from it."""

from __future__ import annotations

import gzip
import json

import pytest

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.stores.objects.store import ObjectStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.bucket_days import open_bucket
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.object_servers import ObjectServer

DAY = "2026-11-01"


@pytest.fixture
def bucket(s3: ObjectServer) -> ObjectStore:
    """An output in a bucket that has nothing yet."""
    return open_bucket(s3)


def test_a_published_day_is_read_back(bucket: ObjectStore, backend: Backend) -> None:
    backend.add_logs(DAY, 5)
    manifest = export(backend.url, dataset(), DAY, bucket)
    assert bucket.published_days("logs") == [DAY]
    with bucket.published_day("logs", DAY) as day:
        name = manifest.files[0].path
        assert day.names() == [MANIFEST_NAME, name]
        assert Manifest.from_json(day.read_small(MANIFEST_NAME)) == manifest
        with day.open(name) as file, gzip.open(file) as lines:
            assert [json.loads(line)["id"] for line in lines] == [1, 2, 3, 4, 5]
        assert day.is_current()


def test_a_republished_day_replaces_the_view(bucket: ObjectStore, backend: Backend) -> None:
    backend.add_logs(DAY, 2)
    export(backend.url, dataset(), DAY, bucket)
    backend.add_logs(DAY, 3, first_id=10)
    manifest = export(backend.url, dataset(), DAY, bucket)
    view = f"logs/data/date={DAY}"
    found = bucket.bucket.read(f"{view}/{manifest.files[0].path}")
    assert found
    assert len(gzip.decompress(found.content).splitlines()) == 5
    copy = bucket.bucket.read(f"{view}/{MANIFEST_NAME}")
    assert copy
    assert copy.content == bucket.read_manifest("logs", DAY)
    events = [entry.event for entry in bucket.entries("logs", DAY)]
    assert events == ["publishing", "published", "publishing", "published"]
