"""What an export into a bucket costs beside one into a folder: the same day, in turn.

The bucket is that of seaweedfs on this machine. Its processor time is not that of the export, but
it takes the same cores.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from exporter_pipelines_tests.benchmarks import data, server, table
from exporter_pipelines_tests.benchmarks.measuring import CandidateFailedError, Cost, run
from exporter_pipelines_tests.benchmarks.ours import Order
from exporter_pipelines_tests.support.object_servers import seaweedfs
from exporter_pipelines_tests.support.projects import ROOT

PART_MIB = (16, 8)


def compare(*, rows: int, rounds: int, build: Path) -> None:
    """Measure one day of so many rows, print the medians, and write `bucket.md`."""
    home = build / "bench"
    running = server.start(home / "postgres")
    filled = data.filled(running, rows, 1)
    costs: dict[str, list[Cost]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="output-", dir=home) as folder:
        stored = Path(folder) / "bucket"
        stored.mkdir()
        with seaweedfs(stored) as store:
            for number in range(rounds):
                below = store.below(f"round-{number}")
                to = f"{folder}/round-{number}"
                costs["folder"].append(_measured(running, filled, to, {}))
                for mib in PART_MIB:
                    settings = {**below.settings, "EXPORTER_OUTPUT_PART_MIB": str(mib)}
                    to = f"{below.url}/{mib}"
                    costs[f"bucket, parts of {mib} MiB"].append(
                        _measured(running, filled, to, settings)
                    )
    text = _table(costs)
    (build / "bucket.md").write_text(text)
    sys.stdout.write(text)


def _measured(
    running: server.Server, rows: data.Rows, output: str, settings: dict[str, str]
) -> Cost:
    order = Order(
        rows.url, output, "jsonl", "gzip", rows.day_names, str(data.WARM_UP_DAY), running.pid, {}
    )
    module = "exporter_pipelines_tests.benchmarks.ours"
    os.sync()
    cost = run(
        [sys.executable, "-m", module, json.dumps(dataclasses.asdict(order))],
        server_cpu_s=running.cpu_s,
        environment={**os.environ, **settings},
        folder=ROOT,
    )
    if cost.said["rows"] != rows.count:
        raise CandidateFailedError(f"It read {cost.said['rows']} rows instead of {rows.count}.")
    alone = {name: cost.said[name] for name in ("wall_s", "client_cpu_s", "server_cpu_s")}
    return dataclasses.replace(cost, **alone)


def _table(costs: dict[str, list[Cost]]) -> str:
    """Medians; the ratio is that of the wall times of one round."""
    limit = [cost.wall_s for cost in costs["folder"]]
    body = []
    for name, taken in costs.items():
        ratios = [cost.wall_s / least for cost, least in zip(taken, limit, strict=True)]
        body.append(
            (
                name,
                f"{table.median(taken, 'wall_s'):.2f}",
                f"{statistics.median(ratios):.2f}",
                f"{table.median(taken, 'client_cpu_s'):.1f}",
                round(table.median(taken, "peak_rss_mb")),
            )
        )
    return table.markdown(("output", "wall s", "ratio", "client cpu s", "peak MiB"), body)
