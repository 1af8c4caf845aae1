"""Compares the published days with the ledger: which ones are missing, older or unknown.

The ledger decides which days should be there. Dagster's history does not: an export through `api`
is in no history, and a history can be lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from exporter_pipelines.contracts.ledger import DayRecord, Entry
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.verification.report import VerifyReport

_TRIES = 100
"""Maximum number of attempts for a day that is replaced while it is compared."""

_RESTORE = "Restore it from a backup (docs/archive.md), or export the day again."


def missing_days(store: Store, dataset: str, published: Collection[str]) -> Iterator[str]:
    """Days that should be published according to the ledger, but have no folder."""
    if not store.may_read_ledger(dataset):
        return
    there = set(published)
    for day in store.recorded_days(dataset):
        if day not in there and _record(store, dataset, day)[0].published:
            yield day


def verify_begun(store: Store, dataset: str, report: VerifyReport, *, has_days: bool) -> None:
    """Add a warning for a dataset with days and no ledger, or one that may not be read."""
    path = store.ledger_path(dataset, None)
    if not store.may_read_ledger(dataset):
        message = "may not be read by this user, so the days were not compared with the ledger"
        report.add("ledger_missing", path, message, "Run it as the user who exports.", level="warn")
    elif has_days and not store.has_ledger(dataset):
        message = "does not exist, so missing days cannot be noticed"
        report.add("ledger_missing", path, message, "The next export begins it.", level="warn")


def verify_recorded(store: Store, dataset: str, day: str, report: VerifyReport) -> None:
    """Compare one day with its entries in the ledger.

    Usually the ledger expects the generation that was read already (`report.generation`). Otherwise
    both are read again, because a run may have published the day in the meantime.
    """
    if not store.may_read_ledger(dataset):
        return  # `verify_begun` reports it once for the dataset
    try:
        entries, damaged = store.read_ledger(dataset, day)
        record, generation = DayRecord.of(entries, report.generation), report.generation
        if record.expected != generation or generation is None:
            record, generation, damaged = _settled(store, dataset, day)
    except OutputUnavailableError as error:
        hint = error.hint or "Give this user permission."
        report.add("unreadable", store.ledger_path(dataset, day), "cannot be read", hint)
        return
    if damaged:
        path, lines = store.ledger_path(dataset, day), f"{damaged} lines that are not entries"
        message = f"has {lines}; a write was interrupted, or the file was changed"
        report.add("ledger_damaged", path, message, "", level="warn")
    folder, expected = layout.day_path(dataset, day), record.published
    if generation is None and expected:
        report.add("day_missing", folder, f"is missing: {_described(expected)}", _RESTORE)
    elif generation and not record.entries and not store.has_ledger(dataset):
        return  # `verify_begun` reports it once for the dataset
    elif generation and generation != record.expected:
        _add_other(record, generation, folder, report)


def _add_other(record: DayRecord, generation: str, folder: str, report: VerifyReport) -> None:
    """Report a published generation that is not the newest one of the ledger."""
    if record.has(generation):
        newest = _described(record.published) if record.published else "it was removed later"
        message = f"has an older export than the last one that was published: {newest}"
        report.add("day_older", folder, message, _RESTORE)
    else:
        message = "has an export that is not in the ledger of this output folder"
        report.add("day_unknown", folder, message)


def _settled(store: Store, dataset: str, day: str) -> tuple[DayRecord, str | None, int]:
    """The record of a day, its generation and the damaged lines, all of the same moment."""
    found = _record(store, dataset, day)
    for _ in range(_TRIES):
        record, generation, _ = found
        if record.expected == generation:
            break
        again = _record(store, dataset, day)
        if again == found:
            break  # no run is publishing it, so this is what a finding reports
        found = again
    return found


def _record(store: Store, dataset: str, day: str) -> tuple[DayRecord, str | None, int]:
    generation = store.generation(dataset, day)
    entries, damaged = store.read_ledger(dataset, day)
    return DayRecord.of(entries, generation), generation, damaged


def _described(entry: Entry) -> str:
    rows = "" if entry.rows is None else f" with {entry.rows:,} rows"
    return f"an export{rows} was published on {entry.at:%Y-%m-%d %H:%M} UTC"
