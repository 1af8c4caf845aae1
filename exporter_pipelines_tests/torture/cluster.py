"""A cluster on this machine: a database, a bucket, Dagster's daemon, and machines that take runs.

They share Dagster's history, the source and the bucket, but no file: see `machines`.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psycopg
import yaml

from exporter_pipelines.stores.objects.store import ObjectStore
from exporter_pipelines.stores.objects.sweep import Times
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.bucket_days import open_bucket
from exporter_pipelines_tests.support.object_servers import ObjectServer, seaweedfs
from exporter_pipelines_tests.support.projects import BIN, ROOT, Project, copy_project
from exporter_pipelines_tests.support.servers import WORKSPACE, code_server, daemon, web_server
from exporter_pipelines_tests.torture import machines
from exporter_pipelines_tests.torture.machines import QUEUE, Machine
from exporter_pipelines_tests.torture.trial import Trial

DATASETS = ["anomalies", "ips", "logs"]
FIRST = dt.date(2025, 11, 1)
MACHINES = 4
POOL_LIMIT = 3
"""Runs that read the source at the same time."""
ROWS = 50
"""Of a table and day."""


@dataclass(frozen=True)
class Size:
    """How much is exported, and how fast a killed run must be found.

    Attributes:
        days: Of each dataset.
        days_per_run: EXPORTER_BACKFILL_DAYS_PER_RUN.
        ends_s: A killed run has failed after so many seconds.
        hurried: Whether leases last seconds instead of minutes, and sensors look more often.
    """

    days: int
    days_per_run: int
    ends_s: float
    hurried: bool

    @property
    def partitions(self) -> list[str]:
        """The days."""
        return [(FIRST + dt.timedelta(days=number)).isoformat() for number in range(self.days)]


@dataclass(frozen=True)
class Cluster:
    """What runs, and what a campaign looks at.

    Attributes:
        project: Of web server and daemon.
        backend: The source.
        history: Dagster's database.
        instance: The same, as Dagster sees it.
        bucket: Where the exports are.
        fleet: The machines that have not been killed.
    """

    project: Project
    backend: Backend
    history: Backend
    instance: dg.DagsterInstance
    bucket: ObjectServer
    fleet: list[Machine]

    def store(self, times: Times | None = None) -> ObjectStore:
        """The exports."""
        return open_bucket(self.bucket, times)

    def launch_backfill(self, days: list[str]) -> str:
        """Start a backfill of all datasets as the UI does, and return its id."""
        with web_server(self.project, *WORKSPACE) as server:  # it is needed for that only
            return server.launch_backfill(DATASETS, days)

    def recorded(self) -> Counter[tuple[str, str]]:
        """(run, dataset) -> days that the run has recorded."""
        rows = self.history.run(
            "SELECT run_id, asset_key::json ->> 0, count(*) FROM event_logs "
            "WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND run_id <> '' GROUP BY 1, 2"
        )
        return Counter({(run, dataset): days for run, dataset, days in rows})


@contextmanager
def cluster(trial: Trial, size: Size) -> Iterator[Cluster]:
    """Start everything but the backfill."""
    with ExitStack() as stack:
        backend = stack.enter_context(trial.backend())
        history = stack.enter_context(trial.database())
        _fill(backend, size)
        [[name]] = history.run("SELECT current_database()")
        # No power is cut here, and Dagster commits often: some hundred times for each day.
        history.run(f"ALTER DATABASE {name} SET synchronous_commit = off")
        weed = trial.folder / "weed"
        weed.mkdir()
        bucket = stack.enter_context(seaweedfs(weed))
        settings = {
            **bucket.settings,
            "EXPORTER_SOURCE_URL": backend.url,
            "EXPORTER_BACKFILL_DAYS_PER_RUN": str(size.days_per_run),
            "DAGSTER_POSTGRES_URL": history.url,
        }
        project = _project(trial.folder, settings, size)
        instance = stack.enter_context(_instance(trial.folder, history))  # makes its tables
        stack.enter_context(code_server(project))
        fleet = stack.enter_context(_fleet(trial.folder, project))
        seconds = 2 if size.hurried else 30
        stack.enter_context(daemon(project, *WORKSPACE, seconds=seconds))
        yield Cluster(project, backend, history, instance, bucket, fleet)


@contextmanager
def most_sessions(backend: Backend) -> Iterator[list[int]]:
    """The most sessions of runs that have read the source at once.

    A session that its run has closed may be listed for a moment longer, as idle.
    """
    most, stop = [0], threading.Event()
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name LIKE 'machine-%' AND state <> 'idle'"
    )

    def watch() -> None:
        with psycopg.connect(backend.url, autocommit=True) as connection:
            while not stop.wait(0.1):
                most[0] = max(most[0], connection.execute(query).fetchone()[0])  # type: ignore[index]

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


def _fill(backend: Backend, size: Size) -> None:
    """The same number of rows each day in each table, with indexes on the time columns."""
    rows = f"generate_series(0, {size.days * ROWS} - 1) n"
    time = f"'{FIRST}T00:00:00Z'::timestamptz + n * interval '{86400 // ROWS} seconds'"
    for statement in (
        f"INSERT INTO logs SELECT n + 1, {time}, 'INFO', 'hello', 'app', 'edge-01', '10.0.0.1', "
        f"'{{}}' FROM {rows}",
        f"INSERT INTO anomalies (id, timestamp, type, score, severity, status, details) "
        f"SELECT n + 1, {time}, 'spike', 0.5, 'low', 'open', '{{}}' FROM {rows}",
        f"INSERT INTO ip_addresses (id, address, first_seen, last_seen, risk_score) "
        f"SELECT n + 1, '10.0.0.0'::inet + n, {time}, {time}, 5 FROM {rows}",
        "CREATE INDEX ON logs (timestamp)",
        "CREATE INDEX ON anomalies (timestamp)",
        "CREATE INDEX ON ip_addresses (last_seen)",
    ):
        backend.run(statement)


def _project(folder: Path, settings: dict[str, str], size: Size) -> Project:
    """A project with deploy/dagster.yaml, this launcher and these limits."""
    home, queue = folder / "home", folder / "queue"
    project = copy_project(
        folder / "project",
        {
            "EXPORTER_START_DATE": str(FIRST),
            "EXPORTER_END_DATE": str(FIRST + dt.timedelta(days=size.days)),
            "EXPORTER_TIMEZONE": "UTC",
            **settings,
        },
    )
    project.set(**{"DAGSTER_HOME": str(home), QUEUE: str(queue)})
    for made in (home, queue):
        made.mkdir()
    shutil.copy(Path(machines.__file__), project.path)
    config = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())
    config["run_launcher"] = {"module": "machines", "class": "QueueLauncher"}
    config["concurrency"]["pools"]["default_limit"] = POOL_LIMIT
    config["concurrency"]["runs"] = {"max_concurrent_runs": MACHINES}
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))
    # Each report would cost as much as a run of the backfill.
    running = "default_status=dg.DefaultSensorStatus.RUNNING"
    _edit(project, "report/sensor.py", running, running.replace("RUNNING", "STOPPED"))
    if size.hurried:
        project.hurry_sensors()
        _edit(project, "exports/run_presence.py", "RENEW_SECONDS = 60.0", "RENEW_SECONDS = 2.0")
        _edit(project, "upkeep/leases.py", "EXPIRED_SECONDS = 240.0", "EXPIRED_SECONDS = 30.0")
    return project


def _edit(project: Project, name: str, old: str, new: str) -> None:
    file = project.path / "exporter_pipelines" / "orchestration" / name
    text = file.read_text()
    assert old in text, f"{old!r} is not in {file}"
    file.write_text(text.replace(old, new))


@contextmanager
def _instance(folder: Path, history: Backend) -> Iterator[dg.DagsterInstance]:
    """Dagster's history for this process, which has no launcher."""
    reading = folder / "reading"
    reading.mkdir()
    storage = {"postgres": {"postgres_url": history.url}}
    (reading / "dagster.yaml").write_text(yaml.safe_dump({"storage": storage}))
    with dg.DagsterInstance.from_config(str(reading)) as instance:
        yield instance


@contextmanager
def _fleet(folder: Path, project: Project) -> Iterator[list[Machine]]:
    """The machines. Each has its own folders and the same settings."""
    environment = {
        **project.environment,
        QUEUE: str(folder / "queue"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    fleet: list[Machine] = []
    try:
        for number in range(MACHINES):
            name = f"machine-{number}"
            home = _machine_home(folder / name, project)
            own = {"HOME": str(home), "TMPDIR": str(home / "tmp")}
            fleet.append(Machine(name, home, {**environment, **own}))
        yield fleet
    finally:
        for machine in fleet:
            machine.kill()


def _machine_home(home: Path, project: Project) -> Path:
    (home / "tmp").mkdir(parents=True)
    shutil.copy(project.path.parent / "home" / "dagster.yaml", home)
    values = dict(line.split("=", 1) for line in (project.path / ".env").read_text().splitlines())
    url = values["EXPORTER_SOURCE_URL"]
    # The name of the application tells the sessions of runs from those of sensors.
    values["EXPORTER_SOURCE_URL"] = f"{url}{'&' if '?' in url else '?'}application_name={home.name}"
    values["DAGSTER_HOME"] = str(home)
    (home / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return home
