"""`_changes.jsonl` of a dataset: which days have another content than before, and why.

It lists the days that consumers have to read again. It is derived from the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from exporter_pipelines.contracts.checked_values import Moment, Number
from exporter_pipelines.contracts.ledger import Entry

CHANGES_FILE = "_changes.jsonl"

Reason = Literal[
    "first_export",
    "late_data",
    "erasure",
    "prune",
    "privacy_policy",
    "settings",
    "definition",
    "not_recorded",
]

_BEGUN = ("publishing", "removing")
_STEPS = (*_BEGUN, "published", "removed")


class Change(BaseModel):
    """One line: a day that has another content since this moment."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    day: str = Field(description="The day.", examples=["2026-11-01"])
    at: Moment = Field(
        description="When it was published or removed, UTC.", examples=["2026-11-02T02:15:04Z"]
    )
    reason: Reason = Field(description="Why.", examples=["late_data"])
    data_version: str | None = Field(
        description="As in its manifest; null for a day that was removed.",
        examples=["b94d27b9934d3e08..."],
    )
    previous_data_version: str | None = Field(
        description="Of the export before; null for a first one.", examples=["2c26b46b68ffc68f..."]
    )
    rows: Number | None = Field(description="Exported rows; null if unknown.", examples=[1987])

    def to_line(self) -> bytes:
        """As one line of JSON, with its line break."""
        return self.model_dump_json().encode() + b"\n"


def changes_of(entries: Sequence[Entry]) -> Iterator[Change]:
    """The changes of one day.

    A step that was begun last counts, since it may be completed at any moment: a consumer may be
    reported too early, but never too late.

    Args:
        entries: Of the day in the ledger, oldest first.
    """
    version: str | None = None
    for number, entry in enumerate(entries):
        begun = entry.event in _BEGUN and not any(e.event in _STEPS for e in entries[number + 1 :])
        if entry.event in ("published", "adopted") or (begun and entry.event == "publishing"):
            if entry.data_version != version:
                reason = _reason(entry, is_first=version is None)
                yield _change(entry, reason, entry.data_version, version)
            version = entry.data_version
        elif entry.part == "day" and (begun or entry.event == "removed"):
            yield _change(entry, "prune", None, version)
            version = None


def _reason(entry: Entry, *, is_first: bool) -> Reason:
    if is_first:
        return "first_export"
    stated = (entry.reason or "").partition(":")[0]
    found = [reason for reason in get_args(Reason) if reason == stated]
    return found[0] if found else "not_recorded"


def _change(entry: Entry, reason: Reason, version: str | None, before: str | None) -> Change:
    return Change(
        day=entry.day or "",
        at=entry.at,
        reason=reason,
        data_version=version,
        previous_data_version=before,
        rows=entry.rows if version else None,
    )
