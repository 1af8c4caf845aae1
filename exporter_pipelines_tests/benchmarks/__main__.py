"""The benchmarks' command: see the package."""

from __future__ import annotations

from exporter_pipelines.process_memory import limit_malloc_arenas

limit_malloc_arenas()  # before the imports below, which import Arrow

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from exporter_pipelines_tests.benchmarks import (
    backfill,
    bucket,
    data,
    privacy,
    profile,
    rounds,
    scale,
    server,
    sqlite_file,
    training,
)
from exporter_pipelines_tests.benchmarks.shapes import SHAPES, STANDARD
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.query_plans import plans


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(prog="python -m exporter_pipelines_tests.benchmarks")
    parser.add_argument("--build", type=Path, default=Path("build"), help="folder of the results")
    what = parser.add_subparsers(dest="what", required=True)
    compare = what.add_parser("compare", help="ours beside the limit and beside others")
    compare.add_argument("--shape", choices=SHAPES, default=STANDARD.name)
    compare.add_argument("--source", choices=("postgresql", "sqlite"), default="postgresql")
    compare.add_argument("--rows", type=int, help="by default as many as the shape says")
    compare.add_argument("--days", type=int)
    compare.add_argument("--rounds", type=int, default=3)
    compare.add_argument("--peers", type=int, default=1, help="0 leaves the others out")
    compare.add_argument("--only", default="", help="measure what has this in its name")
    grow = what.add_parser("scale", help="how time and memory grow with rows and with days")
    grow.add_argument("--rows", type=int, nargs="+", default=scale.ROWS)
    grow.add_argument("--days", type=int, nargs="*", default=scale.DAYS)
    grow.add_argument("--dagster", type=int, default=1, help="0 measures the engine alone")
    plan = what.add_parser("plan", help="how PostgreSQL would read one day")
    plan.add_argument("--rows", type=int, default=max(scale.ROWS))
    plan.add_argument("--days", type=int, default=scale.DAYS_OF_ROWS)
    where = what.add_parser("profile", help="where the time of an export goes")
    where.add_argument("--source", choices=("postgresql", "sqlite"), default="postgresql")
    where.add_argument("--rows", type=int, default=2_000_000)
    where.add_argument("--days", type=int, default=10)
    where.add_argument("--format", default="jsonl")
    where.add_argument("--compression", default="gzip")
    year = what.add_parser("year", help="a backfill over a year of small days, by the daemon")
    year.add_argument("--days", type=int, default=365)
    year.add_argument("--rows", type=int, default=100)
    several = what.add_parser("concurrent", help="backfills and schedules that share the pool")
    several.add_argument("--days", type=int, default=40)
    sets = what.add_parser("training", help="how training sets grow with their rows")
    sets.add_argument("--rows", type=int, nargs="+", default=training.ROWS)
    remote = what.add_parser("bucket", help="a day to a bucket beside the same day to a folder")
    remote.add_argument("--rows", type=int, default=2_000_000)
    remote.add_argument("--rounds", type=int, default=3)
    private = what.add_parser("privacy", help="what a privacy policy costs")
    private.add_argument("--rows", type=int, default=200_000)
    private.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    build = given.build.absolute()
    if given.what == "compare":
        _compare(given, build)
    elif given.what == "scale":
        scale.grow(rows=given.rows, days=given.days, with_dagster=bool(given.dagster), build=build)
    elif given.what == "year":
        backfill.year(given.days, given.rows)
    elif given.what == "training":
        training.grow(rows=given.rows, build=build)
    elif given.what == "bucket":
        bucket.compare(rows=given.rows, rounds=given.rounds, build=build)
    elif given.what == "concurrent":
        backfill.concurrent(given.days)
    elif given.what == "privacy":
        privacy.run(given.rows, given.rounds)
    elif given.what == "plan":
        filled = data.filled(server.start(build / "bench" / "postgres"), given.rows, given.days)
        found = plans(filled.url, dataset(), filled.day_names[len(filled.day_names) // 2])
        sys.stdout.write("\n\n".join(found) + "\n")
    else:
        _profile(given, build)


def _compare(given: argparse.Namespace, build: Path) -> None:
    shape = SHAPES[given.shape]
    how = {
        "rows": given.rows or shape.rows, "days": given.days or shape.days,
        "rounds": given.rounds, "with_peers": bool(given.peers), "only": given.only, "build": build,
    }  # fmt: skip
    if given.source == "postgresql":
        rounds.compare(shape=shape, **how)
    elif shape is STANDARD:
        rounds.compare_sqlite(**how)
    else:
        sys.exit(f"A SQLite file is measured with the shape {STANDARD.name} only.")


def _profile(given: argparse.Namespace, build: Path) -> None:
    home = build / "bench"
    filled = data.filled(server.start(home / "postgres"), given.rows, given.days)
    file = sqlite_file.copied(filled, home) if given.source == "sqlite" else nullcontext(filled)
    with file as rows:
        profile.profile(rows, home / "profile", format_=given.format, compression=given.compression)


if __name__ == "__main__":
    main()
