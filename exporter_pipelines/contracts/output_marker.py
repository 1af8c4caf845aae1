"""The marker of an output folder or bucket, which identifies it."""

from __future__ import annotations

import secrets
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from exporter_pipelines.errors import OutputUnavailableError


class OutputMarker(BaseModel):
    """The content of `.exporter-output.json`.

    Attributes:
        id: Unique; stays the same when the output is moved or restored.
        salt: For hashes in the ledger, so that they cannot be compared between outputs.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    salt: str

    @classmethod
    def new(cls) -> Self:
        """A marker that no other output has."""
        return cls(id=secrets.token_hex(16), salt=secrets.token_hex(16))

    @classmethod
    def read(cls, data: bytes, place: str) -> Self:
        """The marker in these bytes.

        Raises:
            OutputUnavailableError: they are damaged; names the place.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError:
            raise OutputUnavailableError(
                f"{place} is damaged.",
                "Restore it from a backup, or remove it and run `exporter output adopt`.",
            ) from None

    def to_json(self) -> bytes:
        """The bytes of the file."""
        return self.model_dump_json(indent=2).encode() + b"\n"
