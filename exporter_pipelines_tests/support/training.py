"""Published days with an attack to learn, and training sets built from them."""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.training_set import SPLITS, TrainingSetConfig
from exporter_pipelines.training.build import BuiltSet, build_training_set
from exporter_pipelines_tests.support.datasets import dataset, export

FIRST = dt.date(2026, 11, 1)
DAYS = [str(FIRST + dt.timedelta(days=n)) for n in range(8)]
HELD = DAYS[3]
"""Its logs are not published."""

_TABLES = """
CREATE TABLE logs (id INTEGER, timestamp TEXT, level TEXT, message TEXT, source TEXT, device TEXT,
    ip TEXT, attributes TEXT);
CREATE TABLE anomalies (id TEXT, timestamp TEXT, type TEXT, score REAL, severity TEXT, status TEXT,
    log_id INTEGER, ip TEXT, details TEXT);
"""
ROWS = """
name: rows
dataset: logs
days: {first: 2026-11-01, last: 2026-11-08}
labels: [{dataset: anomalies, by: {log_id: id}}]
split: {train: 0.6, validation: 0.2, groups: device, gap: 1h}
output: {rows_per_file: 500}
checks: {min_positives: 2}
"""
WINDOWS = """
name: windows
dataset: logs
days: {first: 2026-11-01, last: 2026-11-08}
labels: [{dataset: anomalies, by: {log_id: id}}]
windows: {group: device, size: 30m}
split: {train: 0.6, validation: 0.2, groups: device, gap: 1h}
checks: {min_positives: 2}
"""


def config(text: str, **changes: Any) -> TrainingSetConfig:
    """The settings of a text in YAML, with some replaced."""
    return TrainingSetConfig.model_validate({**yaml.safe_load(text), **changes})


def fill(path: Path, *, devices: int = 24, per_day: int = 20) -> None:
    """A SQLite backend: ordinary messages, and a burst per device and day with its anomaly."""
    chance = random.Random(7)
    logs: list[tuple[Any, ...]] = []
    anomalies: list[tuple[Any, ...]] = []
    for day in map(dt.date.fromisoformat, DAYS):
        midnight = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
        for device in range(devices):
            for _ in range(per_day):
                moment = midnight + dt.timedelta(seconds=chance.randrange(86_000))
                _log(logs, moment, "INFO", f"GET /page/{chance.randrange(99)} 200", device)
            start = midnight + dt.timedelta(seconds=chance.randrange(600, 85_000))
            for number in range(6):
                moment = start + dt.timedelta(seconds=5 * number)
                _log(logs, moment, "ERROR", f"login failed from 10.9.{device}.{number}", device)
            anomalies.append((
                f"{len(anomalies):08}-0000-4000-8000-000000000000",
                (moment + dt.timedelta(seconds=60)).isoformat(), "brute_force", 0.9, "high",
                "confirmed", len(logs), f"10.0.0.{device}", None,
            ))  # fmt: skip
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(_TABLES)
        db.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", logs)
        db.executemany("INSERT INTO anomalies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", anomalies)


def _log(
    logs: list[tuple[Any, ...]], moment: dt.datetime, level: str, message: str, device: int
) -> None:
    row = (len(logs) + 1, moment.isoformat(), level, message, "app", f"edge-{device:02}")
    logs.append((*row, f"10.0.0.{device}", None))


def publish(backend: Path, store: Store, days: list[str] | None = None) -> None:
    """Export the days of both datasets; the logs of `HELD` stay unpublished."""
    url = f"sqlite:///{backend}"
    for day in DAYS if days is None else days:
        if day != HELD:
            export(url, dataset("logs"), day, store)
        export(url, dataset("anomalies", nullable=["details"]), day, store)


def build(settings: TrainingSetConfig, store: Store, **options: Any) -> BuiltSet:
    """Build a set without a word."""
    return build_training_set(settings, store, report=lambda _line: None, **options)


def table(built: BuiltSet, split: str) -> pa.Table:
    """All files of a split, read by pyarrow."""
    files = sorted((built.folder / "data").glob(f"{split}-*.parquet"))
    return pa.concat_tables([pq.read_table(file) for file in files])


def checksums(built: BuiltSet) -> dict[str, str]:
    """Path -> sha256 of every data file."""
    return {
        file.path: file.sha256 for split in built.manifest.splits.values() for file in split.files
    }


def rewrite(folder: Path, split: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Replace the data of a split by a changed one, in one file."""
    files = sorted((folder / "data").glob(f"{split}-*.parquet"))
    whole = pa.concat_tables([pq.read_table(file) for file in files])
    for file in files[1:]:
        file.unlink()
    pq.write_table(change(whole), files[0])


def rewrite_evidence(folder: Path, split: str, select: str) -> None:
    """Replace the evidence of a split by the result of a SELECT over the view `old`."""
    file = folder / "evidence" / f"{split}.parquet"
    old = pq.read_table(file)
    with duckdb.connect() as connection:
        connection.register("old", old)
        new = connection.sql(select).to_arrow_table()
    pq.write_table(new, file)


def rows_of(built: BuiltSet) -> int:
    """Examples in all splits."""
    return sum(built.manifest.splits[split].rows for split in SPLITS)
