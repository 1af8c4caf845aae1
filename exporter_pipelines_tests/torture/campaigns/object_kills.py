"""Exports into buckets are killed, at random moments and at every request, while readers watch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

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
from exporter_pipelines_tests.torture.buckets import not_a_variant, reading, servers
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.readers import VARIANTS, Variants
from exporter_pipelines_tests.torture.trial import Trial
from exporter_pipelines_tests.torture.turns import Task, take_turns

PROMISE = Promise.BUCKETS

_KILLS = 200
_SWEEP_EVERY = 15
_SOON = Times(grace_s=3, abandoned_s=20)
"""An attempt of this campaign takes a second."""


def run(trial: Trial) -> None:
    """200 kills at random for each server, and one at every request."""
    with servers(trial) as running, trial.backend() as backend:
        variants = Variants(trial, backend, 300)
        servers_kills = []
        for name, server in running.items():
            output = server.below("kills")
            export(variants.url, dataset(**variants.changes("a")), DAY, open_bucket(output))
            servers_kills.append(_Kills(trial, output, variants, name))
        take_turns(trial, [task for kills in servers_kills for task in kills.tasks()])
        for kills in servers_kills:
            kills.end()


@dataclass
class _Kills:
    """The kills of exports to one server.

    Attributes:
        landed: Kills at random that came before the end.
        swept: Exports that sweeps have removed.
    """

    trial: Trial
    server: ObjectServer
    variants: Variants
    name: str
    landed: int = 0
    swept: int = 0

    def tasks(self) -> list[Task]:
        """Both kinds of kills, with readers beside them."""

        def readers() -> AbstractContextManager[None]:
            return reading(self.trial, self.server, self.name, self.variants, _SOON.grace_s)

        return [
            Task(99, f"requests, {self.name}", self._at_every_request(), readers),
            Task(_KILLS, f"kills, {self.name}", self._at_random(), readers),
        ]

    def _at_every_request(self) -> Iterator[int]:
        for number in itertools.count(1):
            what = f"{self.name}, killed at request {number}"
            if not self._ended_killed(self._attempt(dies_at=number), what):
                self.trial.figures[f"{self.name}: requests of an export"] = number - 1
                return
            self._check(what, part="every request")
            yield number

    def _at_random(self) -> Iterator[int]:
        whole_s, publishing_s = self._durations()
        for number in itertools.count():
            attempt = self._attempt()
            # Two of three while they publish, the others anywhere.
            if publishing := number % 3 > 0:
                attempt.ready.wait(60)
            time.sleep(self.trial.dice.uniform(0, publishing_s if publishing else whole_s))
            attempt.kill()
            what = f"{self.name}, kill {self.landed + 1}"
            if self._ended_killed(attempt, what):
                self.landed += 1
                self._after(what)
            yield self.landed  # the same as before when it was faster

    def _after(self, what: str) -> None:
        """Look at the day after a kill, and sometimes sweep, or let the next run come."""
        self._check(what)
        if self.landed % _SWEEP_EVERY == 0:
            self._sweep(what)
        if self.trial.dice.random() < 0.5:
            self._go_on(f"after {what}")

    def end(self) -> None:
        """A sweep leaves one generation, and nothing of any attempt."""
        self.trial.figures[f"{self.name}: kills"] = self.landed
        self.trial.figures[f"{self.name}: exports that sweeps removed"] = self.swept
        self._go_on(f"{self.name}, after the last kill")
        store = open_bucket(self.server, Times.at_once())
        store.clean_up("logs")
        left, kept = generations(store, DAY), kept_generations(store, DAY)
        attempts = store.bucket.listed("logs/attempts")
        files = store.quarantine_files("logs", DAY)
        for good, what in (
            (len(left) == 1 + len(kept) and kept < left, f"the generations {left}, kept {kept}"),
            (not (found := damage(store, DAY)), found),
            (not attempts, f"{attempts}"),
            (len(files) == 1, f"the quarantine has {files}"),
        ):
            self.trial.check(good, f"{self.name}, after the last sweep: {what}", part="sweep")

    def _durations(self) -> tuple[float, float]:
        """Seconds of an undisturbed attempt, and of its last step."""
        self._ended_killed(self._attempt(), self.name)  # imports
        began = time.monotonic()
        attempt = self._attempt()
        attempt.ready.wait(60)
        staged = time.monotonic()
        self._ended_killed(attempt, self.name)
        return time.monotonic() - began, time.monotonic() - staged

    def _attempt(self, dies_at: int = 0) -> Attempt:
        self._variant = self.trial.dice.choice(VARIANTS)
        changes = self.variants.changes(self._variant)
        return Attempt(self.variants.url, self.server, changes, dies_at=dies_at).start()

    def _ended_killed(self, attempt: Attempt, what: str) -> bool:
        """Whether it was killed; otherwise it must have published the undisturbed bytes."""
        outcome = attempt.finish()
        if killed := attempt.was_killed and not outcome:
            return killed
        expected = self.variants.published_as(self._variant)
        self.trial.check(outcome == expected, f"{what}: {outcome}", part="not killed")
        return killed

    def _check(self, what: str, part: str = "") -> None:
        """The day is whole; its view may be that of the export before."""
        with self.trial.guarded(what, part=part):
            store = open_bucket(self.server)
            found = damage(store, DAY, view=False) or not_a_variant(store, self.variants)
            assert not found, found

    def _sweep(self, what: str) -> None:
        """A sweep removes what dead runs left and what was replaced, and only that."""
        store = open_bucket(self.server, _SOON)
        time.sleep(_SOON.grace_s + 1)  # a day that was just published is left for its readers
        dead, before = set(store.dead_attempts("logs")), len(generations(store, DAY))
        store.clean_up("logs")
        left = dead & set(store.dead_attempts("logs"))
        self.swept += before - len(generations(store, DAY))
        found = damage(store, DAY) or (f"dead runs are left: {left}" if left else "")
        self.trial.check(not found, f"{what}, a sweep: {found}", part="sweep")

    def _go_on(self, when: str) -> None:
        """The run after a kill gives the undisturbed bytes, and a current view."""
        variant = self.trial.dice.choice(VARIANTS)
        store = open_bucket(self.server)
        with self.trial.guarded(when, part="runs after"):
            changes = self.variants.changes(variant)
            manifest = export(self.variants.url, dataset(**changes), DAY, store)
            assert [file.sha256 for file in manifest.files] == self.variants.files[variant]
            found = damage(store, DAY)
            assert not found, found
