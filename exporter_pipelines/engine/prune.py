"""Prunes the exports of a dataset, within limits that protect them from a wrong clock.

`engine.retention` decides what is past its time. Here a prune that would remove too much, or whose
clock does not fit the ledger, is refused. The command and the job both use this module.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.retention import Removal, plan, remove

MAX_SILENCE = dt.timedelta(days=30)
"""A ledger whose newest entry is older than this may mean that the clock is wrong."""

CLOCK_SKEW = dt.timedelta(minutes=1)
"""How far the clocks of two machines that export to one folder may differ."""

MAX_REMOVED_PCT, MAX_REMOVED_DAYS = 20, 7
"""A prune that would remove more than both is refused."""

FORCED = "forced by an operator"
"""Reason of a prune that was refused before."""


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
        refused = _wrong_clock(store, dataset.name, now) or _too_many(
            store, dataset, [*removals, *replaced]
        )
    return Prune(dataset.name, removals, replaced, refused)


def apply_prune(store: Store, prune: Prune) -> Iterator[Removal | Replaced]:
    """Remove what was planned, and record the prune; yields each removal that was carried out.

    The caller decides what happens to a refused one.

    Raises:
        OutputUnavailableError: the folder cannot be written, or another process holds a day.
    """
    store.adopt(prune.dataset)
    if not (store.published_days(prune.dataset) or store.recorded_days(prune.dataset)):
        return  # nothing was ever exported
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
    reason = FORCED if prune.refused else f"{done} removed"
    store.record(Entry(event="pruned", dataset=prune.dataset, reason=reason))
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
    times = _times(store, dataset, now)
    if not times:
        return ""
    newest = times[-1]
    if now < newest - CLOCK_SKEW:
        return (
            f"the clock says {now:%Y-%m-%d %H:%M} UTC, which is before the newest entry of the "
            f"ledger, {newest:%Y-%m-%d %H:%M} UTC"
        )
    for earlier, later in pairwise([*times, now]):
        if later - earlier > MAX_SILENCE:
            days = (later - earlier).days
            if later == now:
                return (
                    f"the clock says {now:%Y-%m-%d}, which is {days} days after the newest entry "
                    f"of the ledger, {newest:%Y-%m-%d}. The clock may be wrong"
                )
            return (
                f"two entries of the ledger are {days} days apart, {earlier:%Y-%m-%d} and "
                f"{later:%Y-%m-%d}. The clock may have been wrong"
            )
    return ""


def _times(store: Store, dataset: str, now: dt.datetime) -> list[dt.datetime]:
    """Times of the ledger, in order, since an operator last said that the clock is right.

    For a dataset without a ledger, the times of its exports.
    """
    own = store.entries(dataset, None)
    # An `adopted` entry of the dataset is as old as the upgrade, not as an export.
    times = [entry.at for entry in own if entry.event != "adopted"]
    for day in store.recorded_days(dataset):
        times += [entry.at for entry in store.entries(dataset, day)]
    if not times:
        manifests = (
            Manifest.if_readable(store.read_manifest(dataset, day))
            for day in store.published_days(dataset)
        )
        times = [manifest.export_timestamp for manifest in manifests if manifest]
    if forced := [e.at for e in own if e.event == "pruned" and e.reason == FORCED]:
        last = forced[-1]
        # Later entries may have been written while the clock was wrong.
        times = [time for time in times if last <= time <= now] or [last]
    return sorted(times)


def _too_many(store: Store, dataset: Dataset, found: Sequence[Removal | Replaced]) -> str:
    name = dataset.name
    removals = [each for each in found if isinstance(each, Removal)]
    kinds = {
        "published days": (
            sum(removal.what == "day" for removal in removals), len(store.published_days(name)),
        ),
        "days with rejected rows": (
            sum(removal.what == "quarantine" for removal in removals),
            len(store.quarantined_days(name)),
        ),
        "replaced exports": (
            len(found) - len(removals), len(store.replaced_exports(name)),
        ),
    }  # fmt: skip
    for kind, (removed, there) in kinds.items():
        if removed > MAX_REMOVED_DAYS and 100 * removed > MAX_REMOVED_PCT * there:
            return (
                f"it would remove {removed} of {there} {kind}, more than {MAX_REMOVED_DAYS} and "
                f"{MAX_REMOVED_PCT} %"
            )
    return ""
