"""A day is exported again and again without a change, then once with changed rows."""

from __future__ import annotations

import hashlib

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import dataset, export, rows
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.IDEMPOTENT

DAY = "2026-11-01"


def run(trial: Trial) -> None:
    """50 re-runs of each of two forms of the day: one file, and several parts."""
    with trial.backend() as backend:
        backend.add_logs(DAY, 5_000)
        backend.add_logs(DAY, 20, first_id=10_000, level="odd")
        store = LocalStore(trial.folder / "exports")
        forms = {"one file": {}, "parts": {"max_file_records": 1000, "compression": "zstd"}}
        for name, changes in forms.items():
            logs = dataset(**changes)
            seen = set()
            for number in trial.rounds(50, f"re-runs ({name})", share=0.5):
                batch_rows = trial.dice.choice([1000, 3333, 50_000])
                manifest = export(backend.url, logs, DAY, store, batch_rows=batch_rows)
                folder = store.day_folder("logs", DAY)
                files = [folder / file.path for file in manifest.files]
                seen.add(tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files))
                trial.check(len(seen) == 1, f"{name}: re-run {number} gave other bytes")
                lying = {path.name for path in folder.iterdir()} - {"_manifest.json"}
                trial.check(
                    lying == {f.name for f in files}, f"{name}: {lying} lie there", points=0
                )
            backend.run("UPDATE logs SET message = message || '!' WHERE id = 77")
            changed = export(backend.url, logs, DAY, store)
            hashes = tuple(file.sha256 for file in changed.files)
            found = [row["message"] for row in rows(store, changed) if row["id"] == 77]
            trial.check(hashes not in seen, f"{name}: changed rows gave the old bytes")
            trial.check(found[0].endswith("!"), f"{name}: the changed row is {found}", points=0)
            trial.figures[f"distinct sha256 ({name})"] = len(seen)
