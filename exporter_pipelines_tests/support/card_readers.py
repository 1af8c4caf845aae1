"""Runs loading code of dataset cards in a process of its own, since the readers are slow to import.

As a program it reads jobs from standard input and writes their results to standard output.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Job:
    """Code to run.

    Attributes:
        folder: The output folder.
        variable: What the code assigns the rows to.
        code: As the card shows it.
    """

    folder: str
    variable: str
    code: str


@dataclass(frozen=True)
class Found:
    """What a reader has loaded.

    Attributes:
        columns: Names in order.
        rows: Values as text; None for null, and the length of a long text.
        error: Why it has loaded nothing; empty otherwise.
    """

    columns: list[str]
    rows: list[list[str | None]]
    error: str = ""


def run_jobs(jobs: list[Job], scratch: Path) -> list[Found]:
    """Run all jobs in one process; `scratch` is a folder for the caches of readers."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", __name__],
        input=json.dumps([asdict(job) for job in jobs]),
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(scratch), "TZ": "America/Lima"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [Found(**found) for found in json.loads(done.stdout.splitlines()[-1])]


def _run(job: Job) -> Found:
    os.chdir(job.folder)
    names: dict[str, Any] = {}
    try:
        exec(compile(job.code, "README.md", "exec"), names)  # the code of a card that a test made
        table = as_arrow(names[job.variable])
    except Exception as error:  # whatever a reader raises is the result of the job
        return Found([], [], f"{type(error).__name__}: {error}")
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return Found(table.column_names, [list(row) for row in zip(*columns, strict=True)])


def as_arrow(loaded: Any) -> pa.Table:
    """What the code of a card gives, as an Arrow table."""
    module = type(loaded).__module__.partition(".")[0]
    if module == "pandas":
        return pa.Table.from_pandas(loaded, preserve_index=False)
    if module == "polars":
        return loaded.to_arrow()
    if module in ("duckdb", "_duckdb"):
        return loaded.to_arrow_table()
    if module == "datasets":
        return loaded.with_format("arrow")[:]
    assert isinstance(loaded, pa.Table)
    return loaded


def shortened(text: str) -> str:
    """The text, or the length of a long one."""
    return text if len(text) < 1000 else f"{len(text)} characters"


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return shortened(value)
    if value is None:
        return None
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return repr(value)


if __name__ == "__main__":
    results = [asdict(_run(Job(**job))) for job in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(results) + "\n")
