"""Where the time of an export goes: its threads' CPU time, and the calls of two of them.

They are the thread that judges, and the one that reads, which is profiled alone.
"""

from __future__ import annotations

import cProfile
import io
import os
import pstats
import sys
import time
from pathlib import Path

from exporter_pipelines import api, databases, settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.defs_files import dataset_named
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS
from exporter_pipelines_tests.benchmarks.data import WARM_UP_DAY, Rows
from exporter_pipelines_tests.support.definitions import install_definitions

_SHOWN_CALLS = 30


def profile(rows: Rows, output: Path, *, format_: str, compression: str) -> None:
    """Export all days in this process, twice, and print what took how much CPU time."""
    os.environ.update(EXPORTER_SOURCE_URL=rows.url, EXPORTER_OUTPUT_URL=str(output))
    install_definitions()  # those of the checkout may be another backend's
    shipped = dataset_named("logs")
    changes = {"format": format_, "compression": compression, "max_rejected_pct": 5.0}
    logs = Dataset(shipped.config.model_copy(update=changes), shipped.schema)
    api.export_day(logs, str(WARM_UP_DAY))
    threads_s = {}
    for profiled in (False, True):  # a profile slows calls down, so the threads are timed without
        calls = cProfile.Profile(time.thread_time)  # CPU time: what others do does not show
        threads_before, process_before = time.thread_time(), time.process_time()
        started = time.perf_counter()
        if profiled:
            calls.enable()
        for _ in api.export_days(logs, rows.day_names[0], rows.day_names[-1]):
            pass
        calls.disable()
        if not profiled:
            threads_s = {
                "wall": time.perf_counter() - started,
                "CPU of the thread that transforms, judges and encodes": (
                    time.thread_time() - threads_before
                ),
                "CPU of all threads": time.process_time() - process_before,
            }
    lines = [f"{name}: {seconds:.2f} s" for name, seconds in threads_s.items()]
    shown = "exporter_pipelines/|queue|threading|pandera/(api|backends)|arro3|pyarrow"
    lines += [_calls(calls, shown), *_reading(logs, rows.day_names)]
    sys.stdout.write("\n".join(lines))


def _reading(logs: Dataset, days: list[str]) -> list[str]:
    """CPU time and calls of reading the days, in one thread and with nothing else."""
    calls, seconds = cProfile.Profile(time.thread_time), 0.0
    with databases.open_session() as session:
        for is_profiled in (False, True):
            before = time.process_time()
            for day in days if not is_profiled else days[:1]:
                if is_profiled:
                    calls.enable()
                with session.day(logs, DayWindow.of(day, settings.timezone())) as snapshot:
                    for _ in snapshot.batches(DEFAULT_BATCH_ROWS):
                        pass
                calls.disable()
            seconds = seconds or time.process_time() - before
    text = f"CPU of reading alone, all days: {seconds:.2f} s; the calls of the first day:"
    return [text, _calls(calls, "exporter_pipelines/|sqlite3|pyarrow|method|built-in")]


def _calls(calls: cProfile.Profile, shown: str) -> str:
    text = io.StringIO()
    pstats.Stats(calls, stream=text).sort_stats("cumulative").print_stats(shown, _SHOWN_CALLS)
    return text.getvalue()
