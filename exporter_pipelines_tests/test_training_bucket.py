"""A training set that is built from days in a bucket, and into it."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from exporter_pipelines.cli.train_set import train_set
from exporter_pipelines.contracts.training_manifest import TrainingManifest
from exporter_pipelines.defs_files import definitions
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.objects.store import ObjectStore
from exporter_pipelines.training.published_set import newest_set
from exporter_pipelines.training.staleness import staleness
from exporter_pipelines_tests.support.bucket_days import open_bucket
from exporter_pipelines_tests.support.doc_examples import example
from exporter_pipelines_tests.support.object_servers import ObjectServer
from exporter_pipelines_tests.support.training import (
    DAYS,
    WINDOWS,
    build,
    checksums,
    config,
    fill,
    publish,
)

COMPONENT = "exporter_pipelines.components.TrainingSet"


def _rows(bucket: ObjectStore, manifest: TrainingManifest) -> int:
    """Rows of all data files of the newest version, each as its manifest says."""
    newest = newest_set(bucket, "windows")
    assert newest
    assert newest.manifest == manifest
    rows = 0
    for split in manifest.splits.values():
        for entry in split.files:
            with newest.version.open(entry.path) as file:
                assert hashlib.sha256(file.read()).hexdigest() == entry.sha256
                file.seek(0)
                rows += pq.read_metadata(file).num_rows
    return rows


def test_a_set_is_built_in_a_bucket_as_on_a_disk(s3: ObjectServer, tmp_path: Path) -> None:
    bucket, disk = open_bucket(s3), LocalStore(tmp_path / "exports")
    backend = tmp_path / "app.db"
    fill(backend)
    for store in (bucket, disk):
        publish(backend, store)
    first = build(config(WINDOWS), bucket)
    assert first.location.startswith("s3://")
    assert checksums(first) == checksums(build(config(WINDOWS), disk))
    assert _rows(bucket, first.manifest) == sum(s.rows for s in first.manifest.splits.values())
    assert build(config(WINDOWS), bucket).unchanged

    with closing(sqlite3.connect(backend)) as db, db:
        db.execute("UPDATE logs SET message = 'changed' WHERE id = 30")
    publish(backend, bucket, DAYS[:1])
    stale = staleness(config(WINDOWS), bucket)
    assert stale
    assert stale.changes == (f"logs {DAYS[0]} was exported again",)
    second = build(config(WINDOWS), bucket)
    versions = bucket.versions("windows")
    assert len(versions.stored()) == 2, "readers of the version before keep it"

    versions.remove(second.manifest.data_version[:12])
    assert newest_set(bucket, "windows") is None
    removed = staleness(config(WINDOWS), bucket)
    assert removed
    assert removed.changes == ("its newest version was removed",)
    assert not build(config(WINDOWS), bucket).unchanged


def test_the_command_names_the_version_in_the_bucket(
    s3: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, backend = open_bucket(s3), tmp_path / "app.db"
    fill(backend)
    publish(backend, bucket)
    for name, value in s3.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)  # away from the .env of the checkout
    home = tmp_path / "defs" / "windows"
    home.mkdir(parents=True)
    document = {"type": COMPONENT, "attributes": yaml.safe_load(WINDOWS)}
    (home / "defs.yaml").write_text(yaml.safe_dump(document))
    for name in ("logs", "anomalies"):
        home.with_name(name).symlink_to(definitions.DEFS / name)
    monkeypatch.setattr(definitions, "DEFS", home.parent)
    unknown = CliRunner().invoke(train_set, ["window"])
    assert "training set 'window' does not exist (there are: windows)" in unknown.output
    assert unknown.exit_code == 2, "as of every command with an unknown name"
    built = CliRunner().invoke(train_set, ["windows"])
    assert built.exit_code == 0, built.output
    newest = bucket.versions("windows").newest()
    assert newest
    assert built.output.splitlines()[-1] == newest.location
    assert newest.location.startswith(f"{s3.url}/training_sets/windows/v-")

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    code = re.sub(r"s3://\S+/data", f"{newest.location}/data", example("train from a bucket"))
    loaded: dict[str, Any] = {}
    exec(code, loaded)
    splits = newest_set(bucket, "windows").manifest.splits
    assert [len(loaded[split]) for split in ("train", "test")] == [
        splits[split].rows for split in ("train", "test")
    ]
    with newest.open("README.md") as card:
        first_code = card.read().decode().partition("```python\n")[2].partition("```")[0]
    of_card: dict[str, Any] = {}
    exec(first_code, of_card)
    assert len(of_card["train"]) == splits["train"].rows, "its code reads the bucket"


def test_builds_and_removals_at_once_lose_nothing(s3: ObjectServer, tmp_path: Path) -> None:
    """`latest.json` is changed on condition: no version is named that another process removed."""
    bucket = open_bucket(s3)
    (tmp_path / "card.md").write_text("x")
    versions = bucket.versions("windows")
    versions.publish(tmp_path, "old")
    others = [open_bucket(s3).versions("windows") for _ in range(4)]
    threads = [
        threading.Thread(target=other.publish, args=(tmp_path, f"new{number}"))
        for number, other in enumerate(others)
    ] + [threading.Thread(target=versions.remove, args=("old",))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = versions.newest()
    assert newest
    assert newest.version in {f"new{number}" for number in range(4)}
    named = versions.stored()
    assert "old" not in named
    for each in named:
        found = versions.version(each)
        assert found
        assert found.names() == ["card.md"]
