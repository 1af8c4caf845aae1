"""The benchmarks' command: see the package."""

from __future__ import annotations

import argparse
from pathlib import Path

from exporter_pipelines_tests.benchmarks import rounds


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(prog="python -m exporter_pipelines_tests.benchmarks")
    parser.add_argument("--build", type=Path, default=Path("build"), help="folder of the results")
    what = parser.add_subparsers(dest="what", required=True)
    compare = what.add_parser("compare", help="ours beside the limit and beside others")
    compare.add_argument("--rows", type=int, default=2_000_000)
    compare.add_argument("--days", type=int, default=10)
    compare.add_argument("--rounds", type=int, default=3)
    compare.add_argument("--peers", type=int, default=1, help="0 leaves the others out")
    compare.add_argument("--only", default="", help="measure what has this in its name")
    given = parser.parse_args()
    build = given.build.absolute()
    if given.what == "compare":
        rounds.compare(
            rows=given.rows, days=given.days, rounds=given.rounds,
            with_peers=bool(given.peers), only=given.only, build=build,
        )  # fmt: skip


if __name__ == "__main__":
    main()
