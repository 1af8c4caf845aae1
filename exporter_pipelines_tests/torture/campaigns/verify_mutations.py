"""Published days are damaged in one place, a thousand times, and verified each time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from exporter_pipelines.stores import LocalStore
from exporter_pipelines.verification.days import verify_day, verify_folders
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.export_mutations import MUTATIONS
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.VERIFIED

FORMS: list[dict[str, Any]] = [
    {"compression": "none"},
    {"max_file_records": 20},
    {"format": "json", "compression": "zstd"},
    {"format": "csv", "compression": "gzip"},
    {"format": "parquet", "compression": "zstd"},
]


def run(trial: Trial) -> None:
    """100 clean days without a finding, then 1,000 mutations with one each."""
    with trial.backend() as backend:
        store = LocalStore(trial.folder / "exports")
        days = [f"2026-11-{number:02}" for number in range(1, 21)]
        for number, day in enumerate(days[:5]):
            backend.add_logs(day, 50, first_id=1 + number * 1000)
            backend.add_logs(day, 2, first_id=500 + number * 1000, level="odd")
        for number in trial.rounds(100, "clean days", share=0.4):
            day = days[number % len(days)]
            export(backend.url, dataset(**FORMS[number // len(days)]), day, store)
            found = findings(store)
            trial.check(not found, f"clean {day}: {found[:2]}", part="clean")
        for day, form in zip(days[:5], FORMS, strict=True):
            export(backend.url, dataset(**form), day, store)
    for day in days[6:]:  # one without rows stays
        shutil.rmtree(store.day_folder("logs", day))
    pristine = trial.folder / "pristine"
    shutil.copytree(store.root / "logs", pristine)
    for number in trial.rounds(1000, "mutations"):
        mutation = MUTATIONS[number % len(MUTATIONS)]
        what = mutation(store.root / "logs", trial.dice)
        trial.check(bool(findings(store)), f"not found: {mutation.__name__}: {what}")
        restore(store.root / "logs", pristine)


def findings(store: LocalStore) -> list[str]:
    """Everything that verifying the logs says."""
    folders, days = verify_folders(store, "logs", {"logs"})
    reports = [folders, *(verify_day(store, "logs", day)[0] for day in days)]
    return [f"{f.kind} {f.path} {f.message}" for report in reports for f in report.findings]


def restore(home: Path, pristine: Path) -> None:
    """Make the folder what it was; links lead out of it and are not followed."""
    shutil.rmtree(home)
    moved = home.parent.parent / "moved"
    if moved.is_dir():
        shutil.rmtree(moved)
    elif os.path.lexists(moved):
        moved.unlink()
    shutil.copytree(pristine, home)
