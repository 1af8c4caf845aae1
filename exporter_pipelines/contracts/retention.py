"""How long exports are kept, and the tombstone that records what was removed."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from exporter_pipelines.contracts.checked_values import Moment, Number
from exporter_pipelines.contracts.strict import Strict

Part = Literal["day", "quarantine"]
"""The removable parts of a day: its data with the manifest, or its rejected rows."""


class RetentionConfig(Strict):
    """What `exporter prune` may remove; a dataset without it keeps everything."""

    keep_days: int = Field(
        ge=1,
        description="Number of days to keep, including today. The date of the day counts, not the "
        "date of its export.",
    )
    keep_at_least: int = Field(
        7, ge=1, description="Number of newest published days to keep, however old they are."
    )
    keep_quarantine_days: int | None = Field(
        None,
        ge=1,
        description="Number of days to keep rejected rows, which may be removed before their day; "
        "null for `keep_days`.",
    )


class Removed(BaseModel):
    """One thing that was removed from a day."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    what: Part = Field(description="`day`: data and manifest. `quarantine`: the rejected rows.")
    removed_at: Moment = Field(description="When, in UTC.")
    reason: str = Field(description="The setting that required it.")
    size_bytes: Number = Field(description="Bytes of the removed files.")
    record_count: Number | None = Field(None, description="Rows of the day, from its manifest.")
    data_version: str | None = Field(None, description="Version of the data, from the manifest.")
    export_timestamp: Moment | None = Field(None, description="When the day was published.")


class Tombstone(BaseModel):
    """`<dataset>/removed/date=<day>.json`: what was removed from a day, when and why."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    dataset: str
    partition: str
    removed: list[Removed] = Field(description="Oldest first.")

    def to_json(self) -> bytes:
        """The file's bytes."""
        return (self.model_dump_json(indent=2, exclude_none=True) + "\n").encode()

    def covers(self, what: Part, published_at: dt.datetime) -> bool:
        """Whether a part that was published at this time was removed afterwards."""
        return any(r.what == what and r.removed_at >= published_at for r in self.removed)
