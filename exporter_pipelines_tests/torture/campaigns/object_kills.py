"""Exports into buckets are killed, at random moments and at every request, while readers watch."""

from __future__ import annotations

import time

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
from exporter_pipelines_tests.torture.buckets import reading, servers
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.readers import VARIANTS, Variants
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.BUCKETS

_KILLS = 200
_SWEEP_EVERY = 15
_SOON = Times(grace_s=5, abandoned_s=20)
"""An attempt of this campaign takes a second."""


def run(trial: Trial) -> None:
    """200 kills at random for each server, and one at every request."""
    with servers(trial) as running, trial.backend() as backend:
        variants = Variants(trial, backend, 300)
        share = 1 / len(running)
        for name, server in running.items():
            output = server.below("kills")
            store = open_bucket(output)
            export(variants.url, dataset(**variants.changes("a")), DAY, store)
            with reading(trial, output, variants):
                _at_every_request(trial, output, variants, name, share / 2)
                _at_random(trial, output, variants, name, share)
            _last(trial, output, variants, name)
            share = 1


def _at_every_request(
    trial: Trial, server: ObjectServer, variants: Variants, name: str, share: float
) -> None:
    for number in trial.rounds(99, f"requests, {name}", share=share):
        variant = trial.dice.choice(VARIANTS)
        attempt = Attempt(variants.url, server, variants.changes(variant), dies_at=number + 1)
        outcome = attempt.start().finish()
        _check(trial, server, f"{name}, killed at request {number + 1}", part="every request")
        if outcome:
            trial.figures[f"{name}: requests of an export"] = number
            return


def _at_random(
    trial: Trial, server: ObjectServer, variants: Variants, name: str, share: float
) -> None:
    Attempt(variants.url, server, variants.changes("a")).start().finish()  # imports
    began = time.monotonic()
    Attempt(variants.url, server, variants.changes("b")).start().finish()
    whole_s, landed = time.monotonic() - began, 0
    for number in trial.rounds(10 * _KILLS, f"attempts for {_KILLS} kills, {name}", share=share):
        variant = trial.dice.choice(VARIANTS)
        attempt = Attempt(variants.url, server, variants.changes(variant)).start()
        # Two of three while they publish, the others anywhere.
        if publishing := number % 3 > 0:
            attempt.ready.wait(60)
        time.sleep(trial.dice.uniform(0, whole_s / 2 if publishing else whole_s))
        attempt.kill()
        if attempt.finish():
            continue  # it was faster
        landed += 1
        _check(trial, server, f"{name}, kill {landed}")
        if landed % _SWEEP_EVERY == 0:
            open_bucket(server, _SOON).clean_up("logs")
        if trial.dice.random() < 0.5:
            _go_on(trial, server, variants, f"{name}, after kill {landed}")
        if landed == _KILLS:
            break
    trial.figures[f"{name}: kills"] = landed


def _check(trial: Trial, server: ObjectServer, what: str, part: str = "") -> None:
    """The day is whole; its view may be that of the export before."""
    found = damage(open_bucket(server), DAY, view=False)
    trial.check(not found, f"{what}: {found}", part=part)


def _go_on(trial: Trial, server: ObjectServer, variants: Variants, when: str) -> None:
    """The run after a kill gives the undisturbed bytes, and a current view."""
    variant = trial.dice.choice(VARIANTS)
    store = open_bucket(server)
    with trial.guarded(when, part="runs after"):
        manifest = export(variants.url, dataset(**variants.changes(variant)), DAY, store)
        assert [file.sha256 for file in manifest.files] == variants.files[variant]
        found = damage(store, DAY)
        assert not found, found


def _last(trial: Trial, server: ObjectServer, variants: Variants, name: str) -> None:
    """A sweep leaves one generation, and nothing of any attempt."""
    _go_on(trial, server, variants, f"{name}, after the last kill")
    store = open_bucket(server, Times.at_once())
    store.clean_up("logs")
    left = generations(store, DAY)
    kept = kept_generations(store, DAY)
    what = f"{name}: the generations {left} are left; kept on purpose: {kept}"
    trial.check(kept < left and len(left) == 1 + len(kept), what, part="sweep")
    found = damage(store, DAY)
    trial.check(not found, f"{name}, after the sweep: {found}", part="sweep")
    attempts = store.bucket.listed("logs/attempts")
    trial.check(not attempts, f"{name}: {attempts} is left", part="sweep")
    files = store.quarantine_files("logs", DAY)
    trial.check(len(files) == 1, f"{name}: the quarantine has {files}", part="sweep")
