"""`make demo`: export the sample backend and show the files that were written."""

from __future__ import annotations

import subprocess
import sys

from exporter_pipelines import dotenv_file, settings
from exporter_pipelines.contracts.reserved_names import EXPORT_REPORT
from exporter_pipelines.demo.backend import start_server
from exporter_pipelines.demo.seed import STORY, days, seed_once
from exporter_pipelines.demo.summary import DATASETS, print_summary
from exporter_pipelines.errors import ConfigurationError, SourceUnavailableError
from exporter_pipelines.extras import MissingExtraError, is_installed
from exporter_pipelines.stores.opening import open_store

TRAINING_SET = "failed_logins"


def main() -> int:
    """Run the tour; 0 when the exports match the story of the sample."""
    try:
        dotenv_file.load_dotenv()
        is_demo = _points_at_demo()
    except ConfigurationError as error:
        print(error)
        return 2
    if not is_demo:
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
    try:
        url = start_server(settings.demo_home() / "postgres")
    except SourceUnavailableError as error:
        print(error)
        return 2
    print("   Seeding 14 days ..." if seed_once(url) else "   The sample backend already exists.")
    for line in STORY:
        print(f"   - {line}")
    arguments = ["export", *DATASETS, first, last]
    print(f"2. Exporting all three datasets:\n   exporter {' '.join(arguments)}", flush=True)
    summary = _run("exporter_pipelines", *arguments)
    code = _build_training_set()
    report = _render_report(last)
    print("4. What was written where:\n")
    return print_summary(open_store(), summary, report) or code


def _build_training_set() -> int:
    """Build the training set of the sample; 0 if it is there afterwards."""
    if not is_installed("training"):
        print(f"3. No training set is built. {MissingExtraError('training')}")
        return 0
    print(f"3. Building a training set:\n   exporter train-set {TRAINING_SET}", flush=True)
    print(_run("exporter_pipelines", "train-set", TRAINING_SET))
    return 0 if open_store().versions(TRAINING_SET).newest() else 1


def _points_at_demo() -> bool:
    """Whether .env selects the sample; Dagster's values of .env override the shell's."""
    value = dotenv_file.dotenv().get("EXPORTER_SOURCE_URL")
    return value in (None, settings.DEMO_SOURCE)


def _in_range(first: str, last: str) -> bool:
    values = dotenv_file.dotenv()
    end = values.get("EXPORTER_END_DATE")
    return (values.get("EXPORTER_START_DATE") or first) <= first and (not end or last < end)


def _render_report(day: str) -> str | None:
    """The export report of all days up to `day`; None without the packages that it needs.

    Afterwards `export_report_sensor` renders it, which needs the daemon.
    """
    if not is_installed("report"):
        return None
    select = ["--select", EXPORT_REPORT, "--partition", day]
    command = ["asset", "materialize", "-m", "exporter_pipelines.definitions", *select]
    _run("dagster", *command, stderr=subprocess.DEVNULL)
    store = open_store()
    return store.report_location(None) if store.read_report(None) else None


def _run(module: str, *arguments: str, stderr: int | None = None) -> str:
    """Run a command, which shows its progress on stderr, and return what it prints."""
    done = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=False,
    )
    return done.stdout.rstrip()


if __name__ == "__main__":
    sys.exit(main())
