"""Random rows and rule breaks; what a manifest counts against what SQL counts of the same rows.

Then random tables: each row is exported, rejected, filtered or counted as outside of every day.
"""

from __future__ import annotations

import json
import random
from contextlib import ExitStack
from typing import Any

import psycopg
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.databases import (
    Database,
    PostgresDatabase,
    sqlite_database,
)
from exporter_pipelines_tests.support.datasets import dataset, export, rejected, rows
from exporter_pipelines_tests.support.foreign_tables import ForeignTable
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.ACCOUNTED

DAY = "2026-11-01"
GOAL = 2_000
TABLES = 400

_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "level": st.sampled_from(["INFO", "warn", "error", "odd", "", None]),
            "message": st.sampled_from(["hello", "", None, "x" * 300]),
            "source": st.sampled_from(["app", "noise", None]),
            "ip": st.sampled_from(["10.0.0.1", "::1", None, "10.0.0.256", "host"]),
            # Seconds from the beginning of the day: some lie in its neighbours.
            "second": st.integers(-2, 86_401),
        }
    ),
    max_size=40,
)

_INSERT = """
INSERT INTO logs SELECT r.id, %s::timestamptz + r.second * interval '1 second', r.level, r.message,
    r.source, 'edge-01', r.ip, '{"a": 1}'
FROM jsonb_to_recordset(%s::jsonb) AS r (id bigint, second int, level text, message text,
    source text, ip text)
"""

# The rules once more, in another language than the engine's, and by another hand than Pandera's.
_COUNT = """
WITH day AS (
    SELECT *, (source <> 'noise') IS NOT TRUE AS filtered,
        level IS NULL OR message IS NULL AS gap,
        lower(level) NOT IN ('info', 'warn', 'error') AS odd,
        ip IN ('10.0.0.256', 'host') AS nowhere
    FROM logs WHERE timestamp >= %s::timestamptz AND timestamp < %s::timestamptz + interval '1 day'
), kept AS (SELECT *, coalesce(gap OR odd OR nowhere, false) AS bad FROM day
    WHERE NOT filtered)
SELECT (SELECT count(*) FROM day), (SELECT count(*) FROM kept WHERE NOT bad),
    (SELECT count(*) FROM kept WHERE bad), (SELECT count(*) FROM day WHERE filtered),
    (SELECT count(*) FROM kept WHERE odd), (SELECT count(*) FROM kept WHERE nowhere),
    (SELECT count(*) FROM kept WHERE level IS NULL)
        + (SELECT count(*) FROM kept WHERE message IS NULL),
    (SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM kept WHERE NOT bad),
    (SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM kept WHERE bad)
"""


def run(trial: Trial) -> None:
    """2,000 examples: counts, rules and the ids of both files, all equal to SQL's; 400 tables."""
    _tables(trial)
    with trial.backend() as backend, psycopg.connect(backend.url, autocommit=True) as connection:
        store = LocalStore(trial.folder / "exports")
        logs = dataset(
            max_rejected_pct=100.0,
            compression="none",
            filters=[{"name": "noise", "column": "source", "op": "ne", "value": "noise"}],
        )
        done = 0

        @seed(trial.seed)
        @settings(
            max_examples=GOAL,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(examples=_ROWS, batch_rows=st.sampled_from([1, 3, 7, 1_000]))
        def compare(examples: list[dict[str, Any]], batch_rows: int) -> None:
            nonlocal done
            if done and not trial.left:
                return
            numbered = [{"id": number, **row} for number, row in enumerate(examples)]
            connection.execute("TRUNCATE logs")
            connection.execute(_INSERT, [f"{DAY}T00:00Z", json.dumps(numbered)])
            manifest = export(
                backend.url, logs, DAY, store, batch_rows=batch_rows, accept_loss=True
            )
            counted = connection.execute(_COUNT, [f"{DAY}T00:00Z"] * 2).fetchone()
            found = _found(store, manifest)
            trial.check(found == counted, f"example {done}: SQL {counted}, manifest {found}")
            done += 1

        compare()
        if done < GOAL and not trial.left:
            trial.short.append(f"{done} of {GOAL} examples")


def _tables(trial: Trial) -> None:
    for number in trial.rounds(TABLES, "tables", share=0.5):
        folder = trial.folder / f"table-{number}"
        folder.mkdir()
        with ExitStack() as stack:
            if number % 2:
                database: Database = PostgresDatabase(stack.enter_context(trial.database()))
            else:
                database = sqlite_database(folder / "source.db", wal=number % 4 == 0)
            table = ForeignTable(database, random.Random(trial.seed + number))
            rows = table.fill()
            found = table.accounts(LocalStore(folder / "exports"), rows)
        trial.check(
            found.kept + sum(found.outside.values()) == rows,
            f"table {number}, {table.described}: {rows} rows, {found.kept} kept, {found.outside}",
            part="random tables",
        )


def _found(store: LocalStore, manifest: Manifest) -> tuple[Any, ...]:
    """What the manifest and the two files say, in the order of `_COUNT`."""
    failed = dict.fromkeys(("known_level", "valid_address", "required"), 0)
    for result in manifest.validation.rules:
        if result.failed:
            failed[result.rule] += result.failed
    counts = manifest.counts
    return (
        counts.read,
        counts.exported,
        counts.rejected,
        counts.filtered,
        *failed.values(),
        sorted(row["id"] for row in rows(store, manifest)),
        sorted(row["id"] for row in rejected(store, manifest)),
    )
