"""Exports are killed at random moments, many while they publish, and two kinds of readers watch."""

from __future__ import annotations

import time

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.torture.attempts import DAY, Attempt
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.readers import (
    VARIANTS,
    Variants,
    damage,
    leftovers,
    reading,
)
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.WHOLE

FORMS = {"one file": {}, "parts": {"max_file_records": 500, "compression": "zstd"}}


def run(trial: Trial) -> None:
    """140 kills of days in one file, 60 of days in several parts."""
    for name, kills in (("one file", 140), ("parts", 60)):
        with trial.backend() as backend:
            variants = Variants(trial, backend, 2_000, **FORMS[name])
            store = LocalStore(trial.folder / name.replace(" ", "-"))
            export(variants.url, dataset(**variants.changes("a")), DAY, store)
            with reading(trial, store, variants, naively=name == "one file"):
                _kill(trial, store, variants, name, kills)


def _kill(trial: Trial, store: LocalStore, variants: Variants, name: str, kills: int) -> None:
    whole_s, publishing_s = _durations(store, variants)
    trial.figures[f"an export of {name}"] = f"{1000 * whole_s:.0f} ms"
    landed, share = 0, 0.7 if name == "one file" else 1
    for number in trial.rounds(10 * kills, f"attempts for {kills} kills of {name}", share=share):
        variant = trial.dice.choice(VARIANTS)
        attempt = Attempt(variants.url, store.root, variants.changes(variant)).start()
        # Two of three in the few milliseconds of publishing, the others anywhere.
        if publishing := number % 3 > 0:
            attempt.ready.wait(60)
        time.sleep(trial.dice.uniform(0, publishing_s if publishing else whole_s))
        attempt.kill()
        if attempt.finish():
            continue  # it was faster, and a kill of the dead proves nothing
        landed += 1
        trial.check(not (found := damage(store, variants)), f"{name}, kill {landed}: {found}")
        if landed == kills:
            break
        if trial.dice.random() < 0.5:
            _go_on(trial, store, variants, f"{name}, after kill {landed}")
    _go_on(trial, store, variants, f"{name}, after the last kill")


def _durations(store: LocalStore, variants: Variants) -> tuple[float, float]:
    """Seconds of an undisturbed attempt, and of its last step."""
    Attempt(variants.url, store.root, variants.changes("a")).start().finish()  # imports
    began = time.monotonic()
    attempt = Attempt(variants.url, store.root, variants.changes("b")).start()
    attempt.ready.wait(60)
    staged = time.monotonic()
    attempt.finish()
    return time.monotonic() - began, time.monotonic() - staged


def _go_on(trial: Trial, store: LocalStore, variants: Variants, when: str) -> None:
    """The run after a kill gives the undisturbed bytes and leaves nothing behind."""
    variant = trial.dice.choice(VARIANTS)
    manifest = export(variants.url, dataset(**variants.changes(variant)), DAY, store)
    same = [file.sha256 for file in manifest.files] == variants.files[variant]
    left = leftovers(store)
    trial.check(same and not left, f"{when}: same bytes {same}, left {left}", part="runs after")
