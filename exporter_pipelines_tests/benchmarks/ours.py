"""Export a range of days of logs through the engine, in a process of its own.

    python -m exporter_pipelines_tests.benchmarks.ours '{"format": "jsonl", ...}'

The argument is a JSON object with the fields of `Order`. Prints a JSON object: `rows`, and for the
days alone, without start and warm-up, `wall_s`, `client_cpu_s` and `server_cpu_s`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

from exporter_pipelines.process_memory import freeze_gc, limit_malloc_arenas


@dataclass(frozen=True)
class Order:
    """What to export.

    Attributes:
        url, output: Of the database; the folder of the exports.
        format, compression: As in a defs.yaml.
        days: `YYYY-MM-DD`, one after another.
        warm_up: A day to export before the clock starts; None to begin at once.
        server_pid: Of the server's first process; None for a SQLite file.
        settings: Further ones of the dataset.
    """

    url: str
    output: str
    format: str
    compression: str
    days: list[str]
    warm_up: str | None
    server_pid: int | None
    settings: dict[str, Any]


def main(order: Order) -> None:
    """Do it and print."""
    os.environ.update(EXPORTER_SOURCE_URL=order.url, EXPORTER_OUTPUT_URL=order.output)
    limit_malloc_arenas()
    # What a user's script would import, so the start of the process is its start.
    from exporter_pipelines import api
    from exporter_pipelines.contracts.dataset import Dataset
    from exporter_pipelines.defs_files import dataset_named
    from exporter_pipelines_tests.support.definitions import install_definitions

    install_definitions()  # those of the checkout may be another backend's
    freeze_gc()
    shipped = dataset_named("logs")
    changes = {
        "format": order.format, "compression": order.compression, "max_rejected_pct": 5.0,
        **order.settings,
    }  # fmt: skip
    logs = Dataset(shipped.config.model_copy(update=changes), shipped.schema)
    if order.warm_up:
        api.export_day(logs, order.warm_up)
    before = _times(order.server_pid)
    manifests = [*api.export_days(logs, order.days[0], order.days[-1])]
    after = _times(order.server_pid)
    wall_s, client_cpu_s, server_cpu_s = (b - a for a, b in zip(before, after, strict=True))
    said = {
        "rows": sum(manifest.counts.read for manifest in manifests),
        "wall_s": wall_s,
        "client_cpu_s": client_cpu_s,
        "server_cpu_s": server_cpu_s,
    }
    sys.stdout.write(json.dumps(said) + "\n")


def _times(server_pid: int | None) -> tuple[float, float, float]:
    from exporter_pipelines_tests.benchmarks.measuring import cpu_s_of_server

    usage = resource.getrusage(resource.RUSAGE_SELF)
    server_s = cpu_s_of_server(server_pid) if server_pid else 0.0
    return time.perf_counter(), usage.ru_utime + usage.ru_stime, server_s


if __name__ == "__main__":
    main(Order(**json.loads(sys.argv[1])))
