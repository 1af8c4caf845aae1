"""The summary that `make demo` prints: counts per day, the held day, a file and its manifest."""

from __future__ import annotations

import gzip
from itertools import islice

from exporter_pipelines import settings
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.demo.seed import HELD_DAY, days
from exporter_pipelines.stores import layout

DATASETS = ("logs", "anomalies", "ips")


def print_summary(store: Store, summary: str, report: str | None = None) -> int:
    """Print what was written; 0 when only the expected day was held.

    Args:
        store: The exports.
        summary: What the export printed: which days were held or failed, and why.
        report: Where the page of the export report is; None if it was not rendered.
    """
    missing = [(dataset, day) for dataset in DATASETS for day in _print_dataset(store, dataset)]
    print(f"Summary of the export:\n{_indent(summary)}\n")
    _print_sample(store, "logs", days()[0].isoformat())
    if report:
        print(f"Numbers, charts and history of all exports: {report}\n")
    print(
        "Next: `make dev` starts the Dagster UI on the same data. The days and checks of logs: "
        f"{settings.ui_url()}/assets/logs?view=partitions, this export is under Runs. The first "
        "page, Overview, shows only runs of jobs and schedules. README.md says how to point the "
        "project at your own database. docs/training.md has a short program that trains a model on "
        "the training set."
    )
    return 0 if missing == [("logs", HELD_DAY.isoformat())] else 1


def _print_dataset(store: Store, dataset: str) -> list[str]:
    """Print a table of days; return those that are not published."""
    missing = []
    print(f"{dataset}  {store.location}/{dataset}/{layout.DATA}")
    print("  day           read  exported  rejected     bytes  file")
    for day in (day.isoformat() for day in days()):
        data = store.read_manifest(dataset, day)
        if data is None:
            missing.append(day)
            print(f"  {day}  not published (held or failed, see below)")
            continue
        manifest = Manifest.from_json(data)
        counts = manifest.counts
        name = manifest.files[0].path if manifest.files else "none: a day without rows"
        print(
            f"  {day}  {counts.read:6}  {counts.exported:8}  {counts.rejected:8}  "
            f"{manifest.file_size:8}  {name}"
        )
    print()
    return missing


def _print_sample(store: Store, dataset: str, day: str) -> None:
    manifest = store.read_manifest(dataset, day)
    if manifest is None:
        return
    with store.published_day(dataset, day) as folder:
        name = Manifest.from_json(manifest).files[0].path
        print(f"First lines of {folder.location}/{name}:")
        with folder.open(name) as file, gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in islice(lines, 3):
                print(f"  {line.rstrip()[:240]}")
        print(f"\nFirst lines of {folder.location}/{MANIFEST_NAME}:")
    for line in manifest.decode().splitlines()[:24]:
        print(f"  {line}")
    print()


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
