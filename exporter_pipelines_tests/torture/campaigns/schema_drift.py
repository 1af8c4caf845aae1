"""Columns are added, dropped, renamed, retyped and emptied, before and during a run."""

from __future__ import annotations

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.schema_drift import CASES, wrong
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.SCHEMA


def run(trial: Trial) -> None:
    """Every case of docs/reliability.md, each in a database of its own."""
    for number in trial.rounds(len(CASES), "cases"):
        case = CASES[number]
        with trial.backend() as backend:
            said = wrong(case, backend, LocalStore(trial.folder / f"exports-{number}"))
        trial.check(not said, f"{case.name}, {case.when}: {said}")
