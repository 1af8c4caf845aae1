"""Making a day visible, once, whole, and only if nobody else did meanwhile.

In one lock per day: compare the published generation with the one this run started from, move
the quarantine into place, switch the day's folder, remove quarantines that nothing names. A
published manifest that cannot be read is replaced like any other.
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
from exporter_pipelines.engine.dataset_card import files_beside
from exporter_pipelines.errors import (
    ConfigurationError,
    OutputUnavailableError,
    SupersededError,
)
from exporter_pipelines.stores.local.store import LocalStaging, generation_of

_READ_BYTES = 1024 * 1024


def publish(staged: StagedDay) -> Manifest:
    """Replace the published day, or find that it already has this content.

    Returns:
        The manifest of the day as it is now published.

    Raises:
        SupersededError: another run published other content since this one began.
        OutputUnavailableError: the disk refused, or gave back other bytes than were written.
        ConfigurationError: the days beside this one are days of another time zone.
    """
    staging = _local(staged)
    _verify(staged, staging)
    manifest = build_manifest(staged)
    file = staging.create(MANIFEST_NAME)
    file.write(manifest.to_json())
    file.close()
    store, dataset, day = staging.store, staging.dataset, staging.day
    with store.exclusive(dataset, day):
        current = store.read_manifest(dataset, day)
        if generation_of(current) != staging.base:
            return _superseded(staged, current)
        _refuse_another_zone(staged, staging)
        for name, content in files_beside(staged.dataset, staged.schema).items():
            store.write_beside(staging, name, content)
        _switch(staged, staging, manifest)
        store.reap_quarantine(
            dataset, day, keep={staged.quarantine.name} if staged.quarantine else set()
        )
    return manifest


def _switch(staged: StagedDay, staging: LocalStaging, manifest: Manifest) -> None:
    """Quarantine first: whoever sees the new manifest finds what it names."""
    store, dataset, day = staging.store, staging.dataset, staging.day
    name = staged.quarantine.name if staged.quarantine else None
    try:
        if name:
            store.keep_quarantine(staging, name)
        store.switch(staging)
    except BaseException:
        # Rejected rows that no manifest names would stay until the day is run again.
        if name and store.read_manifest(dataset, day) != manifest.to_json():
            store.drop_quarantine(dataset, day, name)
        raise


def hold(staged: StagedDay) -> Path | None:
    """Keep a held day's quarantine; what is published stays as it is.

    Returns:
        Where the rejected rows lie; None when the day is held for another reason.
    """
    staging = _local(staged)
    if staged.quarantine is None:
        return None
    store, dataset, day = staging.store, staging.dataset, staging.day
    with store.exclusive(dataset, day):
        kept = store.keep_quarantine(staging, staged.quarantine.name)
        published = store.read_manifest(dataset, day)
        manifest = Manifest.if_readable(published)
        # Which one a damaged manifest names cannot be told; then all of them stay.
        if manifest or published is None:
            named = Path(manifest.quarantine.path).name if manifest and manifest.quarantine else ""
            store.reap_quarantine(dataset, day, keep={kept.name, named})
    return kept


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
            ColumnSchema.model_validate(column.described()) for column in staged.schema.columns
        ],
        export_config=config.model_dump(mode="json", by_alias=True),
        source=Source(**vars(staged.source)),
        run=Run(
            run_id=staged.run_id,
            code_version=__version__,
            started_at=staged.started_at,
            duration_s=staged.duration_s,
        ),
    ).sealed()


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


def _refuse_another_zone(staged: StagedDay, staging: LocalStaging) -> None:
    """Beside days of another zone, hours would be exported twice and others not at all."""
    date, window = dt.date.fromisoformat(staging.day), staged.window
    one = dt.timedelta(days=1)
    for beside in (date - one, date + one):
        other = Manifest.if_readable(
            staging.store.read_manifest(staging.dataset, beside.isoformat())
        )
        border = window.start if beside < date else window.end
        # Zones of another name may have the same midnights: the borders decide.
        if other and border not in (other.window.start, other.window.end):
            raise ConfigurationError(
                f"{staging.dataset} {beside} is published as a day of {other.window.timezone}, but "
                f"EXPORTER_TIMEZONE is {window.timezone}.",
                "Begin a new folder with EXPORTER_OUTPUT_URL, or set the zone back.",
            )


def _superseded(staged: StagedDay, published: bytes | None) -> Manifest:
    """What another run published meanwhile, if it is the same."""
    day = f"{staged.dataset.name} {staged.window.day}"
    if published is None:
        raise SupersededError(
            f"{day} was removed while this run was exporting it.", "Run it again if it is wanted."
        )
    current = Manifest.if_readable(published)
    if current is None or current.data_version != staged.data_version:
        other = f"by run {current.run.run_id}" if current else "with a damaged manifest"
        raise SupersededError(
            f"{day} was published {other} with other content while this run was exporting it.",
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
