"""Runs of one day race four at a time, and stopped ones come back after another has published."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.torture.attempts import DAY, Attempt
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.readers import VARIANTS, Variants, damage, leftovers
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.WRITERS


def run(trial: Trial) -> None:
    """25 rounds of four, then 25 zombies."""
    with trial.backend() as backend:
        variants = Variants(trial, backend, 300)
        store = LocalStore(trial.folder / "exports")
        trial.figures["won"] = trial.figures["lost"] = 0
        for number in trial.rounds(25, "rounds of four writers", share=0.6):
            _race(trial, store, variants, f"round {number}")
        for number in trial.rounds(25, "zombies"):
            _zombie(trial, store, variants, f"zombie {number}")
        trial.check(not (left := leftovers(store)), f"left over: {left}", points=0)


def _race(trial: Trial, store: LocalStore, variants: Variants, what: str) -> None:
    attempts = {
        variant: Attempt(variants.url, store.root, variants.changes(variant), waits="begin")
        for variant in VARIANTS
    }
    for attempt in attempts.values():
        attempt.started()
    for attempt in attempts.values():
        attempt.go_on.set()
    outcomes = {variant: attempt.finish() for variant, attempt in attempts.items()}
    for variant, outcome in outcomes.items():
        won = _is_true(store, variants.files[variant], outcome)
        trial.check(won, f"{what}, {variant}: {outcome}")
        _count(trial, outcome)
    last = _published(store)
    winners = [v for v, outcome in outcomes.items() if outcome.startswith("published")]
    trial.check(last in [variants.files[v] for v in winners], f"{what}: {last} won", points=0)
    trial.check(not (found := damage(store, variants)), f"{what}: {found}", part="days")


def _zombie(trial: Trial, store: LocalStore, variants: Variants, what: str) -> None:
    """A run is stopped, at a random moment or just before it publishes; its retry publishes."""
    old, new = trial.dice.sample(VARIANTS, 2)
    zombie = Attempt(variants.url, store.root, variants.changes(old), waits="publish").started()
    if frozen := trial.dice.random() < 0.5:
        zombie.go_on.set()
        time.sleep(trial.dice.uniform(0, 0.02))
        _signal(zombie, signal.SIGSTOP)
    retry = Attempt(variants.url, store.root, variants.changes(new)).start()
    if frozen:
        # It may have been stopped while it held the lock of the day; the retry then waits for it.
        retry.process.join(3)
        _signal(zombie, signal.SIGCONT)
    retried = retry.finish()
    zombie.go_on.set()
    outcomes = {old: zombie.finish(), new: retried}
    for variant, outcome in outcomes.items():
        true = _is_true(store, variants.files[variant], outcome)
        trial.check(true, f"{what}, {variant}: {outcome}", part="zombies")
        _count(trial, outcome)
    if not frozen:
        late = outcomes[old].startswith("SupersededError")
        trial.check(late, f"{what}: came last and says {outcomes[old]}", part="zombies", points=0)
    trial.check(not (found := damage(store, variants)), f"{what}: {found}", part="days")


def _signal(attempt: Attempt, number: signal.Signals) -> None:
    # It may have been faster, and have ended.
    with contextlib.suppress(ProcessLookupError):
        os.kill(attempt.pid, number)


def _is_true(store: LocalStore, files: list[str], outcome: str) -> bool:
    """Whether a winner's day was visible, and a loser says by whom it was superseded."""
    if outcome.startswith("published"):
        return files in _ever_published(store)
    return outcome.startswith("SupersededError") and "by run" in outcome


def _ever_published(store: LocalStore) -> list[list[str]]:
    """Files of the published day and of those that it replaced, which are kept for an hour."""
    folders = [store.day_folder("logs", DAY), *(store.root / "logs" / ".superseded").iterdir()]
    manifests = [Manifest.from_json((f / MANIFEST_NAME).read_bytes()) for f in folders]
    return [[file.sha256 for file in manifest.files] for manifest in manifests]


def _published(store: LocalStore) -> list[str]:
    data = store.read_manifest("logs", DAY)
    return [file.sha256 for file in Manifest.from_json(data).files] if data else []


def _count(trial: Trial, outcome: str) -> None:
    name = "won" if outcome.startswith("published") else "lost"
    trial.figures[name] = int(str(trial.figures[name])) + 1
