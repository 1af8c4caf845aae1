"""Prunes the exports of a dataset, within limits that protect them from a wrong clock.

`engine.retention` decides what is past its time. Here a prune that would remove too much, or whose
clock does not fit the ledger, is refused. The command and the job both use this module.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.retention import Removal, plan, remove

MAX_SILENCE = dt.timedelta(days=30)
"""A ledger whose newest entry is older than this may mean that the clock is wrong."""

CLOCK_SKEW = dt.timedelta(minutes=1)
"""How far the clocks of two machines that export to one folder may differ."""

MAX_REMOVED_PCT, MAX_REMOVED_DAYS = 20, 7
"""A prune that would remove more than both is refused."""


@dataclass(frozen=True)
class Replaced:
    """A replaced export that is kept no longer.

    Attributes:
        name: Of its folder, as the ledger has it (`Entry.kept_as`).
    """

    dataset: str
    day: str
    name: str
    reason: str


@dataclass(frozen=True)
class Prune:
    """What a prune of one dataset would remove.

    Attributes:
        removals: Parts of days that are past their `retention`.
        replaced: Replaced exports that are kept no longer.
        refused: Why it is refused without force; "" if it is not.
    """

    dataset: str
    removals: list[Removal]
    replaced: list[Replaced]
    refused: str

    def all(self) -> list[Removal | Replaced]:
        """Everything that it would remove, in order."""
        return [*self.removals, *self.replaced]


def plan_prune(store: Store, dataset: Dataset, today: dt.date, now: dt.datetime) -> Prune:
    """Find what is past its time; changes nothing.

    Args:
        store: The exports.
        dataset: Whose exports to look at.
        today: Today's date in EXPORTER_TIMEZONE.
        now: The same moment, UTC.
    """
    removals = plan(store, dataset, today)
    replaced = list(_expired(store, dataset, now))
    refused = ""
    if removals or replaced:
        refused = _wrong_clock(store, dataset.name, now) or _too_many(store, dataset, removals)
    return Prune(dataset.name, removals, replaced, refused)


def apply_prune(store: Store, prune: Prune) -> Iterator[Removal | Replaced]:
    """Remove what was planned, and record the prune; yields each removal that was carried out.

    The caller decides what happens to a refused one.

    Raises:
        OutputUnavailableError: the folder cannot be written, or another process holds a day.
    """
    store.adopt(prune.dataset)
    done = 0
    for removal in prune.removals:
        if remove(store, removal):
            done += 1
            yield removal
    for replaced in prune.replaced:
        if store.remove_replaced(replaced.dataset, replaced.name):
            done += 1
            store.record(
                Entry(
                    event="removed",
                    dataset=replaced.dataset,
                    day=replaced.day,
                    kept_as=replaced.name,
                    reason=replaced.reason,
                )
            )
            yield replaced
    store.record(Entry(event="pruned", dataset=prune.dataset, reason=f"{done} removed"))
    if done:
        store.clean_up(prune.dataset)


def _expired(store: Store, dataset: Dataset, now: dt.datetime) -> Iterator[Replaced]:
    """Replaced exports that are older than `keep_replaced_days`, by the time in the ledger."""
    days = dataset.config.keep_replaced_days
    for day, name in store.replaced_exports(dataset.name):
        times = [e.at for e in store.entries(dataset.name, day) if e.kept_as == name]
        if times and now - min(times) > dt.timedelta(days=days):
            yield Replaced(dataset.name, day, name, f"keep_replaced_days: {days}")


def _wrong_clock(store: Store, dataset: str, now: dt.datetime) -> str:
    newest = _newest(store, dataset)
    if newest is None:
        return ""
    if now < newest - CLOCK_SKEW:
        return (
            f"the clock says {now:%Y-%m-%d %H:%M} UTC, which is before the newest entry of the "
            f"ledger, {newest:%Y-%m-%d %H:%M} UTC"
        )
    if now - newest > MAX_SILENCE:
        return (
            f"the clock says {now:%Y-%m-%d}, which is {(now - newest).days} days after the newest "
            f"entry of the ledger, {newest:%Y-%m-%d}. The clock may be wrong"
        )
    return ""


def _newest(store: Store, dataset: str) -> dt.datetime | None:
    times = [
        entry.at
        for day in store.recorded_days(dataset)
        for entry in store.entries(dataset, day)[-1:]
    ]
    # An `adopted` entry of the dataset is as old as the upgrade, not as an export.
    times += [e.at for e in store.entries(dataset, None) if e.event != "adopted"]
    return max(times, default=None)


def _too_many(store: Store, dataset: Dataset, removals: list[Removal]) -> str:
    days = sum(removal.what == "day" for removal in removals)
    published = len(store.published_days(dataset.name))
    if days > MAX_REMOVED_DAYS and 100 * days > MAX_REMOVED_PCT * published:
        return (
            f"it would remove {days} of {published} published days, more than "
            f"{MAX_REMOVED_DAYS} days and {MAX_REMOVED_PCT} %"
        )
    return ""
