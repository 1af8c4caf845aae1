"""`make demo`: export the sample backend and show the files that were written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dotenv import dotenv_values

from exporter_pipelines import settings
from exporter_pipelines.demo.backend import start_server
from exporter_pipelines.demo.seed import STORY, days, seed_once
from exporter_pipelines.demo.summary import print_summary
from exporter_pipelines.extras import MissingExtraError, is_installed

LOG = Path(".dagster/demo.log")


def main() -> int:
    """Run the tour; 0 when the exports match the story of the sample."""
    if not _points_at_demo():
        print(
            "EXPORTER_SOURCE_URL in .env names your own database. The demo would mix sample data "
            "into your exports.\nRun `make demo` in a fresh clone, or set EXPORTER_SOURCE_URL=demo "
            "in .env."
        )
        return 2
    if not is_installed("demo"):
        print(MissingExtraError("demo"))
        return 2
    first, last = days()[0].isoformat(), days()[-1].isoformat()
    if not _in_range(first, last):
        print(
            f"The sample has the days {first} to {last}, but EXPORTER_START_DATE and "
            "EXPORTER_END_DATE in .env leave some of them out.\nSet them as in .env.example."
        )
        return 2
    print("1. Starting the embedded PostgreSQL ...")
    url = start_server(settings.demo_home() / "postgres")
    print("   Seeding 14 days ..." if seed_once(url) else "   The sample backend already exists.")
    for line in STORY:
        print(f"   - {line}")
    arguments = [
        "asset", "materialize", "-m", "exporter_pipelines.definitions",
        "--select", "group:exports", "--partition-range", f"{first}...{last}",
    ]  # fmt: skip
    print(f"2. Exporting all three datasets through Dagster (log: {LOG}):")
    print(f"   dagster {' '.join(arguments)}")
    last_words = _run(arguments)
    print("3. What was written where:\n")
    return print_summary(settings.output_root(), last_words)


def _points_at_demo() -> bool:
    """Whether .env selects the sample; Dagster's values of .env override the shell's."""
    value = dotenv_values(".env").get("EXPORTER_SOURCE_URL")
    return value in (None, settings.DEMO_SOURCE)


def _in_range(first: str, last: str) -> bool:
    values = dotenv_values(".env")
    end = values.get("EXPORTER_END_DATE")
    return (values.get("EXPORTER_START_DATE") or first) <= first and (not end or last < end)


def _run(arguments: list[str]) -> str:
    """Run Dagster's own command and return the last paragraph that it printed."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("w+") as log:
        subprocess.run(  # noqa: S603 - our own arguments
            [Path(sys.executable).with_name("dagster"), *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
        log.seek(0)
        return log.read().rstrip().rpartition("\n\n")[2]


if __name__ == "__main__":
    sys.exit(main())
