"""Backfills through a real daemon: what a year of small days costs, and how several share a pool.

Both print one JSON object of figures, and end with an error when something is not as promised.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import ANOMALIES, IPS, LOGS, Backend, fresh_database
from exporter_pipelines_tests.support.dagster_history import history_of
from exporter_pipelines_tests.support.datasets import databases, dataset, export
from exporter_pipelines_tests.support.embedded_server import embedded_server
from exporter_pipelines_tests.support.projects import Project, copy_project
from exporter_pipelines_tests.support.servers import daemon, web_server
from exporter_pipelines_tests.support.waiting import wait_until

_NAMES = ["anomalies", "ips", "logs"]
_DAYS = "generate_series(0, {last}) d, generate_series(1, {rows}) n"
_AT = "'{first}T00:00Z'::timestamptz + d * interval '1 day' + n * interval '1 second'"
_FILL = (
    f"INSERT INTO logs SELECT d * 100000 + n, {_AT}, 'INFO', 'hello', 'app', 'edge-01', "
    f"'10.0.0.1', '{{{{}}}}' FROM {_DAYS}",
    f"INSERT INTO anomalies SELECT d * 100000 + n, {_AT}, 'scan', 0.5, 'low', 'new', n, NULL, "
    f"'{{{{}}}}' FROM {_DAYS}",
    f"INSERT INTO ip_addresses SELECT d * 100000 + n, '10.0.0.0'::inet + (d * {{rows}} + n), "
    f"{_AT}, {_AT}, 0.5, 'DE', '{{{{}}}}' FROM {_DAYS}",
    "CREATE INDEX ON logs (timestamp)",
    "CREATE INDEX ON anomalies (timestamp)",
    "CREATE INDEX ON ip_addresses (last_seen)",
)
_SESSIONS = """
SELECT pid, backend_start::text, state, wait_event, state_change::text, now()::text AS seen, query
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'exporter_pipelines'
"""


def year(days: int, rows: int) -> None:
    """A backfill over all datasets, cancelled half way; the rest; the same without Dagster."""
    with _project(days, rows) as (project, backend, names):
        every = {(name, day) for name in _NAMES for day in names}
        with web_server(project) as server, daemon(project):
            first = server.launch_backfill(_NAMES, names)
            half = len(every) // 2
            wait_until(
                lambda: len(_published(project, every)) >= half, "half is exported",
                seconds=7200, every=1,
            )  # fmt: skip
            server.cancel_backfill(first)
            cancelled = server.finished_backfill(first, timeout=600)
            stayed = _published(project, every)
            assert cancelled["status"] == "CANCELED", cancelled
            assert _recorded(project) == dict.fromkeys(stayed, 1)
            assert set(stayed) < every
            rest = server.finished_backfill(server.rerun_failed(first), timeout=7200)
        assert rest["status"] == "COMPLETED_SUCCESS", rest
        # What was finished is not exported again: one record per day, the files untouched.
        assert _recorded(project) == dict.fromkeys(every, 1)
        after = _published(project, every)
        assert {key: after[key] for key in stayed} == stayed
        with history_of(project) as instance:
            # The report's runs, which a sensor starts, are none of these.
            records = [
                r for r in instance.get_run_records() if "dagster/backfill" in r.dagster_run.tags
            ]
            took = sum((r.end_time or 0) - (r.start_time or 0) for r in records)
            lines = [
                e.user_message
                for r in records
                for e in instance.all_logs(r.dagster_run.run_id)
                if not e.dagster_event
            ]
        [stopped] = [line for line in lines if ": stopped at " in line]
        work = _without_dagster(backend, names, project.path / "beside")
        count = len(every)
        _print(
            days=days, datasets=len(_NAMES), rows_per_day=rows, runs=len(records),
            run_s=round(took, 1), cancelled_after=len(stayed), said=stopped,
            s_per_day=round(took / count, 4), work_s_per_day=round(work / count, 4),
            overhead_s_per_day=round((took - work) / count, 4), log_lines=len(lines),
        )  # fmt: skip


def _published(project: Project, days: set[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """When the manifests of those days were written, by dataset and day."""
    written = {}
    for name, day in days:
        manifest = project.output / name / "data" / f"date={day}" / MANIFEST_NAME
        with suppress(FileNotFoundError):
            written[name, day] = manifest.stat().st_mtime
    return written


def _recorded(project: Project) -> dict[tuple[str, str], int]:
    """How many materializations each dataset and day has."""
    found: Counter[tuple[str, str]] = Counter()
    with history_of(project) as instance:
        for name in _NAMES:
            records = instance.fetch_materializations(dg.AssetKey(name), limit=10_000).records
            found.update((name, str(r.partition_key)) for r in records)
    return dict(found)


def concurrent(days: int) -> None:
    """Three slow backfills and two schedules: no more sessions than the pool allows, none lost."""
    with _project(days, 5) as (project, backend, names):
        for table in ("anomalies", "ip_addresses"):
            slow = f"SELECT t.* FROM {table} t, (SELECT pg_sleep(1) OFFSET 0) AS pause"
            backend.run(f"CREATE VIEW slow_{table} AS {slow}")
        for name, table in (("anomalies", "anomalies"), ("ips", "ip_addresses")):
            project.edit(name, f"table: {table}", f"table: slow_{table}")
        for name, cron in (("logs", "15 2"), ("ips", "25 2")):
            project.edit(name, f"{cron} * * *", "* * * * *")
            started = project.dagster(
                "schedule", "start", f"{name}_schedule", "-w", "workspace.yaml"
            )
            assert started.code == 0, started.stderr
        with web_server(project) as server, _most_sessions(backend) as most:
            launched = [server.launch_backfill([n], names) for n in ("anomalies", "ips", "logs")]
            with daemon(project):
                ended = [server.finished_backfill(b, timeout=1800)["status"] for b in launched]
        with history_of(project) as instance:
            records = instance.get_run_records()
        assert ended == ["COMPLETED_SUCCESS"] * 3, ended
        assert all(project.manifest(n, day) for n in _NAMES for day in names)
        backfills = [r for r in records if "dagster/backfill" in r.dagster_run.tags]
        scheduled = [r for r in records if "dagster/schedule_name" in r.dagster_run.tags]
        last = max(r.end_time or 0 for r in backfills)
        meanwhile = [r for r in scheduled if r.end_time and r.end_time < last]
        assert len(backfills) == 3
        assert all(r.dagster_run.status == dg.DagsterRunStatus.SUCCESS for r in backfills)
        assert all(r.dagster_run.status == dg.DagsterRunStatus.SUCCESS for r in meanwhile)
        assert meanwhile, "no scheduled run ended while the backfills went on"
        assert len(most) <= 3, f"{len(most)} sessions at once: {most}"
        _print(
            days=days, backfills=3, scheduled_meanwhile=len(meanwhile), most_sessions=len(most),
            longest_wait_of_a_scheduled_run_s=round(max(_waited(r) for r in meanwhile), 1),
        )  # fmt: skip


@contextmanager
def _project(days: int, rows: int) -> Iterator[tuple[Project, Backend, list[str]]]:
    """A project over that many days until yesterday."""
    today = dt.datetime.now(dt.UTC).date()
    first = today - dt.timedelta(days)
    names = [(first + dt.timedelta(number)).isoformat() for number in range(days)]
    with (
        tempfile.TemporaryDirectory(prefix="exporter-bf-") as folder,
        embedded_server() as server,
        fresh_database(server) as backend,
    ):
        for statement in (LOGS, ANOMALIES, IPS):
            backend.run(statement)
        for statement in _FILL:
            backend.run(statement.format(last=days - 1, rows=rows, first=first))
        settings = {
            "EXPORTER_START_DATE": first.isoformat(),
            "EXPORTER_TIMEZONE": "UTC",
            "EXPORTER_SOURCE_URL": backend.url,
            "EXPORTER_OUTPUT_URL": f"{folder}/exports",
        }
        project = copy_project(Path(folder) / "project", settings)
        assert project.dagster("instance", "migrate").code == 0
        yield project, backend, names


def _without_dagster(backend: Backend, days: list[str], root: Path) -> float:
    """Seconds for the same days through the engine: reading, judging, writing, publishing."""
    datasets: list[Dataset] = [dataset(name) for name in _NAMES]
    export(backend.url, datasets[0], days[0], LocalStore(root / "first"))
    began = time.monotonic()
    for one in datasets:
        with databases(backend.url) as session:
            for day in days:
                export(backend.url, one, day, LocalStore(root / "exports"), session=session)
    return time.monotonic() - began


@contextmanager
def _most_sessions(backend: Backend) -> Iterator[list[Any]]:
    """The sessions of exports at the moment when there were most of them, so far."""
    most: list[Any] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            now = backend.run(_SESSIONS)
            if len(now) > len(most):
                most[:] = now

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


def _waited(record: dg.RunRecord) -> float:
    return (record.start_time or 0) - record.create_timestamp.timestamp()


def _print(**figures: Any) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
