"""What the ledger says about a day, together with the export that is there."""

from __future__ import annotations

from dataclasses import replace

from exporter_pipelines.contracts.ledger import DayRecord, Entry
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.contracts.store import Store


def day_record(store: Store, dataset: str, day: str) -> DayRecord:
    """The record of a day.

    An export that the ledger does not expect, such as one from a backup, counts as adopted: it must
    not be replaced as if nothing were there.
    """
    data = store.read_manifest(dataset, day)
    generation = generation_of(data)
    record = DayRecord.of(store.entries(dataset, day), generation)
    if data is None or record.expected == generation:
        return record
    manifest = Manifest.if_readable(data)
    before = record.published
    rows = manifest.counts.read if manifest else None
    baseline = before.baseline_rows if before else None
    if rows is not None:
        baseline = max(rows, baseline or 0)
    found = Entry(
        event="adopted",
        dataset=dataset,
        day=day,
        generation=generation,
        data_version=manifest.data_version if manifest else None,
        source_rows=rows,
        baseline_rows=baseline,
        gone_rows=before.gone_rows if before else 0,
        moved_rows=before.moved_rows if before else 0,
        source=before.source if before else None,
    )
    return replace(record, published=found)
