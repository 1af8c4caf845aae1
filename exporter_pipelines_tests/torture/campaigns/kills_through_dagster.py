"""`dagster asset materialize` is killed while it publishes, at random moments."""

from __future__ import annotations

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.torture.attempts import DAY
from exporter_pipelines_tests.torture.commands import mortal_project, start
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.readers import Variants, damage, leftovers, reading
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.WHOLE


def run(trial: Trial) -> None:
    """20 kills of runs of the real project, which replace a published day."""
    with trial.backend() as backend:
        variants = Variants(trial, backend, 2_000)
        project = mortal_project(trial.folder / "project", backend, DAY, "2026-11-02")
        project.edit("logs", "table: logs", "table: logs_b")
        store = LocalStore(project.output)
        export(variants.url, dataset(**variants.changes("a")), DAY, store)
        survived = 0
        with reading(trial, store, variants):
            for number in trial.rounds(20, "kills"):
                # Nearly all of it is over after 15 ms; some runs are allowed to end.
                death = f"{trial.dice.uniform(0, 0.015):.4f}"
                code = start(project, death, partition=DAY).wait(120)
                survived += code == 0
                found = damage(store, variants)
                trial.check(code in (0, -9) and not found, f"kill {number}, code {code}: {found}")
                manifest = export(variants.url, dataset(**variants.changes("a")), DAY, store)
                same = [file.sha256 for file in manifest.files] == variants.files["a"]
                left = leftovers(store)
                trial.check(same and not left, f"after {number}: left {left}", part="runs after")
        trial.figures["runs that were faster"] = survived
