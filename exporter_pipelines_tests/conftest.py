"""Fixtures: a PostgreSQL server, a fresh database, a fresh output folder, a project on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter_pipelines.demo.backend import start_server
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.backends import ANOMALIES, IPS, LOGS, Backend, fresh_database
from exporter_pipelines_tests.projects import Project, copy_project

# Set here, not by a developer's .env: a test must never touch somebody's database.
_SETTINGS = {
    "EXPORTER_START_DATE": "2026-11-01",
    "EXPORTER_END_DATE": "2026-11-15",
    "EXPORTER_TIMEZONE": "UTC",
}


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a server: EXPORTER_TEST_POSTGRES_URL, or else an embedded one."""
    if url := os.environ.get("EXPORTER_TEST_POSTGRES_URL"):
        yield url
        return
    # Short: a Unix socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="exporter-pg-") as folder:
        yield start_server(Path(folder) / "data")


@pytest.fixture
def empty_db(postgres_url: str) -> Iterator[Backend]:
    """A database without tables."""
    with fresh_database(postgres_url) as backend:
        yield backend


@pytest.fixture
def backend(empty_db: Backend) -> Backend:
    """A database with the three tables, empty."""
    for statement in (LOGS, ANOMALIES, IPS):
        empty_db.run(statement)
    return empty_db


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An output folder that does not exist yet."""
    return LocalStore(tmp_path / "exports")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: Backend) -> dict[str, str]:
    """The environment of an export from `backend` into `tmp_path`, set for this process."""
    values = {
        **_SETTINGS,
        "EXPORTER_SOURCE_URL": backend.url,
        "EXPORTER_OUTPUT_URL": str(tmp_path / "exports"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@pytest.fixture
def project(tmp_path: Path, settings: dict[str, str]) -> Project:
    """A copy of the project in a folder of its own, with a .env for `settings`."""
    return copy_project(tmp_path / "project", settings)
