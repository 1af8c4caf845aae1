"""Writes `_changes.jsonl`, and finds out why a day has another content than before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

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
    data = store.read_dataset_file(dataset, CHANGES_FILE)
    own = sorted(_derived(store, dataset, day, pending), key=_order)
    place = (store.location, dataset)
    before = _returned.get(place)
    if before and before.data == data and before.is_before(day, own):
        text, newest = data + _text(own), own[-1].at if own else before.newest
        _returned[place] = _Returned(text, newest)
        return text
    found = [*own, *_of_other_days(store, dataset, day, _parsed(data))]
    found.sort(key=_order)
    text = _text(found)
    if found:
        _returned[place] = _Returned(text, found[-1].at)
    return text


@dataclass(frozen=True)
class _Returned:
    """A file that this process has returned: undamaged, and in order.

    A range of days writes the file once a day, and a day of it is usually the newest change. To
    read all lines each time took a third of the time of a small day after twenty years of days.
    """

    data: bytes
    newest: dt.datetime

    def is_before(self, day: str, changes: Sequence[Change]) -> bool:
        """Whether the changes of a day follow all lines, none of which is of this day."""
        is_new = f'"day":"{day}"'.encode() not in self.data
        return is_new and all(change.at > self.newest for change in changes)


_returned: dict[tuple[str, str], _Returned] = {}
"""The last file of each (output, dataset)."""


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


def _of_other_days(
    store: Store, dataset: str, day: str, known: list[Change] | None
) -> Iterable[Change]:
    if known is not None:
        return (change for change in known if change.day != day)
    others = {*store.recorded_days(dataset)} - {day}
    return (change for each in others for change in _derived(store, dataset, each, None))


def _derived(store: Store, dataset: str, day: str, pending: Entry | None) -> list[Change]:
    """The changes of a day, oldest first."""
    entries = list(store.entries(dataset, day))
    if pending is not None and all(each.entry != pending.entry for each in entries):
        entries.append(pending)
    return [*changes_of(entries)]


def _order(change: Change) -> tuple[dt.datetime, str]:
    return change.at, change.day


def _text(changes: Iterable[Change]) -> bytes:
    return b"".join(change.to_line() for change in changes)


def _parsed(data: bytes | None) -> list[Change] | None:
    """The lines of a file; None when it is absent or damaged."""
    if data is None:
        return None
    with suppress(ValidationError):
        return [Change.model_validate_json(line) for line in data.splitlines() if line]
    return None
