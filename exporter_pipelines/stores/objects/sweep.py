"""Removes what killed attempts left, and exports that were replaced long enough ago.

Every attempt has an object from its begin on, `attempts/date=<day>/<attempt>.<base>`. It is removed
when nothing of the attempt is left to do. So one listing finds all work; usually there is none.

An attempt is never known to be dead: its machine may only be slow. So before its files are removed,
the pointer of the day is changed to name it as abandoned. It cannot publish afterwards, whenever it
wakes up (`pointers.abandon`).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass

from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects import keys, quarantine
from exporter_pipelines.stores.objects.attempts import Attempt, attempts_of
from exporter_pipelines.stores.objects.bucket import Bucket
from exporter_pipelines.stores.objects.ledger import Ledger
from exporter_pipelines.stores.objects.pointers import Pointer, abandon, read_pointer
from exporter_pipelines.stores.objects.removal import drop_fingerprints
from exporter_pipelines.stores.objects.view import View

GRACE_S = 3600.0
"""How long the files of a replaced export stay for its readers, as on disk."""

ABANDONED_S = 24 * 3600.0
"""After it, an attempt is taken for dead. It is longer than any run may take."""


@dataclass(frozen=True)
class Times:
    """When the sweep removes something; tests use shorter times."""

    grace_s: float = GRACE_S
    abandoned_s: float = ABANDONED_S

    @classmethod
    def at_once(cls) -> Times:
        """Whatever the clock of the bucket says. Attempts that are running cannot publish."""
        return cls(-ABANDONED_S, -ABANDONED_S)


def sweep(
    bucket: Bucket, view: View, ledger: Ledger, dataset: str, times: Times, only: str | None = None
) -> None:
    """Clean up after the attempts of a dataset, or only at one day.

    Raises:
        OutputUnavailableError: the bucket cannot be read or written.
    """
    by_day: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts_of(bucket, dataset, only):
        by_day[attempt.day].append(attempt)
    soonest = min(times.grace_s, times.abandoned_s)
    for day, attempts in by_day.items():
        if any(_age_s(each.begun) > soonest for each in attempts):
            _Day(bucket, view, ledger, dataset, day, times).sweep(attempts)


def dead_attempts(bucket: Bucket, dataset: str, times: Times) -> list[str]:
    """Names of the attempts that are taken for dead; the sweep removes what they left."""
    old = [each for each in attempts_of(bucket, dataset) if _age_s(each.begun) > times.abandoned_s]
    dead = []
    for each in old:
        pointer = read_pointer(bucket, keys.pointer(dataset, each.day))
        if each not in _switched(old, pointer):
            dead.append(layout.attempt_name(each.day, each.name))
    return dead


@dataclass(frozen=True)
class _Day:
    """Cleans up after the attempts at one day."""

    bucket: Bucket
    view: View
    ledger: Ledger
    dataset: str
    day: str
    times: Times

    def sweep(self, attempts: list[Attempt]) -> None:
        # Read after the attempts were listed, so an attempt that has published by now is known.
        key = keys.pointer(self.dataset, self.day)
        pointer = read_pointer(self.bucket, key)
        if pointer.modified and _age_s(pointer.modified) <= self.times.grace_s:
            return  # somebody may still read what the published export has replaced
        switched = _switched(attempts, pointer)
        dead = [
            each
            for each in attempts
            if each not in switched and _age_s(each.begun) > self.times.abandoned_s
        ]
        if dead:
            pointer = abandon(self.bucket, key, [each.name for each in dead])
            dead = [each for each in dead if each.name != pointer.attempt]
        if switched or dead:
            self.view.refresh(self.dataset, self.day, pointer)
            self._remove(switched, dead, pointer)

    def _remove(self, switched: list[Attempt], dead: list[Attempt], pointer: Pointer) -> None:
        for each in dead:
            self._forget_replaced(each)
        kept = self._kept()
        self._move_rejected_rows(switched, kept)
        ended = {each.base for each in (*switched, *dead)} | {each.name for each in dead}
        spared = {pointer.attempt, *(str(copy.attempt) for copy in kept.values())}
        names = {name for name in ended if name} - spared
        garbage: list[str] = []
        for name in sorted(names):
            folder = keys.generation(self.dataset, self.day, name)
            garbage += [each.key for each in self.bucket.listed(folder)]
        if names:
            garbage += self._quarantine_of(names, pointer)
        drop_fingerprints(
            self.bucket,
            self.dataset,
            self.day,
            older_than=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=self.times.grace_s),
            keep=generation_of(pointer.manifest),
        )
        # The objects of the attempts are the last ones: if this fails, they are found again.
        self.bucket.remove(garbage)
        self.bucket.remove([each.key for each in (*switched, *dead)])

    def _quarantine_of(self, names: set[str], pointer: Pointer) -> list[str]:
        """Rejected rows of attempts whose export is gone."""
        gone, kept = {name[:8] for name in names}, quarantine.named_by(pointer)
        return [
            each.key
            for each in self.bucket.listed(keys.quarantine(self.dataset, self.day))
            if quarantine.attempt_of(each.name) in gone and each.name != kept
        ]

    def _kept(self) -> dict[str, Pointer]:
        """The replaced exports that are kept: their names, and the pointers that they had."""
        found = {}
        for name in self.bucket.folders(keys.replaced(self.dataset)):
            if layout.day_of_attempt(name) == self.day:
                copy = f"{keys.replaced(self.dataset, name)}/{keys.POINTER_COPY}"
                found[name] = Pointer.of(self.bucket.read(copy))
        return found

    def _move_rejected_rows(self, switched: list[Attempt], kept: dict[str, Pointer]) -> None:
        """Move those of kept exports to them, where the run that replaced one was killed before."""
        part_bytes = self.view.part_bytes
        for name in (layout.attempt_name(self.day, each.name) for each in switched):
            if name in kept:
                quarantine.move_to_replaced(
                    self.bucket, self.dataset, self.day, kept[name], name, part_bytes
                )

    def _forget_replaced(self, dead: Attempt) -> None:
        """Remove the note that an attempt keeps what it replaces, if it never replaced it."""
        name = layout.attempt_name(self.day, dead.name)
        listed = self.bucket.listed(keys.replaced(self.dataset, name))
        if listed:
            entries, _ = self.ledger.read(self.dataset, self.day)
            if not any(e.event == "published" and e.kept_as == name for e in entries):
                self.bucket.remove([each.key for each in listed])


def _switched(attempts: list[Attempt], pointer: Pointer) -> list[Attempt]:
    """The attempt that is published now, and those that were published before it."""
    by_name = {each.name: each for each in attempts}
    found = []
    name = pointer.attempt
    while name and (attempt := by_name.pop(name, None)):
        found.append(attempt)
        name = attempt.base
    return found


def _age_s(time: dt.datetime) -> float:
    return (dt.datetime.now(dt.UTC) - time).total_seconds()
