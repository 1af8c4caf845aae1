"""Writes `_changes.jsonl`, and finds out why a day has another content than before."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from pydantic import ValidationError

from exporter_pipelines.contracts.changes import CHANGES_FILE, Change, Reason, changes_of
from exporter_pipelines.contracts.dataset_config import content_of
from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.manifest import Manifest, same_pseudonyms
from exporter_pipelines.contracts.store import Store


def changes_file(store: Store, dataset: str, day: str, pending: Entry | None = None) -> bytes:
    """The new content of the file once a day was published or removed.

    Only this day is derived again; all days are, if the file is missing or damaged.

    Args:
        store: Has the ledger and the file.
        dataset: Its name.
        day: The day.
        pending: Entry of the step that is being taken; the ledger may have it already.
    """
    known = _parsed(store.read_dataset_file(dataset, CHANGES_FILE))
    days = {day} if known is not None else {day, *store.recorded_days(dataset)}
    found = [change for change in known or () if change.day not in days]
    for each in days:
        found += _derived(store, dataset, each, pending if each == day else None)
    found.sort(key=lambda change: (change.at, change.day))
    return b"".join(change.to_line() for change in found)


def write_changes(store: Store, dataset: str, day: str) -> None:
    """Bring the file up to date after a day was not removed."""
    store.write_dataset_files(dataset, lambda: {CHANGES_FILE: changes_file(store, dataset, day)})


def reason_of(before: Manifest | None, after: Manifest, *, source_is_unchanged: bool) -> Reason:
    """Why an export has another content than the one before.

    Args:
        before: Of the export that is replaced; None if there is none that can be read.
        after: Of the new one.
        source_is_unchanged: Whether the source is known to have the same rows.
    """
    if before is None:
        return "first_export"
    if {each.request for each in after.erasure} - {each.request for each in before.erasure}:
        return "erasure"
    if not same_pseudonyms(before.privacy, after.privacy):
        return "privacy_policy"
    if content_of(before.export_config) != content_of(after.export_config):
        return "settings"
    return "definition" if source_is_unchanged else "late_data"


def _derived(store: Store, dataset: str, day: str, pending: Entry | None) -> Iterable[Change]:
    entries = list(store.entries(dataset, day))
    if pending is not None and all(each.entry != pending.entry for each in entries):
        entries.append(pending)
    return changes_of(entries)


def _parsed(data: bytes | None) -> list[Change] | None:
    """The lines of a file; None when it is absent or damaged."""
    if data is None:
        return None
    with suppress(ValidationError):
        return [Change.model_validate_json(line) for line in data.splitlines() if line]
    return None
