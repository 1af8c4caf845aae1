"""Backends made by chance: with `0 FAIL, 0 warn` from the doctor, no day of them is held.

Each backend has other names, types of time, spellings and gaps. What the doctor proposes is done
until it has nothing left to say; then every day is exported.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from exporter_pipelines.defs_files import dataset_named
from exporter_pipelines.engine.export_day import DayOutcome
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.databases import Database, PostgresDatabase, sqlite_database
from exporter_pipelines_tests.support.datasets import databases, outcome_of
from exporter_pipelines_tests.support.doctor_runs import Doctor

BACKENDS = 10
BERLIN = ZoneInfo("Europe/Berlin")
LEVELS = ["DEBUG", "info", "Warn", "ERROR", "fatal", "4", "notice"]

# How a time is stored: type in PostgreSQL, type in SQLite, settings of `source:`, stored value.
Time = tuple[str, str, dict[str, Any], Callable[[dt.datetime], Any]]
TIMES: tuple[Time, ...] = (
    ("timestamptz", "TEXT", {}, lambda t: t.isoformat()),
    ("timestamp", "DATETIME", {"timezone": "Europe/Berlin"},
     lambda t: t.astimezone(BERLIN).replace(tzinfo=None).isoformat(" ")),
    ("text", "TEXT", {}, lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ")),
    ("bigint", "INTEGER", {"encodings": {"timestamp": "epoch_ms"}},
     lambda t: round(1000 * t.timestamp())),
    ("double precision", "REAL", {"encodings": {"timestamp": "epoch_s"}}, lambda t: t.timestamp()),
)  # fmt: skip


@dataclass
class Made:
    """A table with rows, and the attributes of a dataset that reads it.

    Attributes:
        run: Executes a statement as the owner of the database.
        rows: Day -> rows.
    """

    run: Callable[[str], object]
    url: str
    attributes: dict[str, Any]
    rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def make(database: Database, seed: int) -> Made:
    """A table of logs with faults that differ from seed to seed."""
    chance = random.Random(seed)
    table = f"events_{seed}"
    names = {
        name: f"{chance.choice(['f', 'col', 'x'])}_{number}"
        for number, name in enumerate(["id", "timestamp", "level", "message", "source", "ip"])
    }
    is_sqlite = not isinstance(database, PostgresDatabase)
    in_postgres, in_sqlite, source, stored = TIMES[seed // 2 % len(TIMES)]
    time = in_sqlite if is_sqlite else in_postgres
    types = {"id": "bigint" if not is_sqlite else "INTEGER", "timestamp": time}
    columns = [
        f'"{names[name]}" {types.get(name, "text")}{" PRIMARY KEY" if name == "id" else ""}'
        for name in names
    ]
    database.run(f"CREATE TABLE {table} ({', '.join(columns)}, amount int, note text)")
    if chance.random() < 0.5:
        database.run(f'CREATE INDEX {table}_by_time ON {table} ("{names["timestamp"]}")')
    made = Made(
        database.run, database.url,
        {
            "name": "logs", "schema": "exporter_pipelines.defs.logs.schema.LogRow",
            "source": {
                "url": "LOGS_URL", "table": table, "time_column": "timestamp",
                "timezone": "UTC", "columns": names, **source,
            },
            "transforms": [{"name": "level_aliases"}],
            "extra_columns": chance.choice(["keep", "ignore"]),
            "format": chance.choice(["jsonl", "csv", "parquet"]),
        },
    )  # fmt: skip
    faults = {name: chance.choice([0, 0, 0.02, 0.4]) for name in ("null", "odd", "ip", "message")}
    rows = []
    for day in sorted(chance.sample(range(1, 15), 3)):
        midnight = dt.datetime(2026, 11, day, tzinfo=dt.UTC)
        is_bad = chance.random() < 0.6
        for _ in range(chance.randrange(20, 90)):
            fault = next((f for f, p in faults.items() if is_bad and chance.random() < p), "")
            at = midnight + dt.timedelta(seconds=chance.randrange(86_400))
            rows.append({
                names["id"]: len(rows), names["timestamp"]: stored(at),
                names["level"]: {"null": None, "odd": "???"}.get(fault, chance.choice(LEVELS)),
                names["message"]: None if fault == "message" else "hello",
                names["source"]: "app", names["ip"]: "host" if fault == "ip" else "10.0.0.1",
                "amount": chance.choice([None, 7]), "note": chance.choice([None, "x"]),
            })  # fmt: skip
            made.rows[f"2026-11-{day:02}"] += 1
    add(database, table, rows)
    return made


def add(database: Database, table: str, rows: list[dict[str, Any]]) -> None:
    """Insert rows with one statement."""
    names = ", ".join(f'"{name}"' for name in rows[0])
    mark = "%s" if isinstance(database, PostgresDatabase) else "?"
    marks = f"({', '.join([mark] * len(rows[0]))})"
    values = [value for row in rows for value in row.values()]
    database.run(f"INSERT INTO {table} ({names}) VALUES {', '.join([marks] * len(rows))}", values)


def proposed(doctor: Doctor) -> dict[str, Any]:
    """The settings that the findings propose."""
    hints = [f["hint"] for f in doctor.said if f["check"] == "rows" and "\n" in f["hint"]]
    return {k: v for hint in hints for k, v in yaml.safe_load(hint.partition("\n")[2]).items()}


def obey(doctor: Doctor, made: Made) -> None:
    """Do what the findings say."""
    made.attributes.update(proposed(doctor))
    for finding in doctor.said:
        if finding["check"] == "index" and finding["level"] == "warn":
            made.run(finding["hint"].replace("CONCURRENTLY ", ""))


def examined(doctor: Doctor, made: Made) -> Doctor:
    document = {
        "type": "exporter_pipelines.components.DatasetExport",
        "attributes": made.attributes,
    }
    (doctor.defs / "logs" / "defs.yaml").write_text(yaml.safe_dump(document))
    return doctor.run("--dataset", "logs")


def left_to_do(doctor: Doctor) -> list[str]:
    """Problems and warnings, without rejected rows that hold no day: they need no setting."""
    return [
        finding["message"]
        for finding in doctor.said
        if finding["level"] != "ok"
        and not (finding["check"] == "rows" and re.search("holds? no day", finding["message"]))
    ]


@contextmanager
def exported(made: Made, folder: Path) -> Iterator[list[DayOutcome]]:
    """The outcome of every day."""
    dataset, store = dataset_named("logs"), LocalStore(folder)
    with databases(os.environ["LOGS_URL"]) as session:
        yield [outcome_of("", dataset, day, store, session=session) for day in made.rows]


def test_what_the_doctor_calls_well_is_published(
    doctor: Doctor, backend: Backend, reader: str, tmp_path: Path
) -> None:
    held_before, sqlite = 0, sqlite_database(tmp_path / "source.db", wal=True)
    for seed in range(BACKENDS):
        database: Database = sqlite if seed % 2 else PostgresDatabase(backend)
        made, url = make(database, seed), database.url
        if not seed % 2:
            backend.run(f"GRANT SELECT ON events_{seed} TO {reader}")
            url = os.environ["EXPORTER_SOURCE_URL"]
        doctor.set(LOGS_URL=url)
        examined(doctor, made)
        with exported(made, tmp_path / f"before-{seed}") as outcomes:
            held = sum(outcome.manifest is None for outcome in outcomes)
            said = [f for f in doctor.said if (f["check"], f["level"]) == ("rows", "FAIL")]
            assert bool(held) == bool(said), (seed, doctor.output)
            counts = [re.search(r"(\d+) days? would be held", f["message"]) for f in said]
            assert all(count and int(count[1]) <= held for count in counts), (seed, said)
            held_before += held
        for _ in range(3):
            obey(doctor, made)
            if not left_to_do(examined(doctor, made)):
                break
        assert not left_to_do(doctor), (seed, doctor.output)
        assert f" {sum(made.rows.values())} rows " in doctor.output, seed
        with exported(made, tmp_path / f"after-{seed}") as outcomes:
            manifests = [outcome.published() for outcome in outcomes]
        assert {m.partition: m.counts.read for m in manifests} == made.rows, seed
    assert held_before > 3  # the backends are not all well from the beginning
