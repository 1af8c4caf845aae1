"""Killed at every system call of publishing: the Nth of each kind, until there is none."""

from __future__ import annotations

from itertools import cycle

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.torture.attempts import DAY, Attempt
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.readers import (
    VARIANTS,
    Variants,
    damage,
    leftovers,
)
from exporter_pipelines_tests.torture.strace import CALLS, injecting, require
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.WHOLE

_MOST = 200
"""Calls of one kind; publishing makes some 20."""


def run(trial: Trial) -> None:
    """Of a day that replaces one, of a day's first export, and of an exchange in three steps."""
    require(trial)
    with trial.backend() as backend:
        variants = Variants(trial, backend, 300)
        kinds = list(CALLS)
        trial.dice.shuffle(kinds)  # so that a short time looks at other kinds each time
        trial.figures["calls"] = 0
        for number, kind in enumerate(trial.rounds(3 * len(kinds), "sweeps")):
            how = ("replaced", "first", "in steps")[number % 3]
            _sweep(trial, variants, how, kinds[kind // 3])


def _sweep(trial: Trial, variants: Variants, how: str, kind: str) -> None:
    store = LocalStore(trial.folder / "exports" / f"{how}-{kind}")
    others = cycle(VARIANTS)
    for number in range(1, _MOST):
        if how == "first":
            store = LocalStore(trial.folder / "exports" / f"{how}-{kind}-{number}")
        else:
            export(variants.url, dataset(**variants.changes(next(others))), DAY, store)
        if _survives(trial, store, variants, f"{how}: {kind} {number}", next(others), kind, number):
            return
        trial.figures["calls"] = int(str(trial.figures["calls"])) + 1


def _survives(
    trial: Trial,
    store: LocalStore,
    variants: Variants,
    what: str,
    variant: str,
    kind: str,
    number: int,
) -> bool:
    """Kill an attempt at its Nth call; whether there was no such call any more."""
    steps = ["renameat2:error=ENOSYS"] if what.startswith("in steps") else []
    if steps and kind == "exchange":
        return True
    attempt = Attempt(variants.url, store.root, variants.changes(variant), waits="publish")
    attempt.started()
    with injecting(attempt.pid, f"{CALLS[kind]}:signal=KILL:when={number}", *steps):
        attempt.go_on.set()
        outcome = attempt.finish()
    absent = not store.day_folder("logs", DAY).exists()
    if not (absent and (what.startswith("first") or steps)):
        # In steps the day may be absent, until the next run puts it back.
        trial.check(not (found := damage(store, variants)), f"killed at {what}: {found}")
    manifest = export(variants.url, dataset(**variants.changes(variant)), DAY, store)
    same = [file.sha256 for file in manifest.files] == variants.files[variant]
    left = leftovers(store)
    found = damage(store, variants)
    trial.check(
        same and not left and not found,
        f"after {what}: same bytes {same}, left {left}, {found}",
        part="runs after",
    )
    return outcome.startswith("published")
