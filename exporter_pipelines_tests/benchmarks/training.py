"""How memory and time of a training set grow with its rows.

The days are exported once as Parquet, with an anomaly for one row in 97; only the build is
measured, as a process of its own.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.benchmarks import data, measuring, server, table
from exporter_pipelines_tests.support.datasets import databases, dataset, outcome_of

ROWS = (1_000_000, 5_000_000, 20_000_000)
DAYS = 10
_ANOMALIES = """
CREATE TABLE IF NOT EXISTS anomalies (
    id bigint, timestamp timestamptz NOT NULL, type text, score double precision, severity text,
    status text, log_id bigint, ip inet, details text);
INSERT INTO anomalies SELECT id, timestamp + interval '20 seconds', 'brute_force', 0.9, 'high',
    'confirmed', id, ip, '{{}}' FROM logs WHERE id % 97 = 0 AND {where}
    AND NOT EXISTS (SELECT 1 FROM anomalies);
CREATE INDEX IF NOT EXISTS anomalies_timestamp ON anomalies (timestamp);
"""
_SET = """
name: {name}
dataset: logs
days: {{first: {first}, last: {last}}}
labels:
  - {{dataset: anomalies, by: {{log_id: id}}}}
  - {{dataset: anomalies, by: {{ip: ip}}, within: 5m}}
split: {{gap: 1h, groups: device}}
checks: {{max_overlap_pct: 100}}
{more}
"""
_WINDOWS = "windows: {group: device, size: 10m}"
_BUILD = """
import sys, yaml
from pathlib import Path
from exporter_pipelines.process_memory import limit_malloc_arenas
limit_malloc_arenas()
from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.training.build import build_training_set
build_training_set(
    TrainingSetConfig.model_validate(yaml.safe_load(sys.argv[2])), LocalStore(Path(sys.argv[1]))
)
"""


def grow(*, rows: Sequence[int], build: Path) -> None:
    """Measure a set of rows and a set of windows for each size; print a table."""
    home = build / "bench"
    running = server.start(home / "postgres")
    steps = []
    for count in rows:
        filled = data.filled(running, count, DAYS)
        store = LocalStore(home / f"training-{count}")
        _publish(filled, store)
        for name, more in (("rows", ""), ("windows", _WINDOWS)):
            text = _SET.format(
                name=name, first=filled.day_names[0], last=filled.day_names[-1], more=more
            )
            # A set of the same days would be left as it is.
            shutil.rmtree(store.root / "training_sets" / name, ignore_errors=True)
            cost = measuring.run(
                [sys.executable, "-c", _BUILD, str(store.root), text], server_cpu_s=lambda: 0.0
            )
            steps.append((name, count, cost))
            sys.stdout.write(f"{name} {count:,}: {cost.client_cpu_s:.1f} s\n")
            sys.stdout.flush()
    sys.stdout.write(_table(steps))


def _publish(filled: data.Rows, store: LocalStore) -> None:
    """Export what is not published yet."""
    with psycopg.connect(filled.url, autocommit=True) as connection:
        connection.execute(_ANOMALIES.format(where=filled.where))
    limits = {"max_rejected_pct": 100, "format": "parquet", "compression": "zstd"}
    with databases(filled.url) as session:
        for name in ("logs", "anomalies"):
            published = set(store.published_days(name))
            for day in filled.day_names:
                if day not in published:
                    exported = dataset(name, **limits)
                    outcome_of(filled.url, exported, day, store, session=session).published()


def _table(steps: Sequence[tuple[str, int, measuring.Cost]]) -> str:
    return table.markdown(
        ("examples", "rows read", "CPU s", "rows per CPU second", "peak MB"),
        [
            (name, f"{count:,}", f"{cost.client_cpu_s:.1f}",
             f"{count / cost.client_cpu_s:,.0f}", f"{cost.peak_rss_mb * 1.048576:.0f}")
            for name, count, cost in steps
        ],
    )  # fmt: skip
