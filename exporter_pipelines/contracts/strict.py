"""The base of every model that a user fills in from a `defs.yaml`, and its mistakes as text."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


def first_problem(error: ValidationError) -> tuple[str, str]:
    """(field, message) of the first problem; the field is dotted, or empty for the whole model.

    Never contains the value, which may be a secret.
    """
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


class Strict(BaseModel):
    """Frozen; refuses unknown settings."""

    # hide_input_in_errors: a pasted password must not come back in a validation message.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True
    )
