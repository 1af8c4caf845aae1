"""The ledger: one entry for each event that changed, or should have changed, a published day.

It is kept in the output folder, outside of the datasets' folders, and does not depend on Dagster's
history. `exporter verify` compares it with the published days, and the check `no_lost_rows` takes
from it how many rows a day once had.

Belongs here: the fields of an entry, and what a list of entries says about a day.
Does not belong here: storing entries; each store does that (`contracts.store.Store.record`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from exporter_pipelines.contracts.checked_values import Moment, Number
from exporter_pipelines.contracts.erasure import ErasedSubject
from exporter_pipelines.contracts.retention import Part

Event = Literal[
    "adopted",
    "publishing",
    "published",
    "held",
    "kept",
    "removing",
    "removed",
    "source",
    "source_changed",
    "pruned",
    "erased",
]

EVENTS: dict[Event, str] = {
    "adopted": "A day that was published before there was a ledger. Without a day: the days of the "
    "dataset were adopted.",
    "publishing": "A day is about to be replaced. If no `published` follows, the run was killed: "
    "the day was replaced if its generation is the published one.",
    "published": "A day was published, or replaced an earlier export.",
    "held": "A day was not published; an earlier export stays.",
    "kept": "An operator decided to keep the export of a held day.",
    "removing": "A part of a day is about to be removed, as for `publishing`.",
    "removed": "A part of a day was removed.",
    "source": "The database that the dataset is exported from, at the first export or accepted by "
    "an operator.",
    "source_changed": "A report that the dataset is now exported from another database.",
    "pruned": "A run of `exporter prune` or `prune_job`, also one that removed nothing.",
    "erased": "Subjects that must be in no export of the dataset from now on (`exporter erase`).",
}


_ID_DIGITS = 16


def new_id() -> str:
    """A unique id of an entry."""
    return secrets.token_hex(_ID_DIGITS // 2)


def now() -> dt.datetime:
    """The time of an entry."""
    return dt.datetime.now(dt.UTC)


class Entry(BaseModel):
    """One entry. Times are UTC. No field has content of a row."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    entry: str = Field(default_factory=new_id, description="Unique.")
    event: Event = Field(description="What happened, see `EVENTS`.")
    at: Moment = Field(default_factory=now, description="When, in UTC.")
    dataset: str = Field(description="Name.")
    day: str | None = Field(None, description="`YYYY-MM-DD`; None for an event of a dataset.")
    generation: str | None = Field(
        None, description="`generation_of` the manifest that is published or removed."
    )
    replaces: str | None = Field(None, description="Generation that was published before.")
    data_version: str | None = Field(None, description="Of the export, as in its manifest.")
    rows: Number | None = Field(None, description="Exported rows.")
    source_rows: Number | None = Field(None, description="Rows of the day in the source.")
    baseline_rows: Number | None = Field(
        None,
        description="Largest `source_rows` since a loss of this day was last accepted. A later "
        "export is compared with it.",
    )
    gone_rows: Number = Field(
        0, description="Published rows that the source lost since the baseline was reached."
    )
    moved_rows: Number = Field(
        0, description="Rows that have moved to other days since the baseline was reached."
    )
    loss_accepted: bool = Field(False, description="Whether an operator accepted the loss.")
    source: str | None = Field(
        None, description="Hash of the database's identity, salted for this output folder."
    )
    sample: bool = Field(False, description="Whether the source is the embedded sample backend.")
    source_state: str | None = Field(
        None, description="`source_state` of the rows that a held day had; private."
    )
    part: Part | None = Field(None, description="What was removed.")
    kept_as: str | None = Field(
        None, description="Name of the replaced export, which had more rows and is kept."
    )
    run: str | None = Field(None, description="Dagster's run id.")
    reason: str | None = Field(
        None,
        description="Of a hold the checks, of an erasure the request, of an export how it differs "
        "from the one before (`contracts.changes.Reason`), else what required it.",
    )
    subjects: tuple[ErasedSubject, ...] = Field(
        (), description="Tombstones of subjects that were erased."
    )

    def completed(self, generation: str | None) -> bool:
        """Whether a step that was begun is visible in the export that is there now."""
        if self.event == "publishing":
            return self.generation == generation
        return self.event == "removing" and self.part == "day" and generation is None

    def done(self) -> Entry:
        """The entry that follows `publishing` or `removing` when the step is completed.

        Its id is always the same: in a bucket, a run and the one after it may both add it.
        """
        event: Event = "published" if self.event == "publishing" else "removed"
        own_id = hashlib.sha256(f"{self.entry} done".encode()).hexdigest()[:_ID_DIGITS]
        return self.model_copy(update={"event": event, "entry": own_id, "at": now()})

    def to_line(self) -> bytes:
        """The entry as one line of JSON, with its line break."""
        return self.model_dump_json(exclude_defaults=True, exclude_none=True).encode() + b"\n"


def source_state(rows: int, fingerprint: str) -> str:
    """The state of a day in the source: equal states mean that the day did not change."""
    return f"{rows}:{fingerprint}"


@dataclass(frozen=True)
class DayRecord:
    """What the ledger says about one day.

    Attributes:
        entries: Of the day, oldest first.
        published: The newest entry of an export; None when no export is expected to exist.
        unfinished: The step of a killed process that was completed, but not recorded as such.
    """

    entries: Sequence[Entry]
    published: Entry | None
    unfinished: Entry | None = None

    @classmethod
    def of(cls, entries: Sequence[Entry], generation: str | None) -> DayRecord:
        """Read the entries of a day.

        Args:
            entries: Oldest first.
            generation: Of the export that is there; it decides whether the last step of a killed
                process was completed. None when no export is there.
        """
        current: Entry | None = None
        pending: Entry | None = None
        for entry in entries:
            if entry.event in ("publishing", "removing"):
                pending = entry
            elif entry.event in ("adopted", "published"):
                current, pending = entry, None
            elif entry.event == "removed" and entry.part == "day":
                current, pending = None, None
        if pending and pending.completed(generation):
            current = pending if pending.event == "publishing" else None
            return cls(entries, current, pending)
        return cls(entries, current)

    @property
    def expected(self) -> str | None:
        """The generation that should be published."""
        return self.published.generation if self.published else None

    def has(self, generation: str) -> bool:
        """Whether a generation was ever published."""
        return any(
            entry.generation == generation
            for entry in self.entries
            if entry.event in ("adopted", "publishing", "published")
        )

    @property
    def kept_state(self) -> str | None:
        """`source_state` in which an operator keeps the export; None when it may be replaced."""
        for entry in reversed(self.entries):
            if entry.event == "kept":
                return entry.source_state
            if entry.event == "published" or (entry.event == "removed" and entry.part == "day"):
                return None
        return None

    @property
    def last_hold(self) -> Entry | None:
        """The newest hold since the day was last published; None when there is none."""
        for entry in reversed(self.entries):
            if entry.event == "held":
                return entry
            if entry.event in ("published", "adopted", "kept"):
                return None
        return None
