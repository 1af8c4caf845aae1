"""Days in slices, exported into a bucket, and by Dagster's command."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.objects.store import ObjectStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.bucket_days import damage, open_bucket
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.object_servers import ObjectServer
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.waiting import wait_until

DAY = "2026-11-01"


def hashes(store: ObjectStore | LocalStore) -> list[str]:
    manifest = Manifest.from_json(store.read_manifest("logs", DAY) or b"")
    return [file.sha256 for file in manifest.files]


def readers_of(pid: int) -> list[int]:
    """The processes that read slices for this one."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)],
        capture_output=True, text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    return [int(line.split()[0]) for line in listed if "slice_reader" in line]


def test_the_bytes_depend_on_the_slices_and_not_on_the_readers(
    s3: ObjectServer, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.add_logs(DAY, 300)
    folder = LocalStore(tmp_path)
    export(backend.url, dataset(slices=4), DAY, folder)
    found = {}
    for slices, readers in ((4, 1), (4, 2), (8, 2)):
        monkeypatch.setenv("EXPORTER_READERS", str(readers))
        store = open_bucket(s3.below(f"{slices}-{readers}"))
        export(backend.url, dataset(slices=slices), DAY, store)
        assert not damage(store, DAY)
        found[slices, readers] = hashes(store)
    assert found[4, 1] == found[4, 2] == hashes(folder)
    assert found[8, 2] != found[4, 2]


@pytest.mark.slow
def test_dagster_exports_slices_and_fails_the_day_of_a_killed_reader(
    project: Project, s3: ObjectServer, backend: Backend, tmp_path: Path
) -> None:
    backend.add_logs(DAY, 300)
    project.set(**s3.settings, EXPORTER_READERS="2")
    project.edit("logs", "  validation:", "  slices: 4\n  validation:")
    project.edit("logs", "    table:", "    retries: 0\n    table:")
    store = open_bucket(s3)

    done = project.materialize("logs", partition=DAY)
    assert done.code == 0, done.stderr
    folder = LocalStore(tmp_path / "folder")
    export(backend.url, dataset(slices=4), DAY, folder)
    published = hashes(store)
    assert published == hashes(folder)

    backend.run("UPDATE logs SET message = 'changed'")
    with project.start("logs", partition=DAY) as process:
        readers = wait_until(lambda: readers_of(process.pid), "a reader has started")
        os.kill(readers[0], signal.SIGKILL)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 1, said
    assert "A process that read slices of the day ended too early (signal 9)." in said
    assert not any(Path(f"/proc/{pid}").exists() for pid in readers)
    assert hashes(store) == published
    assert not damage(store, DAY)
    assert store.bucket.listed("logs/attempts") == []
