"""Looks for subjects in a published day, and publishes it again without them.

The rows come from the published files, since the source may have purged them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from exporter_pipelines.contracts.changes import CHANGES_FILE
from exporter_pipelines.contracts.ledger import Entry, new_id, now
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.contracts.publication import Publication, generation_of
from exporter_pipelines.contracts.published_day import PublishedDay
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.changes import changes_file
from exporter_pipelines.engine.day_record import day_record
from exporter_pipelines.engine.erase_rejected import quarantined
from exporter_pipelines.engine.load import decoded, row_schema
from exporter_pipelines.engine.rewritten_day import RewrittenDay
from exporter_pipelines.engine.verified_files import verified_files
from exporter_pipelines.errors import PublishedDayDamagedError
from exporter_pipelines.privacy.erasing import Erased, Erasing


@dataclass
class DaySearch:
    """What a day has of the subjects.

    Attributes:
        exported: In the data files.
        rejected: In the rejected rows; they are removed as a whole.
    """

    exported: Erased = field(default_factory=Erased)
    rejected: Erased = field(default_factory=Erased)

    def __bool__(self) -> bool:
        return bool(self.exported) or bool(self.rejected)


def search_day(
    store: Store, day: PublishedDay, manifest: Manifest, erasing: Erasing, *, rejected: bool = True
) -> DaySearch:
    """Look for subjects in a published day, or in a replaced export; changes nothing.

    Args:
        store: Has the rejected rows.
        day: Closed by this function.
        manifest: Of this export.
        erasing: Finds the subjects.
        rejected: Whether to search its rejected rows as well.

    Raises:
        PublishedDayDamagedError: a file is not what the manifest says.
        OutputUnavailableError: a file may not be read.
    """
    found, schema = DaySearch(), row_schema(manifest)
    files = verified_files(day, manifest)
    try:
        for entry, file in files:
            for batch in decoded(file, entry, schema):
                erasing.erase(batch, schema, found.exported)
    finally:
        files.close()
    if rejected and manifest.quarantine:
        with suppress(FileNotFoundError):  # retention may remove them before their day
            for _ in quarantined(store, manifest, erasing, found.rejected):
                pass
    return found


def rewrite_day(
    store: Store, dataset: str, day: str, erasing: Erasing, request: str, at: dt.datetime
) -> DaySearch:
    """Publish a day without the subjects.

    If the process dies, the old export or the new one is published; running it again finishes.

    Args:
        store: Where the day is published.
        dataset, day: The day.
        erasing: Finds the subjects.
        request: Id of the request.
        at: When it was recorded.

    Raises:
        GenerationChangedError: another run published the day in the meantime.
        PublishedDayDamagedError, OutputUnavailableError: as for `search_day`.
    """
    with store.begin(dataset, day) as staging:
        data = store.read_manifest(dataset, day)
        manifest = Manifest.from_json(data or b"")
        rewritten = RewrittenDay(store, manifest, staging, erasing)
        rewritten.write(store.published_day(dataset, day))
        new = rewritten.manifest(request, at)
        if Manifest.if_readable(new.to_json()) is None:
            raise PublishedDayDamagedError(
                f"{MANIFEST_NAME} of {dataset} {day} does not add up with its files.",
                "Export the day again.",
            )
        record = day_record(store, dataset, day)
        entry = _ledger_entry(record.published, new, request)
        publication = Publication(
            manifest=new.to_json(),
            entry=entry,
            quarantine=rewritten.quarantine_name,
            dataset_files=lambda: {CHANGES_FILE: changes_file(store, dataset, day, entry)},
            fingerprint=store.read_fingerprint(dataset, day, generation_of(data)),
            drop_replaced=True,
        )
        store.switch(staging, publication)
    # A hold, or the decision to keep the day, concerns the source and not the export.
    for last in (record.last_hold, _kept(record.entries)):
        if last is not None:
            store.record(last.model_copy(update={"entry": new_id(), "at": now()}))
    return DaySearch(rewritten.exported, rewritten.rejected)


def _ledger_entry(before: Entry | None, manifest: Manifest, request: str) -> Entry:
    """An entry like that of the export before: the rows of the source are the same."""
    rows = manifest.counts.read
    known = before or Entry(
        event="published", dataset=manifest.dataset, source_rows=rows, baseline_rows=rows
    )
    return known.model_copy(
        update={
            "entry": new_id(),
            "event": "published",
            "at": now(),
            "day": manifest.partition,
            "generation": None,
            "replaces": None,
            "kept_as": None,
            "data_version": manifest.data_version,
            "rows": manifest.record_count,
            "run": manifest.run.run_id,
            "reason": f"erasure: {request}",
        }
    )


def _kept(entries: Sequence[Entry]) -> Entry | None:
    """The decision to keep the export, if it is the newest event of the day."""
    last = entries[-1] if entries else None
    return last if last is not None and last.event == "kept" else None
