"""The object that identifies an output; it is created once, after the bucket was tested."""

from __future__ import annotations

from exporter_pipelines.contracts.output_marker import OutputMarker
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects.bucket import Bucket
from exporter_pipelines.stores.objects.conditions import check_conditions


def read_marker(bucket: Bucket) -> OutputMarker | None:
    """The marker of an output; None when it has none.

    Raises:
        OutputUnavailableError: it cannot be read, or is damaged.
    """
    found = bucket.read(layout.MARKER)
    if found is None:
        return None
    return OutputMarker.read(found.content, bucket.location.uri(layout.MARKER))


def create_marker(bucket: Bucket) -> OutputMarker:
    """The marker of an output, which is created if there is none.

    Raises:
        OutputUnavailableError: it cannot be written, or is damaged.
        ConfigurationError: the bucket ignores conditions, so nothing can be published safely.
    """
    if marker := read_marker(bucket):
        return marker
    check_conditions(bucket)
    new = OutputMarker.new()
    if bucket.create(layout.MARKER, new.to_json()):
        return new
    return read_marker(bucket) or new  # another process was faster
