"""The ledger's entry of a day that was published before there was a ledger."""

from __future__ import annotations

from typing import Any

from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.publication import generation_of


def adopted_entry(dataset: str, day: str, data: bytes) -> Entry:
    """The entry of a day, from the bytes of its manifest, which may be damaged."""
    manifest = Manifest.if_readable(data)
    # Its age counts from the export, not from the upgrade.
    at: dict[str, Any] = {"at": manifest.export_timestamp} if manifest else {}
    return Entry(
        event="adopted",
        dataset=dataset,
        day=day,
        generation=generation_of(data),
        data_version=manifest.data_version if manifest else None,
        rows=manifest.record_count if manifest else None,
        source_rows=manifest.counts.read if manifest else None,
        baseline_rows=manifest.counts.read if manifest else None,
        run=manifest.run.run_id if manifest else None,
        **at,
    )
