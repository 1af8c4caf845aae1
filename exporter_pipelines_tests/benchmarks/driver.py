"""What the ADBC driver alone takes to read rows, in a process of its own.

    python -m exporter_pipelines_tests.benchmarks.driver URL SELECT

Prints a JSON object: `driver` (name and version), `rows`, and the client's `cpu_s` without
connecting. Reads them as an export does, and throws them away.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from contextlib import closing

from exporter_pipelines import settings
from exporter_pipelines.sources.postgres.connection import Limits, PostgresConnection
from exporter_pipelines_tests.benchmarks.data import Rows
from exporter_pipelines_tests.benchmarks.measuring import run

_ROWS = 600_000
_MODULE = "exporter_pipelines_tests.benchmarks.driver"


def described(rows: Rows, server_cpu_s: Callable[[], float]) -> str:
    """The driver in use, and its CPU time per 600,000 rows: a line to print."""
    select = f"{rows.select} LIMIT {_ROWS}"
    cost = run([sys.executable, "-m", _MODULE, rows.url, select], server_cpu_s=server_cpu_s)
    seconds = cost.said["cpu_s"] * _ROWS / cost.said["rows"]
    return f"{cost.said['driver']}: {seconds:.2f} client CPU s per {_ROWS:,} rows\n"


def main(url: str, select: str) -> None:
    """Read the rows and print."""
    limits = Limits(600, 600)
    with closing(
        PostgresConnection(url, "URL", limits, driver=settings.postgres_driver())
    ) as connection:
        before_s = _cpu_s()
        rows = sum(batch.num_rows for batch in connection.stream(select))
        said = {"driver": connection.driver.name, "rows": rows, "cpu_s": _cpu_s() - before_s}
    sys.stdout.write(json.dumps(said) + "\n")


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(*sys.argv[1:])
