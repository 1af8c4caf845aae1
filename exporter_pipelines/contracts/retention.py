"""How long exports stay, and what a tombstone says of those that were removed."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from exporter_pipelines.contracts.strict import Strict

Part = Literal["day", "quarantine"]
"""What of a day can be removed: its data with the manifest, or its rejected rows."""


class RetentionConfig(Strict):
    """What `exporter prune` may remove; without it nothing of a dataset ever is."""

    keep_days: int = Field(
        ge=1,
        description="Days to keep, today among them, by the date of the day and not of its export.",
    )
    keep_at_least: int = Field(
        7, ge=1, description="So many of the newest published days stay, however old they are."
    )
    keep_quarantine_days: int | None = Field(
        None,
        ge=1,
        description="The same for rejected rows, which may go earlier than the day; null for as "
        "long as `keep_days`.",
    )


class Removed(BaseModel):
    """One thing that was removed from a day."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    what: Part = Field(description="`day`: data and manifest. `quarantine`: the rejected rows.")
    removed_at: dt.datetime = Field(description="When, in UTC.")
    reason: str = Field(description="The rule that said so.")
    size_bytes: int = Field(description="Bytes of the files that went.")
    record_count: int | None = Field(None, description="Rows of the day, as its manifest said.")
    data_version: str | None = Field(None, description="Of the day, as its manifest said.")
    export_timestamp: dt.datetime | None = Field(None, description="When it had been published.")


class Tombstone(BaseModel):
    """`<dataset>/removed/date=<day>.json`: what is no longer there, and why."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    dataset: str
    partition: str
    removed: list[Removed] = Field(description="Oldest first.")

    def to_json(self) -> bytes:
        """The file's bytes."""
        return (self.model_dump_json(indent=2, exclude_none=True) + "\n").encode()

    def covers(self, what: Part, published_at: dt.datetime) -> bool:
        """Whether something that was published then has been removed since."""
        return any(r.what == what and r.removed_at >= published_at for r in self.removed)
