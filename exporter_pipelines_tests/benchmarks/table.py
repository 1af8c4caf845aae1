"""From costs to the table: medians over rounds, as JSON and as markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from exporter_pipelines_tests.benchmarks.candidates import Candidate
from exporter_pipelines_tests.benchmarks.measuring import Cost


@dataclass(frozen=True)
class Line:
    """A line of the table; its fields are those of `build/bench.json`.

    Attributes:
        name, format, compression, ours, in_process, version: Of the candidate.
        rows: Read from the table in each round.
        wall_ratio: Median over the rounds of its wall time to that of the limit in the same round.
        rows_per_s: By the median wall time.
        client_cpu_s, server_cpu_s, peak_rss_mb: Medians.
    """

    name: str
    format: str
    compression: str
    ours: bool
    in_process: bool
    rows: int
    wall_ratio: float
    rows_per_s: int
    client_cpu_s: float
    server_cpu_s: float
    peak_rss_mb: int
    version: str


def line(candidate: Candidate, rows: int, costs: Sequence[Cost], limits: Sequence[Cost]) -> Line:
    """The medians of one candidate; `limits` are the limit's costs in the same rounds."""
    ratios = [cost.wall_s / limit.wall_s for cost, limit in zip(costs, limits, strict=True)]
    return Line(
        name=candidate.name,
        format=candidate.format,
        compression=candidate.compression,
        ours=candidate.ours,
        in_process=candidate.in_process,
        rows=rows,
        wall_ratio=round(statistics.median(ratios), 2),
        rows_per_s=round(rows / median(costs, "wall_s")),
        client_cpu_s=round(median(costs, "client_cpu_s"), 2),
        server_cpu_s=round(median(costs, "server_cpu_s"), 2),
        peak_rss_mb=round(median(costs, "peak_rss_mb")),
        version=candidate.version,
    )


def median(costs: Sequence[Cost], field: str) -> float:
    """The median of one field."""
    return statistics.median(getattr(cost, field) for cost in costs)


def write(lines: Sequence[Line], file: Path) -> None:
    """`build/bench.json`: a list with an object per line."""
    file.write_text(json.dumps([asdict(line) for line in lines], indent=2) + "\n")


def markdown(header: Sequence[str], body: Sequence[Sequence[object]]) -> str:
    """A table whose columns but the first three stand to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *body)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(header))]
    numeric = [all(_is_number(row[n]) for row in cells[1:]) for n in range(len(header))]
    texts = [
        "| " + " | ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ) + " |"
        for row in cells
    ]  # fmt: skip
    rule = "|" + "|".join(
        "-" * (width + 1) + (":" if right else "-")
        for width, right in zip(widths, numeric, strict=True)
    ) + "|"  # fmt: skip
    return "\n".join([texts[0], rule, *texts[1:]]) + "\n"


def _is_number(text: str) -> bool:
    return text.replace(".", "").replace(" ", "").isdigit()


def of_lines(lines: Sequence[Line], walls_s: Mapping[int, float]) -> str:
    """The table as markdown; `walls_s` are the median wall times by position of the line."""
    return markdown(
        ("what", "format", "packed", "wall s", "ratio", "rows/s", "client cpu s", "server cpu s",
         "peak MiB", "version"),
        [
            (
                line.name, line.format, line.compression, f"{walls_s[n]:.2f}",
                f"{line.wall_ratio:.2f}", f"{line.rows_per_s}", f"{line.client_cpu_s:.1f}",
                f"{line.server_cpu_s:.1f}", line.peak_rss_mb, line.version,
            )
            for n, line in enumerate(lines)
        ],
    )  # fmt: skip
