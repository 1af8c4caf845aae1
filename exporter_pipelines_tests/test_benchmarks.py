"""The benchmarks run to their end on a few rows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter_pipelines_tests.support.projects import ROOT


@pytest.fixture(scope="module")
def build() -> Iterator[Path]:
    """A folder with a short name: the server's socket stands in it."""
    with tempfile.TemporaryDirectory(prefix="exporter-bench-") as folder:
        yield Path(folder)


def benchmark(build: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "exporter_pipelines_tests.benchmarks", "--build", build, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_way_is_measured_and_written_down(build: Path) -> None:
    few = ("--rows", "500", "--days", "3", "--rounds", "1", "--peers", "0", "--only", "gzip")
    printed = benchmark(build, "compare", *few)
    lines = json.loads((build / "bench.json").read_text())
    types = {
        "name": str, "format": str, "compression": str, "ours": bool, "in_process": bool,
        "rows": int, "wall_ratio": float, "rows_per_s": int, "client_cpu_s": float,
        "server_cpu_s": float, "peak_rss_mb": int, "version": str,
    }  # fmt: skip
    for line in lines:
        assert {name: type(value) for name, value in line.items()} == types
        assert line["rows"] == 500
    assert lines[0]["wall_ratio"] == 1.0  # the limit itself
    ours = {(li["format"], li["compression"], li["in_process"]) for li in lines if li["ours"]}
    assert ours == {("jsonl", "gzip", in_process) for in_process in (True, False)}
    assert all(li["peak_rss_mb"] > 50 and li["client_cpu_s"] > 0.01 for li in lines if li["ours"])
    table = (build / "bench.md").read_text()
    assert table in printed
    assert "dagster asset materialize" in table
    assert re.search(r"\): \d+\.\d\d client CPU s per 600,000 rows$", table)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "result", "limit"),
    [
        (("--shape", "wide"), "bench-wide", "COPY binary, thrown away"),
        (("--shape", "long"), "bench-long", "COPY binary, thrown away"),
        (("--source", "sqlite"), "bench-sqlite", "sqlite3 shell, thrown away"),
    ],
    ids=["200 columns", "messages of 2 KB", "a SQLite file"],
)
def test_other_rows_and_a_sqlite_file_are_measured(
    build: Path, arguments: tuple[str, ...], result: str, limit: str
) -> None:
    few = ("--rows", "300", "--days", "2", "--rounds", "1", "--peers", "0")
    benchmark(build, "compare", *arguments, *few, "--only", "started process, parquet")
    lines = json.loads((build / f"{result}.json").read_text())
    assert [(line["name"], line["rows"]) for line in lines] == [
        (limit, 300),
        ("ours, in a started process", 300),
    ]


@pytest.mark.slow
def test_how_cost_grows_is_measured_and_written_down(build: Path) -> None:
    printed = benchmark(build, "scale", "--rows", "200", "400", "--dagster", "0", "--days")
    steps = json.loads((build / "scale.json").read_text())
    assert [(step["rows"], step["days"]) for step in steps] == [(200, 10), (400, 10)]
    assert all(step["peak_rss_mb"] > 50 for step in steps)
    table = (build / "scale.md").read_text()
    assert table in printed
    assert "s per million rows" in table
