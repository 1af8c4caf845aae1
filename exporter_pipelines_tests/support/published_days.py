"""One published day, and what must be true of it, for the tests of publishing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset

DAY = "2026-11-01"
LOGS = dataset()


def add_rows(backend: Backend) -> None:
    """300 valid rows, and 3 that are rejected."""
    backend.add_logs(DAY, 300)
    backend.add_logs(DAY, 3, first_id=1000, level="odd")


def change(backend: Backend, message: str = "changed") -> None:
    backend.run("UPDATE logs SET message = %s WHERE id = 1", [message])


def hidden(store: LocalStore, name: str) -> list[str]:
    return sorted(file.name for file in (store.root / "logs" / name).iterdir())


def published_manifest(store: LocalStore) -> Manifest:
    data = store.read_manifest("logs", DAY)
    assert data is not None
    return Manifest.from_json(data)


def assert_whole(store: LocalStore, manifest: Manifest) -> None:
    """Nothing but this day lies in data/, it verifies, and so does its quarantine."""
    names = sorted(str(p.relative_to(store.root / "logs" / "data")) for p in data_of(store))
    folder = f"date={DAY}"
    assert names == [folder, f"{folder}/{MANIFEST_NAME}", f"{folder}/{manifest.files[0].path}"]
    assert published_manifest(store) == manifest
    assert open_day(store, "logs", DAY).read_all().num_rows == manifest.record_count
    if manifest.quarantine:
        quarantine = store.root / "logs" / manifest.quarantine.path
        assert hashlib.sha256(quarantine.read_bytes()).hexdigest() == manifest.quarantine.sha256


def data_of(store: LocalStore) -> list[Path]:
    return list((store.root / "logs" / "data").rglob("*"))


def open_descriptors() -> list[str]:
    return sorted(file.name for file in Path("/proc/self/fd").iterdir())
