"""Days published to a bucket: read back, replaced, held, removed; how many requests it takes."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter_pipelines.cli.output import output
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.contracts.retention import RetentionConfig
from exporter_pipelines.engine import retention
from exporter_pipelines.engine.trailing_days import TrailingDays
from exporter_pipelines.errors import ConfigurationError, DayHeldError, SupersededError
from exporter_pipelines.stores import LocalStore, opening
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.location import Location
from exporter_pipelines.stores.objects.store import ObjectStore
from exporter_pipelines.stores.objects.sweep import Times
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.bucket_days import damage, generations, open_bucket
from exporter_pipelines_tests.support.datasets import databases, dataset, export
from exporter_pipelines_tests.support.gcs_stub import gcs_stub
from exporter_pipelines_tests.support.http_proxy import HttpProxy, http_proxy
from exporter_pipelines_tests.support.object_servers import ObjectServer, azurite, azurite_program
from exporter_pipelines_tests.support.runs import Runner

DAY, NEXT_DAY = "2026-11-01", "2026-11-02"
NOW = Times(grace_s=-60, abandoned_s=-60)
"""A sweep with these times does not wait. The clock of a store has whole seconds."""


@pytest.fixture
def bucket(s3: ObjectServer) -> ObjectStore:
    """An output in a bucket that has nothing yet."""
    return open_bucket(s3)


@pytest.fixture
def proxy(s3: ObjectServer) -> Iterator[HttpProxy]:
    """Before the bucket."""
    with http_proxy(s3.endpoint) as running:
        yield running


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
        assert day.irregular() is None
        with pytest.raises(FileNotFoundError):
            day.open("other.jsonl.gz")


def test_a_replaced_day_is_readable_until_the_sweep(bucket: ObjectStore, backend: Backend) -> None:
    backend.add_logs(DAY, 2)
    first = export(backend.url, dataset(), DAY, bucket)
    with bucket.published_day("logs", DAY) as old:
        backend.add_logs(DAY, 3, first_id=10)
        export(backend.url, dataset(), DAY, bucket)
        assert not damage(bucket, DAY)
        assert not old.is_current()
        with old.open(first.files[0].path) as file, gzip.open(file) as lines:
            assert len(lines.readlines()) == 2
    events = [entry.event for entry in bucket.entries("logs", DAY)]
    assert events == ["publishing", "published", "publishing", "published"]
    assert len(generations(bucket, DAY)) == 2
    bucket.times = NOW
    bucket.clean_up("logs")
    assert len(generations(bucket, DAY)) == 1
    assert bucket.bucket.listed(keys.attempts("logs")) == []
    assert not damage(bucket, DAY)


def test_a_format_change_replaces_the_name_in_the_view(
    bucket: ObjectStore, backend: Backend
) -> None:
    backend.add_logs(DAY, 2)
    export(backend.url, dataset(), DAY, bucket)
    export(backend.url, dataset(format="parquet", compression="none"), DAY, bucket)
    names = [each.name for each in bucket.bucket.listed(keys.view("logs", DAY))]
    assert names == [MANIFEST_NAME, f"logs-{DAY}.parquet"]


@pytest.mark.parametrize("format_", ["jsonl", "csv", "json"])
def test_a_day_without_compression_has_the_bytes_of_one_on_a_disk(
    format_: str, bucket: ObjectStore, backend: Backend, tmp_path: Path
) -> None:
    """Uncompressed rows are written from Arrow's memory."""
    backend.add_logs(DAY, 5)
    backend.add_logs(DAY, 1, first_id=40, level="odd")
    plain = dataset(format=format_, compression="none", max_rejected_pct=50)
    manifest = export(backend.url, plain, DAY, bucket)
    on_disk = export(backend.url, plain, DAY, LocalStore(tmp_path))
    assert [file.sha256 for file in manifest.files] == [file.sha256 for file in on_disk.files]
    assert manifest.quarantine is not None
    assert manifest.quarantine.record_count == 1
    assert not damage(bucket, DAY)


def test_a_day_in_several_files(bucket: ObjectStore, backend: Backend) -> None:
    backend.add_logs(DAY, 5)
    for _ in range(2):
        manifest = export(backend.url, dataset(max_file_records=2), DAY, bucket)
        assert len(manifest.files) == 3
        assert not damage(bucket, DAY)


def test_without_the_view_there_is_only_the_pointer(s3: ObjectServer, backend: Backend) -> None:
    backend.add_logs(DAY, 2)
    store = open_bucket(s3, view="none")
    export(backend.url, dataset(), DAY, store)
    assert store.bucket.listed("logs/data") == []
    assert not damage(store, DAY, view=False)
    assert store.day_location("logs", DAY) == f"{s3.url}/logs/manifests/date={DAY}.json"


def test_a_held_day_keeps_its_rejected_rows(bucket: ObjectStore, backend: Backend) -> None:
    backend.add_logs(DAY, 5)
    backend.add_logs(DAY, 1, first_id=40, level="odd")
    export(backend.url, dataset(max_rejected_rows=3), DAY, bucket)
    published = bucket.quarantine_files("logs", DAY)
    backend.add_logs(DAY, 9, first_id=50, level="odd")
    for _ in range(2):
        with pytest.raises(DayHeldError) as held:
            export(backend.url, dataset(max_rejected_rows=3), DAY, bucket)
        names = bucket.quarantine_files("logs", DAY)
        assert len(names) == 2  # that of the published day, and of the newest hold
        assert set(published) < set(names)
        assert f"{bucket.quarantine_location('logs', DAY)}/" in str(held.value)
    assert not damage(bucket, DAY)
    assert len(generations(bucket, DAY)) == 1
    backend.run("DELETE FROM logs WHERE id >= 50")
    export(backend.url, dataset(max_rejected_rows=3), DAY, bucket)
    assert len(bucket.quarantine_files("logs", DAY)) == 1
    assert not damage(bucket, DAY)


def test_retention_removes_a_day_and_leaves_a_tombstone(
    bucket: ObjectStore, backend: Backend
) -> None:
    exported = dataset(retention=RetentionConfig(keep_days=1, keep_at_least=1))
    for day, first_id in ((DAY, 1), (NEXT_DAY, 50)):
        backend.add_logs(day, 3, first_id=first_id)
        export(backend.url, exported, day, bucket)
    plan = retention.plan(bucket, exported, dt.date(2026, 11, 20))
    assert [removal.day for removal in plan] == [DAY]
    assert retention.remove(bucket, plan[0])
    assert bucket.published_days("logs") == [NEXT_DAY]
    assert bucket.read_manifest("logs", DAY) is None
    assert bucket.read_tombstone("logs", DAY)
    assert bucket.bucket.listed(keys.view("logs", DAY)) == []
    assert bucket.bucket.listed(keys.fingerprints("logs", DAY)) == []
    assert [entry.event for entry in bucket.entries("logs", DAY)][-2:] == ["removing", "removed"]
    bucket.times = NOW
    bucket.clean_up("logs")
    assert generations(bucket, DAY) == set()
    assert not retention.remove(bucket, plan[0])
    export(backend.url, exported, DAY, bucket)
    assert not damage(bucket, DAY)


def test_a_day_that_was_published_again_is_not_removed(
    bucket: ObjectStore, backend: Backend
) -> None:
    exported = dataset(retention=RetentionConfig(keep_days=1, keep_at_least=1))
    for day, first_id in ((DAY, 1), (NEXT_DAY, 50)):
        backend.add_logs(day, 3, first_id=first_id)
        export(backend.url, exported, day, bucket)
    plan = retention.plan(bucket, exported, dt.date(2026, 11, 20))
    export(backend.url, exported, DAY, bucket)
    assert not retention.remove(bucket, plan[0])
    assert not damage(bucket, DAY)


def test_a_replaced_export_with_more_rows_is_kept(bucket: ObjectStore, backend: Backend) -> None:
    backend.add_logs(DAY, 5)
    backend.add_logs(DAY, 1, first_id=90, level="odd")
    export(backend.url, dataset(max_rejected_rows=3), DAY, bucket)
    backend.run("DELETE FROM logs WHERE id > 3")
    export(backend.url, dataset(), DAY, bucket, accept_loss=True)
    bucket.times = NOW
    bucket.clean_up("logs")
    [(day, name)] = bucket.replaced_exports("logs")
    assert day == DAY
    assert len(generations(bucket, DAY)) == 2
    assert len(bucket.bucket.listed(keys.replaced("logs", name))) == 2  # pointer, rejected rows
    assert bucket.remove_replaced("logs", name)
    assert not bucket.remove_replaced("logs", name)
    assert len(generations(bucket, DAY)) == 1
    assert not damage(bucket, DAY)


def test_a_small_day_takes_16_requests(
    proxy: HttpProxy, s3: ObjectServer, backend: Backend
) -> None:
    """In the middle of a range: a first export, the same rows again, and other rows."""
    for number in range(1, 5):
        backend.add_logs(f"2026-11-0{number}", 5, first_id=100 * number)
    # Changed rows are compared with the published ones, which are read for that.
    for changed_rows, limit in ((0, 16), (0, 16), (1, 18)):
        backend.run(f"UPDATE logs SET message = 'changed' WHERE {changed_rows} = 1")
        store = open_bucket(replace(s3, endpoint=proxy.url))
        trailing = TrailingDays(store, "logs")
        with databases(backend.url) as session:
            for number in (1, 2, 3):
                proxy.forget()
                day = f"2026-11-0{number}"
                export(backend.url, dataset(), day, store, trailing_days=trailing, session=session)
        assert len(proxy.requests) <= limit


def test_a_run_of_dagster_takes_16_requests_per_small_day(
    settings: dict[str, str],
    proxy: HttpProxy,
    s3: ObjectServer,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first days of a process take some more, and those of a new output twice as many."""
    days = [f"2026-11-0{number}" for number in range(1, 6)]
    for number, day in enumerate(days):
        backend.add_logs(day, 5, first_id=100 * number)
    for name, value in replace(s3, endpoint=proxy.url).settings.items():
        monkeypatch.setenv(name, value)
    runner = Runner([dataset()])
    for more in (48, 30):
        opening._bucket.cache_clear()  # as in a new process
        proxy.forget()
        assert runner.run("logs", days[0], days[-1]).success
        switches = [
            request.number
            for request in proxy.requests
            if request.method == "PUT" and "/manifests/" in request.path
        ]
        assert len(switches) == len(days)
        assert all(after - before <= 16 for before, after in pairwise(switches[1:]))
        assert len(proxy.requests) <= 16 * len(days) + more


def test_a_bucket_that_ignores_conditions_is_refused(
    proxy: HttpProxy, s3: ObjectServer, backend: Backend
) -> None:
    proxy.ignores_conditions = True
    backend.add_logs(DAY, 5)
    store = open_bucket(replace(s3, endpoint=proxy.url))
    with pytest.raises(ConfigurationError, match="ignores conditions"):
        store.probe()
    with pytest.raises(ConfigurationError, match="ignores conditions"):
        export(backend.url, dataset(), DAY, store)
    assert store.published_days("logs") == []
    assert store.read_marker() is None


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:secret@bucket/prefix",
        "s3://bucket/prefix?secret=secret",
        "s3://",
        "s3://bucket/a secret",
        "s3://bucket/../secret",
        "ftp://secret/x",
    ],
)
def test_a_wrong_url_is_refused_without_its_text(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Location.of(url)
    assert "secret" not in str(refused.value)


def test_the_bucket_is_tested_on_request(
    proxy: HttpProxy, s3: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPORTER_OUTPUT_PART_MIB", "5")
    for name, value in replace(s3, endpoint=proxy.url).settings.items():
        monkeypatch.setenv(name, value)
    kept = CliRunner().invoke(output, ["test", "--rounds", "3"])
    assert kept.exit_code == 0, kept.output
    assert "6 races of 6 writers for one object: each had one winner." in kept.output
    assert open_bucket(s3).bucket.listed("") == []
    proxy.ignores_conditions = True
    refused = CliRunner().invoke(output, ["test", "--rounds", "3"])
    assert refused.exit_code == 1
    assert "ignores conditions" in refused.output


@pytest.mark.parametrize("cloud", ["azure", "google"])
def test_other_clouds_have_the_same_days(
    cloud: str, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cloud == "azure" and azurite_program() is None:
        pytest.skip("azurite is not installed (npm install -g azurite)")
    with azurite(tmp_path) if cloud == "azure" else gcs_stub() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        store = open_bucket(server.below("prefix"), NOW, part_bytes=5 * 1024**2)
        assert list(store.trial(2))
        backend.add_logs(DAY, 5)
        backend.add_logs(DAY, 1, first_id=40, level="odd")
        for message in ("first", "second"):
            backend.run(f"UPDATE logs SET message = '{message}'")
            export(backend.url, dataset(), DAY, store)
            assert not damage(store, DAY)
        rival = open_bucket(server.below("prefix"))
        with pytest.raises(SupersededError):
            export(
                backend.url,
                dataset(),
                DAY,
                store,
                before_publish=lambda: _publish_other_rows(backend, rival),
            )
        store.clean_up("logs")
        assert len(generations(store, DAY)) == 1
        assert not damage(store, DAY)


def _publish_other_rows(backend: Backend, store: ObjectStore) -> None:
    backend.run("UPDATE logs SET message = 'other'")
    export(backend.url, dataset(), DAY, store)
