"""Making a day visible, once, whole, and only if nobody else did meanwhile.

In one lock per day: compare the published generation with the one this run started from, move
the quarantine into place, switch the day's folder, remove quarantines that nothing names.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from pathlib import Path

from exporter_pipelines import __version__
from exporter_pipelines.contracts.manifest import (
    MANIFEST_NAME,
    ColumnSchema,
    Counts,
    Manifest,
    RuleResult,
    Run,
    Source,
    Validation,
    Window,
)
from exporter_pipelines.contracts.manifest import Quarantine as QuarantineEntry
from exporter_pipelines.contracts.staged_day import FileFacts, StagedDay
from exporter_pipelines.errors import OutputUnavailableError, SupersededError
from exporter_pipelines.stores.local import LocalStaging

_READ_BYTES = 1024 * 1024


def publish(staged: StagedDay) -> Manifest:
    """Replace the published day, or find that it already has this content.

    Returns:
        The manifest of the day as it is now published.

    Raises:
        SupersededError: another run published other content since this one began.
        OutputUnavailableError: the disk refused, or gave back other bytes than were written.
    """
    staging = _local(staged)
    _verify(staged, staging)
    manifest = build_manifest(staged)
    file = staging.create(MANIFEST_NAME)
    file.write(manifest.to_json())
    file.close()
    store = staging.store
    with store.exclusive(staging):
        current = _current(staging)
        if store.generation(staging.dataset, staging.day) != staging.base:
            return _superseded(staged, current)
        if staged.quarantine:
            store.keep_quarantine(staging, staged.quarantine.name, _quarantine_path(current))
        store.switch(staging)
        named = {Path(manifest.quarantine.path).name} if manifest.quarantine else set()
        store.reap_quarantine(staging, named)
    return manifest


def hold(staged: StagedDay) -> Path | None:
    """Keep a held day's quarantine; what is published stays as it is.

    Returns:
        Where the rejected rows lie; None when the day is held for another reason.
    """
    staging = _local(staged)
    if staged.quarantine is None:
        return None
    with staging.store.exclusive(staging):
        published = _quarantine_path(_current(staging))
        staging.store.keep_quarantine(staging, staged.quarantine.name, published)
    folder = staging.store.quarantine_folder(staging.dataset, staging.day)
    return folder / staged.quarantine.name


def build_manifest(staged: StagedDay) -> Manifest:
    """Describe a staged day as it will be published now."""
    tally, config, window = staged.tally, staged.dataset.config, staged.window
    failures = [
        RuleResult(rule=rule, column=column, failed=failed)
        for (rule, column), failed in tally.failures.items()
    ]
    return Manifest(
        dataset=staged.dataset.name,
        partition=window.day,
        window=Window(start=window.start, end=window.end, timezone=window.timezone),
        export_timestamp=dt.datetime.now(dt.UTC),
        data_version=staged.data_version,
        record_count=tally.rows_exported,
        file_size=sum(file.size_bytes for file in staged.files),
        files=list(staged.files),
        counts=Counts(
            read=tally.rows_read,
            exported=tally.rows_exported,
            rejected=tally.rows_rejected,
            filtered=tally.rows_filtered.total(),
        ),
        quarantine=_quarantine_entry(staged),
        data_quality_metrics=tally.quality_metrics(),
        validation=Validation(level=config.validation, rules=failures),
        transformations=list(staged.transformations),
        columns=[
            ColumnSchema(
                name=column.name,
                type="json" if column.is_json else str(column.type),
                nullable=column.nullable,
            )
            for column in staged.schema.columns
        ],
        export_config=config.model_dump(mode="json", by_alias=True),
        source=Source(**vars(staged.source)),
        run=Run(
            run_id=staged.run_id,
            code_version=__version__,
            started_at=staged.started_at,
            duration_s=staged.duration_s,
        ),
    )


def _quarantine_entry(staged: StagedDay) -> QuarantineEntry | None:
    if staged.quarantine is None:
        return None
    return QuarantineEntry(
        path=f"quarantine/date={staged.window.day}/{staged.quarantine.name}",
        record_count=staged.tally.rows_rejected,
        sha256=staged.quarantine.sha256,
    )


def _local(staged: StagedDay) -> LocalStaging:
    if not isinstance(staged.staging, LocalStaging):
        raise TypeError(f"cannot publish from {type(staged.staging).__name__}")
    return staged.staging


def _current(staging: LocalStaging) -> Manifest | None:
    data = staging.store.read_manifest(staging.dataset, staging.day)
    return None if data is None else Manifest.from_json(data)


def _quarantine_path(manifest: Manifest | None) -> str | None:
    return manifest.quarantine.path if manifest and manifest.quarantine else None


def _superseded(staged: StagedDay, current: Manifest | None) -> Manifest:
    day = f"{staged.dataset.name} {staged.window.day}"
    if current is None:
        raise SupersededError(
            f"{day} was removed while this run was exporting it.", "Run it again if it is wanted."
        )
    if current.data_version != staged.data_version:
        raise SupersededError(
            f"{day} was published with other content by run {current.run.run_id} while this run "
            "was exporting it.",
            "That export stays; run the day again if it should be newer.",
        )
    return current


def _verify(staged: StagedDay, staging: LocalStaging) -> None:
    """Read the staged files back: what is published is what was written."""
    expected = [FileFacts(file.path, file.size_bytes, file.sha256) for file in staged.files]
    for facts in (*expected, *([staged.quarantine] if staged.quarantine else [])):
        size, digest = 0, hashlib.sha256()
        with os.fdopen(staging.open(facts.name), "rb") as file:
            while chunk := file.read(_READ_BYTES):
                size += len(chunk)
                digest.update(chunk)
        if (size, digest.hexdigest()) != (facts.size_bytes, facts.sha256):
            raise OutputUnavailableError(
                f"{facts.name} reads back as {size} bytes with another hash than the "
                f"{facts.size_bytes} bytes that were written.",
                "The disk is not reliable; the published export was not touched.",
            )
