"""Runs of one day in a bucket race, stopped ones come back, and a sweep runs all the time."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

from exporter_pipelines.contracts.store import GenerationChangedError
from exporter_pipelines.errors import DayUnavailableError
from exporter_pipelines.stores.objects.sweep import Times
from exporter_pipelines_tests.support.bucket_days import damage, open_bucket
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.object_servers import ObjectServer
from exporter_pipelines_tests.torture.attempts import DAY, Attempt
from exporter_pipelines_tests.torture.buckets import SmallDay, chain_is_broken, servers
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.readers import VARIANTS, Variants
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.BUCKETS

_RACES, _ZOMBIES, _SWEEPS = 100, 50, 1000


def run(trial: Trial) -> None:
    """For each server: 100 rounds of four, 50 zombies, 1,000 exports beside a sweep."""
    with servers(trial) as running, trial.backend() as backend:
        variants = Variants(trial, backend, 100)
        share = 1 / len(running)
        for name, server in running.items():
            output = server.below("writers")
            export(variants.url, dataset(**variants.changes("a")), DAY, open_bucket(output))
            for number in trial.rounds(_RACES, f"rounds of four writers, {name}", share=share / 3):
                _race(trial, output, variants, f"{name}, round {number}")
            for number in trial.rounds(_ZOMBIES, f"zombies, {name}", share=share / 2):
                _zombie(trial, output, variants, f"{name}, zombie {number}")
            _beside_a_sweep(trial, output, name, share)
            share = 1


def _race(trial: Trial, server: ObjectServer, variants: Variants, what: str) -> None:
    attempts = {
        variant: Attempt(variants.url, server, variants.changes(variant), waits="begin").started()
        for variant in VARIANTS
    }
    for attempt in attempts.values():
        attempt.go_on.set()
    outcomes = {variant: attempt.finish() for variant, attempt in attempts.items()}
    _check(trial, server, what, outcomes)


def _zombie(trial: Trial, server: ObjectServer, variants: Variants, what: str) -> None:
    """A run is stopped, at a random moment or just before it publishes; its retry publishes."""
    old, new = trial.dice.sample(VARIANTS, 2)
    zombie = Attempt(variants.url, server, variants.changes(old), waits="publish").started()
    if frozen := trial.dice.random() < 0.7:
        zombie.go_on.set()
        time.sleep(trial.dice.uniform(0, 0.15))
        _signal(zombie, signal.SIGSTOP)
    retried = Attempt(variants.url, server, variants.changes(new)).start().finish()
    if frozen:
        _signal(zombie, signal.SIGCONT)
    zombie.go_on.set()
    _check(trial, server, what, {old: zombie.finish(), new: retried}, part="zombies")


def _check(
    trial: Trial, server: ObjectServer, what: str, outcomes: dict[str, str], part: str = "rounds"
) -> None:
    """Everybody published or names the winner, and no export is lost."""
    for outcome in outcomes.values():
        is_clean = outcome.startswith("published") or (
            outcome.startswith("SupersededError") and "by run" in outcome
        )
        trial.check(is_clean, f"{what}: {outcome}", part=part)
    won = sum(outcome.startswith("published") for outcome in outcomes.values())
    trial.check(won > 0, f"{what}: nobody published: {outcomes}", part=part, points=0)
    store = open_bucket(server)
    found = damage(store, DAY) or chain_is_broken(store)
    trial.check(not found, f"{what}: {found}", part="days")


def _signal(attempt: Attempt, number: signal.Signals) -> None:
    # It may have been faster, and have ended.
    with contextlib.suppress(ProcessLookupError):
        os.kill(attempt.pid, number)


def _beside_a_sweep(trial: Trial, server: ObjectServer, name: str, share: float) -> None:
    """Small exports, while one sweep removes old exports and another one takes runs for dead."""
    store, stopped, sweeps = open_bucket(server), threading.Event(), [0]
    day = SmallDay(store)

    def sweep() -> None:
        patient = open_bucket(server, Times(grace_s=-60))
        hasty = open_bucket(server, Times.at_once())
        while not stopped.is_set():
            sweeper = hasty if trial.dice.random() < 0.1 else patient
            sweeper.clean_up("logs")
            sweeps[0] += 1

    thread = threading.Thread(target=sweep)
    thread.start()
    fenced = 0
    try:
        for number in trial.rounds(_SWEEPS, f"exports beside a sweep, {name}", share=share):
            what = f"{name}, export {number} beside a sweep"
            try:
                day.publish(store)
            except (DayUnavailableError, GenerationChangedError):
                fenced += 1  # taken for dead, which it says
            except Exception as error:
                trial.check(False, f"{what}: {type(error).__name__}: {error}", part="sweeps")
            found = damage(open_bucket(server), DAY, view=False)
            trial.check(not found, f"{what}: {found}", part="sweeps")
    finally:
        stopped.set()
        thread.join()
    trial.figures[f"{name}: sweeps"] = sweeps[0]
    trial.figures[f"{name}: runs taken for dead"] = fenced
    day.publish(store)
    found = damage(store, DAY)
    trial.check(not found, f"{name}, at the end: {found}", part="sweeps")
