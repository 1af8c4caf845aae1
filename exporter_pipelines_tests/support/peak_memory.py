"""Export or load one day of logs in this process and print its peak memory.

    python -m exporter_pipelines_tests.support.peak_memory WHAT URL OUTPUT DAY

WHAT is export, plain, parquet, private, slow, load or monster. OUTPUT is a folder, or the URL of
a bucket whose settings are in the environment.

Prints the rows (of a monster, those exported and those rejected) and the largest resident set of
the process in MiB.
"""

from __future__ import annotations

from exporter_pipelines.process_memory import limit_malloc_arenas

if __name__ == "__main__":
    limit_malloc_arenas()  # as the code location does; before the imports below, which import Arrow

import os
import sys
import time
from pathlib import Path
from typing import Any

from exporter_pipelines.engine.load import open_day
from exporter_pipelines.settings import BUCKET_URLS
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.opening import open_store
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.private_days import KEY, KEY_NAME, POLICY


def main(action: str, url: str, output: str, day: str) -> None:
    """Do it and print."""
    store: Any = open_store() if output.startswith(BUCKET_URLS) else LocalStore(Path(output))
    if action == "load":
        rows = sum(batch.num_rows for batch in open_day(store, "logs", day))
    elif action == "monster":
        counts = export(url, dataset(max_rejected_pct=100), day, store).counts
        sys.stdout.write(f"{counts.exported} ")
        rows = counts.rejected
    else:
        packed: dict[str, Any] = {}
        if action == "parquet":
            packed = {"format": "parquet", "compression": "zstd"}
        if action == "plain":
            packed = {"compression": "none"}
        if action == "private":
            os.environ[KEY_NAME] = KEY
            packed = {"privacy": POLICY}
        logs = dataset(max_rejected_pct=5, **packed)
        pause_s = 0.1 if action == "slow" else 0
        report = lambda _read, _total: time.sleep(pause_s)  # noqa: E731
        rows = export(url, logs, day, store, progress=report).record_count
    sys.stdout.write(f"{rows} {peak_mib()}\n")


def peak_mib() -> int:
    """The largest resident set of this process so far."""
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
