"""Finds and removes what a dataset's `retention` no longer keeps.

`plan` changes nothing. `remove` removes one entry of a plan, unless the day was published again
in the meantime.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from exporter_pipelines.contracts.changes import CHANGES_FILE
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.contracts.retention import Part, Removed, RetentionConfig, Tombstone
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.changes import changes_file, write_changes


@dataclass(frozen=True)
class Removal:
    """A part of a day that `retention` no longer keeps.

    Attributes:
        generation: Of the day when it was planned; None when it was not published.
        size_bytes: Size of the files to remove.
        reason: The setting that requires it.
        record_count: Rows of the day; None for a quarantine, or when its manifest is damaged.
    """

    dataset: str
    day: str
    what: Part
    generation: str | None
    size_bytes: int
    reason: str
    record_count: int | None = None


def plan(store: Store, dataset: Dataset, today: dt.date) -> list[Removal]:
    """The parts to remove, oldest day first; empty for a dataset without `retention`.

    Args:
        store: The exports.
        dataset: Whose exports to look at.
        today: Today's date in EXPORTER_TIMEZONE.
    """
    config = dataset.config.retention
    if config is None:
        return []
    days = list(_days_to_remove(store, dataset.name, config, today))
    quarantines = _quarantines_to_remove(
        store, dataset.name, config, today, {removal.day for removal in days}
    )
    return sorted(
        [*days, *quarantines],
        # Rejected rows are removed before their day: no quarantine outlives its manifest.
        key=lambda removal: (removal.day, removal.what == "day"),
    )


def remove(store: Store, removal: Removal) -> bool:
    """Remove one part of a day, and leave a tombstone.

    Returns:
        False when nothing was removed: the day was published again, or is already gone.

    Raises:
        OutputUnavailableError: the folder cannot be written, or another process holds the day.
    """
    entry = Entry(
        event="removing",
        dataset=removal.dataset,
        day=removal.day,
        part=removal.what,
        generation=removal.generation,
        rows=removal.record_count,
        reason=removal.reason,
    )

    def changes() -> dict[str, bytes]:
        if removal.what != "day":
            return {}
        return {CHANGES_FILE: changes_file(store, removal.dataset, removal.day, entry)}

    done = store.remove(
        entry,
        tombstone=lambda earlier, published: _tombstone(removal, earlier, published).to_json(),
        dataset_files=changes,
    )
    if not done and removal.what == "day":
        # The day was published again: a bucket may already say that it was removed.
        write_changes(store, removal.dataset, removal.day)
    return done


def read_tombstone(store: Store, dataset: str, day: str) -> Tombstone | None:
    """What was removed from a day; None when nothing was, or the tombstone is damaged."""
    return _parsed(store.read_tombstone(dataset, day))


def day_removed(store: Store, dataset: str, day: str) -> Removed | None:
    """The newest removal of a day itself; None when it was never removed."""
    tombstone = read_tombstone(store, dataset, day)
    days = [entry for entry in tombstone.removed if entry.what == "day"] if tombstone else []
    return days[-1] if days else None


def _days_to_remove(
    store: Store, dataset: str, config: RetentionConfig, today: dt.date
) -> Iterator[Removal]:
    days = store.published_days(dataset)
    first_kept = _first_kept(today, config.keep_days)
    for day in days[: -config.keep_at_least]:
        if day < first_kept:
            published = store.read_manifest(dataset, day)
            manifest = Manifest.if_readable(published)
            yield Removal(
                dataset,
                day,
                "day",
                generation_of(published),
                store.size_of(dataset, day, "day"),
                f"keep_days: {config.keep_days}",
                manifest.record_count if manifest else None,
            )


def _quarantines_to_remove(
    store: Store, dataset: str, config: RetentionConfig, today: dt.date, removed_days: set[str]
) -> Iterator[Removal]:
    """Quarantines past their own limit, and those of removed days: they contain their rows."""
    keep = min(config.keep_quarantine_days or config.keep_days, config.keep_days)
    first_kept = _first_kept(today, keep)
    published = set(store.published_days(dataset))
    for day in store.quarantined_days(dataset):
        # A day that is kept keeps its rejected rows, unless they have their own limit.
        kept = config.keep_quarantine_days is None and day in published - removed_days
        if day in removed_days or (day < first_kept and not kept):
            name = "keep_quarantine_days" if keep < config.keep_days else "keep_days"
            yield Removal(
                dataset,
                day,
                "quarantine",
                generation_of(store.read_manifest(dataset, day)),
                store.size_of(dataset, day, "quarantine"),
                f"{name}: {keep}",
            )


def _first_kept(today: dt.date, days: int) -> str:
    return (today - dt.timedelta(days=days - 1)).isoformat()


def _tombstone(removal: Removal, earlier: bytes | None, published: bytes | None) -> Tombstone:
    """The tombstone of a day with one more removal."""
    manifest, before = Manifest.if_readable(published), _parsed(earlier)
    entry = Removed(
        what=removal.what,
        removed_at=dt.datetime.now(dt.UTC),
        reason=removal.reason,
        size_bytes=removal.size_bytes,
        record_count=removal.record_count,
        data_version=manifest.data_version if manifest else None,
        export_timestamp=manifest.export_timestamp if manifest else None,
    )
    return Tombstone(
        dataset=removal.dataset,
        partition=removal.day,
        removed=[*(before.removed if before else []), entry],
    )


def _parsed(tombstone: bytes | None) -> Tombstone | None:
    try:
        return Tombstone.model_validate_json(tombstone) if tombstone is not None else None
    except ValidationError:
        return None
