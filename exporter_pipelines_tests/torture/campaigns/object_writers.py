"""Runs of one day in a bucket race, stopped ones come back, and a sweep runs all the time."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator

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
from exporter_pipelines_tests.torture.turns import Task, take_turns

PROMISE = Promise.BUCKETS

_RACES, _ZOMBIES, _SWEEPS = 100, 50, 1000


def run(trial: Trial) -> None:
    """For each server: 100 rounds of four, 50 zombies, 1,000 exports beside a sweep."""
    with servers(trial) as running, trial.backend() as backend:
        variants = Variants(trial, backend, 100)
        tasks, besides = [], []
        for name, server in running.items():
            output = server.below("writers")
            _export(variants, output)
            races = _repeated(_race, trial, output, variants, f"{name}, round")
            zombies = _repeated(_zombie, trial, output, variants, f"{name}, zombie")
            beside = _BesideASweep(trial, server.below("sweeps"), name, variants)
            besides.append(beside)
            tasks += [
                Task(_RACES, f"rounds of four writers, {name}", races),
                Task(_ZOMBIES, f"zombies, {name}", zombies),
                Task(_SWEEPS, f"exports beside a sweep, {name}", beside.exports(), beside.sweeping),
            ]
        take_turns(trial, tasks)
        for beside in besides:
            beside.end()
        for task in tasks:
            trial.figures[task.of] = task.reached


def _export(variants: Variants, server: ObjectServer) -> None:
    """The export that all others replace."""
    export(variants.url, dataset(**variants.changes("a")), DAY, open_bucket(server))


def _repeated(
    step: Callable[[Trial, ObjectServer, Variants, str], None],
    trial: Trial,
    server: ObjectServer,
    variants: Variants,
    what: str,
) -> Iterator[int]:
    for number in itertools.count(1):
        step(trial, server, variants, f"{what} {number}")
        yield number


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
        trial.add(f"{part}: {figure}", number)
    with trial.guarded(what, part="days"):
        store = open_bucket(server)
        found = damage(store, DAY) or chain_is_broken(store)
        assert not found, found


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

    def __init__(self, server: ObjectServer, seed: float) -> None:
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


class _BesideASweep:
    """Small exports, while sweeps remove old exports and take runs for dead.

    Args:
        trial: Counts.
        server: Of an output for these exports alone.
        name: Of its program.
        variants: What the first export is of.
    """

    def __init__(self, trial: Trial, server: ObjectServer, name: str, variants: Variants) -> None:
        _export(variants, server)
        self._trial, self._server, self._name = trial, server, name
        self._store = open_bucket(server)
        self._day = SmallDay(self._store)
        self._sweeper: _Sweeper | None = None

    @contextlib.contextmanager
    def sweeping(self) -> Iterator[None]:
        """Sweep all the time."""
        sweeper = self._sweeper = _Sweeper(self._server, self._trial.dice.random())
        sweeper.start()
        try:
            yield
        finally:
            sweeper.stop()
        self._trial.add(f"{self._name}: sweeps", sweeper.sweeps)
        for problem in sweeper.problems:
            self._trial.check(False, f"{self._name}, a sweep: {problem}", part="sweeps")

    def exports(self) -> Iterator[int]:
        """Export; a run that was taken for dead says so, and publishes nothing."""
        for number in itertools.count(1):
            what = f"{self._name}, export {number} beside a sweep"
            with self._trial.guarded(what, part="sweeps"):
                found = self._export() or damage(open_bucket(self._server), DAY, view=False)
                assert not found, found
            yield number

    def _export(self) -> str:
        assert self._sweeper
        before = self._sweeper.hasty
        try:
            self._day.publish(self._store)
        except DayUnavailableError as error:  # taken for dead, which it says
            self._trial.add(f"{self._name}: runs taken for dead", 1)
            was_hasty = before % 2 or self._sweeper.hasty != before
            return "" if was_hasty else f"no sweep took it for dead, and yet: {error}"
        return ""

    def end(self) -> None:
        """One export is left, and those that are kept for their rows."""
        self._day.publish(self._store)
        store = open_bucket(self._server, Times.at_once())
        store.clean_up("logs")
        found = damage(store, DAY) or chain_is_broken(store)
        self._trial.check(not found, f"{self._name}, at the end: {found}", part="sweeps")
        left, kept = generations(store, DAY), kept_generations(store, DAY)
        what = f"{self._name}, at the end: the generations {left}, kept {kept}"
        self._trial.check(len(left) == 1 + len(kept) and kept < left, what, part="sweeps")
