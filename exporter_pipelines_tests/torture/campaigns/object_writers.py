"""Runs of one day in a bucket race, stopped ones come back, and a sweep runs all the time."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time

from exporter_pipelines.errors import DayUnavailableError
from exporter_pipelines.stores.objects.sweep import Times
from exporter_pipelines_tests.support.bucket_days import (
    damage,
    generations,
    kept_generations,
    open_bucket,
)
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
        variant: Attempt(variants.url, server, variants.changes(variant), waits="begin").start()
        for variant in VARIANTS
    }
    for attempt in attempts.values():
        attempt.wait_until_ready()
    for attempt in attempts.values():
        attempt.go_on.set()
    outcomes = {variant: attempt.finish() for variant, attempt in attempts.items()}
    _check(trial, server, variants, what, outcomes)


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
    outcomes = {old: zombie.finish(), new: retried}
    _check(trial, server, variants, what, outcomes, part="zombies")
    if not frozen:
        late = outcomes[old].startswith("SupersededError")
        trial.check(late, f"{what}: came last and says {outcomes[old]}", part="zombies", points=0)


def _check(
    trial: Trial,
    server: ObjectServer,
    variants: Variants,
    what: str,
    outcomes: dict[str, str],
    part: str = "rounds",
) -> None:
    """Everybody published its own rows or names the winner, and no export is lost."""
    won = 0
    for variant, outcome in outcomes.items():
        published = outcome == variants.published_as(variant)
        lost = outcome.startswith("SupersededError") and "by run" in outcome
        trial.check(published or lost, f"{what}, {variant}: {outcome}", part=part)
        won += published
    trial.check(won > 0, f"{what}: nobody published: {outcomes}", part=part, points=0)
    for figure, number in (("published", won), ("superseded", len(outcomes) - won)):
        name = f"{part}: {figure}"
        trial.figures[name] = int(str(trial.figures.get(name, 0))) + number
    store = open_bucket(server)
    found = damage(store, DAY) or chain_is_broken(store)
    trial.check(not found, f"{what}: {found}", part="days")


def _signal(attempt: Attempt, number: signal.Signals) -> None:
    # It may have been faster, and have ended.
    with contextlib.suppress(ProcessLookupError):
        os.kill(attempt.pid, number)


class _Sweeper(threading.Thread):
    """Cleans up all the time; one sweep of ten takes every run for dead.

    Attributes:
        sweeps: How many there were.
        hasty: Goes up by one when such a sweep begins, and when it ends.
        problems: Errors of sweeps.
    """

    def __init__(self, server: ObjectServer, seed: int) -> None:
        super().__init__()
        self.sweeps = self.hasty = 0
        self.problems: list[str] = []
        self._server, self._dice, self._stopped = server, random.Random(seed), threading.Event()

    def run(self) -> None:
        patient = open_bucket(self._server, Times(grace_s=-60))
        hasty = open_bucket(self._server, Times.at_once())
        while not self._stopped.is_set():
            is_hasty = self._dice.random() < 0.1
            self.hasty += is_hasty
            try:
                (hasty if is_hasty else patient).clean_up("logs")
            except Exception as error:  # whatever it is, a sweep must not fail
                self.problems.append(f"{type(error).__name__}: {error}")
            self.hasty += is_hasty
            self.sweeps += 1

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def _beside_a_sweep(trial: Trial, server: ObjectServer, name: str, share: float) -> None:
    """Small exports, while sweeps remove old exports and take runs for dead."""
    store = open_bucket(server)
    day, fenced = SmallDay(store), 0
    sweeper = _Sweeper(server, trial.seed)
    sweeper.start()
    try:
        for number in trial.rounds(_SWEEPS, f"exports beside a sweep, {name}", share=share):
            what = f"{name}, export {number} beside a sweep"
            before = sweeper.hasty
            problem = ""
            try:
                day.publish(store)
            except DayUnavailableError as error:  # taken for dead, which it says
                fenced += 1
                was_hasty = before % 2 or sweeper.hasty != before
                problem = "" if was_hasty else f"no sweep took it for dead, and yet: {error}"
            except Exception as error:  # whatever it is, the promise is broken
                problem = f"{type(error).__name__}: {error}"
            found = problem or damage(open_bucket(server), DAY, view=False)
            trial.check(not found, f"{what}: {found}", part="sweeps")
    finally:
        sweeper.stop()
    trial.figures[f"{name}: sweeps"] = sweeper.sweeps
    trial.figures[f"{name}: runs taken for dead"] = fenced
    for problem in sweeper.problems:
        trial.check(False, f"{name}, a sweep: {problem}", part="sweeps")
    day.publish(store)
    store = open_bucket(server, Times.at_once())
    store.clean_up("logs")
    found = damage(store, DAY) or chain_is_broken(store)
    trial.check(not found, f"{name}, at the end: {found}", part="sweeps")
    left, kept = generations(store, DAY), kept_generations(store, DAY)
    what = f"{name}, at the end: the generations {left}, kept {kept}"
    trial.check(len(left) == 1 + len(kept) and kept < left, what, part="sweeps")
