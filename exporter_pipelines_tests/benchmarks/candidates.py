"""Everything that is measured: the limit, the server's own JSON, ours, and others'."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from exporter_pipelines_tests.benchmarks import peers
from exporter_pipelines_tests.benchmarks.data import FIRST_DAY, WARM_UP_DAY, Rows
from exporter_pipelines_tests.benchmarks.measuring import CandidateFailedError, Cost, run
from exporter_pipelines_tests.benchmarks.ours import Order
from exporter_pipelines_tests.benchmarks.server import Server
from exporter_pipelines_tests.support.projects import BIN, ROOT, copy_project

_FORMATS = (("jsonl", "none"), ("jsonl", "gzip"), ("jsonl", "zstd"), ("parquet", "zstd"))


@dataclass(frozen=True)
class Candidate:
    """One way to get the rows out.

    Attributes:
        name, format, compression, version: For the table; the version of whatever does the work.
        measure: Does it once into an empty folder.
        ours: Whether it is this project.
        in_process: Whether start and first use of the process are left out.
    """

    name: str
    format: str
    compression: str
    version: str
    measure: Callable[[Path], Cost]
    ours: bool = False
    in_process: bool = False

    @property
    def title(self) -> str:
        """Name and kind of output in one text."""
        packed = "" if self.compression == "none" else f" {self.compression}"
        return f"{self.name}, {self.format}{packed}"


def candidates(
    server: Server, rows: Rows, home: Path, *, with_peers: bool, only: str = ""
) -> list[Candidate]:
    """The limit first, then all whose title has `only` in it."""
    found = [_limit(server, rows), _row_to_json(server, rows), *ours(server, rows)]
    if not rows.shape.settings:  # which the project's definitions do not have
        found.append(dagster(server, rows, home))
    if with_peers:
        found += [peer(rows, each, server.cpu_s) for each in peers.installed(home)]
    return selected(found, only)


def ours(server: Server | None, rows: Rows) -> list[Candidate]:
    """Ours in every format that is measured, in a started process and as a whole one."""
    return [
        engine(server, rows, format_, compression, in_process=in_process)
        for format_, compression in _FORMATS
        for in_process in (True, False)
    ]


def selected(found: list[Candidate], only: str) -> list[Candidate]:
    """The limit, which is the first, and all whose title has `only` in it."""
    return [found[0], *(candidate for candidate in found[1:] if only in candidate.title)]


def _limit(server: Server, rows: Rows) -> Candidate:
    copy = f"COPY ({rows.select}) TO STDOUT (FORMAT binary)"
    return Candidate(
        "COPY binary, thrown away", "binary", "none", f"PostgreSQL {server.version}",
        lambda _folder: _psql(server, rows, copy, Path("/dev/null")),
    )  # fmt: skip


def _row_to_json(server: Server, rows: Rows) -> Candidate:
    # In text form COPY doubles every backslash, which breaks the JSON. As CSV with a quote and a
    # delimiter that JSON always escapes, it changes nothing.
    select = (
        f"SELECT row_to_json(r) FROM ({rows.select.replace('attributes::text', 'attributes')}) r"
    )
    copy = f"COPY ({select}) TO STDOUT (FORMAT csv, QUOTE e'\\x01', DELIMITER e'\\x02')"
    return Candidate(
        "COPY row_to_json to a file", "jsonl", "none", f"PostgreSQL {server.version}",
        lambda folder: _psql(server, rows, copy, folder / "logs.jsonl"),
    )  # fmt: skip


def _psql(server: Server, rows: Rows, copy: str, output: Path) -> Cost:
    command = [server.psql, "--no-psqlrc", "--command", copy, rows.url]
    cost = run(command, server_cpu_s=server.cpu_s, stdout=output)
    if output.suffix:
        _see_all(_lines(output.parent), rows)
    return cost


def engine(
    server: Server | None, rows: Rows, format_: str, compression: str, *, in_process: bool
) -> Candidate:
    """Ours through `api.export_days`, day by day in one process; no server for a SQLite file."""

    def measure(folder: Path) -> Cost:
        order = Order(
            rows.url, str(folder), format_, compression, rows.day_names,
            str(WARM_UP_DAY) if in_process else None, server.pid if server else None,
            dict(rows.shape.settings),
        )  # fmt: skip
        module = "exporter_pipelines_tests.benchmarks.ours"
        command = [sys.executable, "-m", module, json.dumps(dataclasses.asdict(order))]
        cost = run(command, server_cpu_s=server.cpu_s if server else no_server, folder=ROOT)
        _see_all(cost.said["rows"], rows)
        if not in_process:
            return cost
        alone = {k: cost.said[k] for k in ("wall_s", "client_cpu_s", "server_cpu_s")}
        return dataclasses.replace(cost, **alone)

    name = "ours, in a started process" if in_process else "ours, whole process"
    return Candidate(
        name, format_, compression, _our_version(), measure, ours=True, in_process=in_process
    )


def dagster(server: Server, rows: Rows, home: Path) -> Candidate:
    """Ours through Dagster's command, all days in one run, in a copy of the project."""

    def measure(folder: Path) -> Cost:
        settings = {
            "EXPORTER_SOURCE_URL": rows.url,
            "EXPORTER_OUTPUT_URL": str(folder),
            "EXPORTER_START_DATE": str(FIRST_DAY),
            "EXPORTER_END_DATE": str(rows.end),
        }
        project = copy_project(Path(tempfile.mkdtemp(dir=home)) / "project", settings)
        try:
            project.edit("logs", "max_rejected_pct: 1.0", "max_rejected_pct: 5.0")
            project.dagster("instance", "migrate")  # a first start makes the history's files
            days = f"{rows.day_names[0]}...{rows.day_names[-1]}"
            command = [
                BIN / "dagster", "asset", "materialize", "-m", "exporter_pipelines.definitions",
                "--select", "logs", "--partition-range", days,
            ]  # fmt: skip
            cost = run(
                command,
                server_cpu_s=server.cpu_s,
                environment=project.environment,
                folder=project.path,
            )
            manifests = [project.manifest("logs", day) for day in rows.day_names]
        finally:
            shutil.rmtree(project.path.parent)
        _see_all(sum(m.counts.read for m in manifests if m), rows)
        return cost

    return Candidate(
        "ours, dagster asset materialize", "jsonl", "gzip", _our_version(), measure, ours=True
    )


def peer(rows: Rows, other: peers.Peer, server_cpu_s: Callable[[], float]) -> Candidate:
    """Another tool, which reads the same rows."""

    def measure(folder: Path) -> Cost:
        command = [*other.command, rows.url, rows.select, folder]
        cost = run(command, server_cpu_s=server_cpu_s)
        _see_all(_lines(folder), rows)
        return cost

    return Candidate(other.name, other.format, "none", other.version, measure)


def no_server() -> float:
    """The CPU time of the server of a SQLite file."""
    return 0.0


def _our_version() -> str:
    return f"exporter_pipelines {version('exporter_pipelines')}"


def _see_all(found: int, rows: Rows) -> None:
    if found != rows.count:
        raise CandidateFailedError(f"It read {found} rows instead of {rows.count}.")


def _lines(folder: Path) -> int:
    """Rows in the JSON Lines below a folder, without what dlt writes for itself."""
    files = [f for f in folder.rglob("*.jsonl") if not re.search("/state/|/_dlt_", str(f))]
    return sum(chunk.count(b"\n") for file in files for chunk in _chunks(file))


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            yield chunk
