"""The disk says no: ENOSPC, EIO and EDQUOT from the Nth call of each kind, until none is left."""

from __future__ import annotations

from itertools import cycle, product

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.torture.attempts import DAY, Attempt
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.readers import VARIANTS, Variants, damage, leftovers
from exporter_pipelines_tests.torture.strace import CALLS, injecting, require
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.DISK

_KINDS = ("write", "fsync", "rename", "exchange", "mkdir")
_ERRORS = {"ENOSPC": "No space left", "EIO": "Input/output error", "EDQUOT": "quota"}
_MOST = 100
_QUIET = 3
"""Attempts in a row without an error, after which a sweep is at its end."""


def run(trial: Trial) -> None:
    """Sweep each pair of call and error over a whole attempt, from its begin to its end."""
    require(trial)
    with trial.backend() as backend:
        variants = Variants(trial, backend, 300)
        pairs = list(product(_KINDS, _ERRORS))
        trial.dice.shuffle(pairs)
        trial.figures["calls that failed"] = trial.figures["published all the same"] = 0
        for number in trial.rounds(len(pairs), "pairs of call and error"):
            _sweep(trial, variants, *pairs[number])


def _sweep(trial: Trial, variants: Variants, kind: str, error: str) -> None:
    store = LocalStore(trial.folder / f"{kind}-{error}")
    others = cycle(VARIANTS)
    export(variants.url, dataset(**variants.changes(next(others))), DAY, store)
    quiet = 0
    for number in range(1, _MOST):
        before = store.read_manifest("logs", DAY)
        attempt = Attempt(variants.url, store.root, variants.changes(next(others)), waits="begin")
        attempt.started()
        with injecting(attempt.pid, f"{CALLS[kind]}:error={error}:when={number}"):
            attempt.go_on.set()
            outcome = attempt.finish()
        what = f"{error} from {kind} {number}"
        trial.check(not (found := damage(store, variants)), f"{what}: {found}")
        published = store.read_manifest("logs", DAY) != before
        late = published and not outcome.startswith("published")
        # Then the old quarantine is left to the next run as well.
        left = [name for name in leftovers(store) if not (late and name.startswith("logs-"))]
        trial.check(not left, f"{what}: left {left}", points=0)
        if late:
            # Syncing data/ after the switch: the new day is visible and whole, as documented.
            _count(trial, "published all the same")
            trial.check(kind == "fsync", f"{what}: failed, and yet published", points=0)
        if outcome.startswith("published"):
            # Past the last call, or one whose failure does not matter: a later one tells.
            quiet += 1
            if quiet == _QUIET:
                return
            continue
        quiet = 0
        _count(trial, "calls that failed")
        clear = outcome.startswith("OutputUnavailableError") and _ERRORS[error] in outcome
        names = str(store.root) in outcome and (error == "EIO" or "bytes are free" in outcome)
        trial.check(clear and names, f"{what}: says {outcome or 'nothing'}", part="messages")


def _count(trial: Trial, name: str) -> None:
    trial.figures[name] = int(str(trial.figures[name])) + 1
