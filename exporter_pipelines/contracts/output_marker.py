"""The marker of an output folder or bucket, which identifies it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class OutputMarker(BaseModel):
    """The content of `.exporter-output.json`.

    Attributes:
        id: Unique; stays the same when the output is moved or restored.
        salt: For hashes in the ledger, so that they cannot be compared between outputs.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    salt: str
