"""Monstrous rows: a message of 100 MB, 10,000 keys, a day of which every row is rejected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.projects import ROOT
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.MEMORY

CEILING_MIB = 400
"""As for days of ordinary rows (`test_memory`), whatever the rows hold."""

_MESSAGE_BYTES = 100_000_000
_KEYS = 10_000
_REJECTED = 1_000_000


def run(trial: Trial) -> None:
    """Each monster is a day of its own, exported in a process of its own, whose peak is read."""
    with trial.backend() as backend:
        backend.add_logs("2026-11-01", 1000)
        backend.run(f"UPDATE logs SET message = repeat('m', {_MESSAGE_BYTES}) WHERE id = 7")
        _check(trial, backend, "a message of 100 MB", "2026-11-01", 999, 1)
        backend.add_logs("2026-11-02", 1000, first_id=10_000)
        backend.run(
            "UPDATE logs SET attributes = (SELECT jsonb_object_agg('key ' || n, n) "
            f"FROM generate_series(1, {_KEYS}) n) WHERE id >= 10000"
        )
        _check(trial, backend, "1,000 values of 10,000 keys", "2026-11-02", 1000, 0)
        rows = _REJECTED if trial.seconds >= 60 else _REJECTED // 10
        backend.add_logs("2026-11-03", rows, first_id=100_000, level="odd")
        _check(trial, backend, f"{rows:,} rejected rows", "2026-11-03", 0, rows)


def _check(
    trial: Trial, backend: Backend, what: str, day: str, exported: int, rejected: int
) -> None:
    folder = trial.folder / day
    done = subprocess.run(
        [
            sys.executable, "-m", "exporter_pipelines_tests.support.peak_memory",
            "monster", backend.url, folder, day,
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    words = done.stdout.split()
    if not trial.check(done.returncode == 0 and len(words) == 3, f"{what}: {done.stderr[-300:]}"):
        return
    found = (int(words[0]), int(words[1]))
    trial.check(found == (exported, rejected), f"{what}: exported and rejected are {found}")
    trial.check(int(words[2]) <= CEILING_MIB, f"{what}: a peak of {words[2]} MiB")
    trial.figures[what] = f"{words[2]} MiB of {CEILING_MIB}"
    _check_size(trial, what, folder)


def _check_size(trial: Trial, what: str, folder: Path) -> None:
    """What was cut off does not lie in the quarantine either."""
    largest = max((f.stat().st_size for f in folder.rglob("quarantine/**/*.gz")), default=0)
    trial.check(largest < 100 * 1024 * 1024, f"{what}: a quarantine of {largest:,} bytes", points=0)
