"""The base of every model that a user fills in from a `defs.yaml`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen, and refuses settings that it does not know."""

    # hide_input_in_errors: a pasted password must not come back in a validation message.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True
    )
