"""`make bench-scale`: how time and memory grow with rows and with days."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from exporter_pipelines_tests.benchmarks import data, server, table
from exporter_pipelines_tests.benchmarks.candidates import Candidate, dagster, engine
from exporter_pipelines_tests.benchmarks.rounds import measured

ROWS = (200_000, 2_000_000, 10_000_000)
"""Over DAYS_OF_ROWS days each."""

DAYS_OF_ROWS = 10
DAYS = (1, 30, 365)
"""Of ROWS_OF_DAY rows each."""

ROWS_OF_DAY = 100


@dataclass(frozen=True)
class Step:
    """One size, measured once; its fields are those of `build/scale.json`."""

    what: str
    rows: int
    days: int
    wall_s: float
    client_cpu_s: float
    server_cpu_s: float
    peak_rss_mb: int
    longest_transaction_s: float


def grow(
    *, rows: Sequence[int], days: Sequence[int], with_dagster: bool, build: Path
) -> list[Step]:
    """Measure every size through the engine and through Dagster; write `scale.json` and `.md`.

    Args:
        rows: Sizes, over DAYS_OF_ROWS days.
        days: Numbers of days, of ROWS_OF_DAY rows.
        with_dagster: Whether Dagster's command is measured as well.
        build: Folder of the results; below it `bench` keeps the server's data.
    """
    home = build / "bench"
    running = server.start(home / "postgres")
    steps = []
    for count, span in (*((n, DAYS_OF_ROWS) for n in rows), *((ROWS_OF_DAY * n, n) for n in days)):
        filled = data.filled(running, count, span)
        found = [engine(running, filled, "jsonl", "gzip", in_process=True)]
        if with_dagster:
            found.append(dagster(running, filled, home))
        steps += [_step(candidate, filled, home) for candidate in found]
    (build / "scale.json").write_text(json.dumps([asdict(step) for step in steps], indent=2) + "\n")
    text = f"{_table(steps)}\n{_slopes(steps)}"
    (build / "scale.md").write_text(text)
    sys.stdout.write(text)
    return steps


def _step(candidate: Candidate, rows: data.Rows, home: Path) -> Step:
    with server.LongestTransaction(rows.url) as longest:
        cost = measured(candidate, home)
    step = Step(
        candidate.name, rows.count, rows.days, round(cost.wall_s, 2), round(cost.client_cpu_s, 2),
        round(cost.server_cpu_s, 2), round(cost.peak_rss_mb), round(longest.seconds, 2),
    )  # fmt: skip
    sys.stdout.write(_table([step]).splitlines()[-1] + "\n")
    sys.stdout.flush()
    return step


def _table(steps: Sequence[Step]) -> str:
    return table.markdown(
        (
            "what",
            "rows",
            "days",
            "wall s",
            "client cpu s",
            "server cpu s",
            "peak MiB",
            "longest transaction s",
        ),
        [tuple(asdict(step).values()) for step in steps],
    )


def _slopes(steps: Sequence[Step]) -> str:
    """From the smallest to the largest size: seconds per million rows, and per day."""
    lines = []
    for name in dict.fromkeys(step.what for step in steps):
        mine = [step for step in steps if step.what == name]
        for per, unit, sizes in (
            ("million rows", 1e6, [(s.rows, s) for s in mine if s.days == DAYS_OF_ROWS]),
            (f"day of {ROWS_OF_DAY} rows", 1, [
                (s.days, s) for s in mine if s.rows == s.days * ROWS_OF_DAY
            ]),
        ):  # fmt: skip
            if len(sizes) > 1:
                (least, small), *_, (most, large) = sizes
                added_s = (large.wall_s - small.wall_s) / (most - least) * unit
                lines.append(f"{name}: {added_s:.3f} s per {per}")
    return "\n".join(lines) + "\n"
