"""`make bench`: every candidate in turn, round after round, so that all see the same machine."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from exporter_pipelines_tests.benchmarks import data, driver, server, sqlite_file, table
from exporter_pipelines_tests.benchmarks.candidates import Candidate, candidates
from exporter_pipelines_tests.benchmarks.measuring import CandidateFailedError, Cost
from exporter_pipelines_tests.benchmarks.shapes import STANDARD, Shape


def compare(
    *, shape: Shape, rows: int, days: int, rounds: int, with_peers: bool, only: str, build: Path
) -> list[table.Line]:
    """Measure exports from PostgreSQL, print the table, and write it into `build`.

    Args:
        shape: Of the rows.
        rows: Of all days.
        days: That the rows are spread over.
        rounds: How often everything is measured.
        with_peers: Whether others are installed and measured as well.
        only: Part of the titles of what is measured; empty for everything.
        build: Folder of the results; below it `bench` keeps the server's data.
    """
    home = build / "bench"
    _say(f"Starting the server, with {rows} rows over {days} days ...")
    running = server.start(home / "postgres")
    filled = data.filled(running, rows, days, shape)
    found = candidates(running, filled, home, with_peers=with_peers, only=only)
    measured(found[0], home)  # the first to read fills the caches for the others
    speed = driver.described(filled, running.cpu_s)
    name = "bench" if shape is STANDARD else f"bench-{shape.name}"
    return _compared(found, rows, rounds, build, name, speed)


def compare_sqlite(
    *, rows: int, days: int, rounds: int, with_peers: bool, only: str, build: Path
) -> list[table.Line]:
    """The same for exports of the same rows from a SQLite file; see `compare`."""
    home = build / "bench"
    _say(f"Making a SQLite file with {rows} rows over {days} days ...")
    filled = data.filled(server.start(home / "postgres"), rows, days)
    with sqlite_file.copied(filled, home) as copied:
        found = sqlite_file.candidates(copied, home, with_peers=with_peers, only=only)
        measured(found[0], home)
        return _compared(found, rows, rounds, build, "bench-sqlite", "")


def _compared(
    found: list[Candidate], rows: int, rounds: int, build: Path, name: str, remark: str
) -> list[table.Line]:
    """Measure all candidates in each round; the first is the limit. Write `name`.json and .md."""
    costs: dict[int, list[Cost]] = {n: [] for n in range(len(found))}
    for number in range(rounds):
        for n, candidate in enumerate(found):
            if n not in costs:
                continue
            try:
                cost = measured(candidate, build / "bench")
            except CandidateFailedError as error:
                if candidate.ours or n == 0:
                    raise
                _say(f"Left out: {candidate.title} failed: {error}")
                del costs[n]
                continue
            costs[n].append(cost)
            _say(f"round {number + 1} of {rounds}: {candidate.title} {cost.wall_s:.2f} s")
    lines = [table.line(found[n], rows, taken, costs[0]) for n, taken in costs.items()]
    table.write(lines, build / f"{name}.json")
    walls_s = [table.median(taken, "wall_s") for taken in costs.values()]
    text = table.of_lines(lines, walls_s) + "\n" + _fixed(lines, walls_s) + remark
    (build / f"{name}.md").write_text(text)
    _say(f"\n{text}\nWritten: {build / name}.json, {build / name}.md")
    return lines


def measured(candidate: Candidate, home: Path) -> Cost:
    """Its cost, writing into an empty folder, with nothing of its forerunner left to be written."""
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="output-", dir=home) as folder:
        os.sync()
        return candidate.measure(Path(folder))


def _fixed(lines: list[table.Line], walls_s: list[float]) -> str:
    """What a process of ours costs before it is as fast as it gets."""
    by = {
        (line.format, line.compression, line.in_process): wall_s
        for line, wall_s in zip(lines, walls_s, strict=True)
        if line.ours and "dagster" not in line.name
    }
    parts = [
        f"{format_} {compression} {whole - by[format_, compression, True]:.2f} s"
        for (format_, compression, in_process), whole in by.items()
        if not in_process and (format_, compression, True) in by
    ]
    if not parts:
        return ""
    return f"Fixed part (whole process less started process): {', '.join(parts)}\n"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
