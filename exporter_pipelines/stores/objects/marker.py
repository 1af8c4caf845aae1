"""The object that identifies an output; it is created once, after the bucket was tested."""

from __future__ import annotations

import secrets

from pydantic import ValidationError

from exporter_pipelines.contracts.output_marker import OutputMarker
from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects.bucket import Bucket
from exporter_pipelines.stores.objects.conditions import check_conditions


def read_marker(bucket: Bucket) -> OutputMarker | None:
    """The marker of an output; None when it has none.

    Raises:
        OutputUnavailableError: it cannot be read, or is damaged.
    """
    found = bucket.read(layout.MARKER)
    try:
        return OutputMarker.model_validate_json(found.content) if found else None
    except ValidationError:
        raise OutputUnavailableError(
            f"{bucket.location.uri(layout.MARKER)} is damaged.",
            "Restore it, or remove it and run `exporter output adopt`.",
        ) from None


def create_marker(bucket: Bucket) -> OutputMarker:
    """The marker of an output, which is created if there is none.

    Raises:
        OutputUnavailableError: it cannot be written, or is damaged.
        ConfigurationError: the bucket ignores conditions, so nothing can be published safely.
    """
    if marker := read_marker(bucket):
        return marker
    check_conditions(bucket)
    new = OutputMarker(id=secrets.token_hex(16), salt=secrets.token_hex(16))
    if bucket.create(layout.MARKER, new.model_dump_json(indent=2).encode() + b"\n"):
        return new
    return read_marker(bucket) or new  # another process was faster
