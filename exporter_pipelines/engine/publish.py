"""Publishes a staged day as a whole, and only if no other run did so in the meantime.

The staged files are read back, the manifest is built, and the store compares and switches in one
step. A published manifest that cannot be read is replaced like any other.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from exporter_pipelines import __version__
from exporter_pipelines.contracts.changes import CHANGES_FILE, Reason
from exporter_pipelines.contracts.ledger import Entry, source_state
from exporter_pipelines.contracts.manifest import (
    ColumnSchema,
    Counts,
    Manifest,
    Quarantine,
    RuleResult,
    Run,
    Source,
    Validation,
    Window,
    same_pseudonyms,
)
from exporter_pipelines.contracts.publication import (
    GenerationChangedError,
    Publication,
    generation_of,
)
from exporter_pipelines.contracts.staged_day import FileFacts, StagedDay
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.changes import changes_file, reason_of
from exporter_pipelines.engine.dataset_card import dataset_files, loaded_files
from exporter_pipelines.engine.erased_subjects import erased_ids
from exporter_pipelines.engine.hashing import size_and_sha256
from exporter_pipelines.engine.judge import PRIVACY_CHECKS, Verdict
from exporter_pipelines.engine.lost_rows import Loss
from exporter_pipelines.engine.other_formats import (
    days_in_other_formats,
    other_days_have_files,
)
from exporter_pipelines.engine.private_fingerprint import stored_fingerprint
from exporter_pipelines.engine.same_source import SourceJudgement
from exporter_pipelines.engine.same_zone import refuse_another_zone
from exporter_pipelines.engine.whole_dataset import schema_as_written, schema_of_all_days
from exporter_pipelines.errors import OutputUnavailableError, SupersededError
from exporter_pipelines.formats import suffix_of
from exporter_pipelines.stores import layout


@dataclass(frozen=True)
class JudgedDay:
    """A staged day, and what the checks found.

    Attributes:
        staged: The day; the caller discards its staging area.
        verdicts: Of all checks, in the order in which they are shown.
        loss, source: Two of them, with what the ledger records.
        sample: Whether the source is the embedded sample backend.
    """

    staged: StagedDay
    verdicts: Sequence[Verdict]
    loss: Loss
    source: SourceJudgement
    sample: bool

    @property
    def holds(self) -> bool:
        """Whether the day must not be published."""
        return any(verdict.holds for verdict in self.verdicts)


def publish(store: Store, judged: JudgedDay) -> Manifest:
    """Replace the published day, or find that it already has this content.

    Args:
        store: Where the day was staged.
        judged: A day that no check holds.

    Returns:
        The manifest of the day as it is now published.

    Raises:
        SupersededError: another run published other content since this one began.
        OutputUnavailableError: the disk refused, or returned other bytes than were written.
        ConfigurationError: another day of the dataset was exported in another time zone.
    """
    staged = judged.staged
    _verify(staged)
    refuse_another_zone(store, staged.dataset.name, staged.window)
    manifest = build_manifest(staged)
    data = store.read_manifest(staged.dataset.name, staged.window.day)
    before = Manifest.if_readable(data)
    _refuse_new_erasures(store, staged)
    for entry in judged.source.entries:
        store.record(entry)
    fingerprint = stored_fingerprint(staged.dataset, staged.source.fingerprint)
    is_same = before is not None and before.data_version == manifest.data_version
    day = (staged.dataset.name, staged.window.day)
    known = is_same or store.read_fingerprint(*day, generation_of(data)) == fingerprint
    reason = reason_of(before, manifest, source_is_unchanged=known)
    entry = _ledger_entry(judged, manifest, reason)
    drop = not _was_as_private(before, manifest)
    publication = Publication(
        manifest=manifest.to_json(),
        entry=entry,
        quarantine=staged.quarantine.name if staged.quarantine else None,
        dataset_files=lambda: _dataset_files(store, staged, entry),
        fingerprint=fingerprint,
        keep_replaced=judged.loss.keep_replaced and not drop,
        drop_replaced=drop,
    )
    try:
        store.switch(staged.staging, publication)
    except GenerationChangedError as error:
        return _published_by_another(staged, error.published)
    return manifest


def hold(store: Store, judged: JudgedDay) -> str | None:
    """Keep a held day's quarantine and record the hold; the published export is not changed.

    Returns:
        Where the rejected rows are; None when there are none, or when the files of the day have a
        raw identifier.
    """
    staged, quarantine = judged.staged, None
    # The rejected rows may be where a raw identifier is.
    leaks = any(verdict.holds and verdict.check in PRIVACY_CHECKS for verdict in judged.verdicts)
    if staged.quarantine is not None and not leaks:
        quarantine = store.hold(staged.staging, staged.quarantine.name)
    store.record(
        Entry(
            event="held",
            dataset=staged.dataset.name,
            day=staged.window.day,
            data_version=staged.data_version,
            source_rows=staged.tally.source_rows,
            source=judged.source.source,
            source_state=source_state(
                staged.tally.source_rows,
                stored_fingerprint(staged.dataset, staged.source.fingerprint),
            ),
            run=staged.run_id,
            reason=", ".join(verdict.check for verdict in judged.verdicts if verdict.holds),
        )
    )
    return quarantine


def _ledger_entry(judged: JudgedDay, manifest: Manifest, reason: Reason) -> Entry:
    loss = judged.loss
    return Entry(
        event="published",
        dataset=manifest.dataset,
        day=manifest.partition,
        data_version=manifest.data_version,
        rows=manifest.record_count,
        source_rows=judged.staged.tally.source_rows,
        baseline_rows=loss.baseline_rows,
        gone_rows=loss.gone_rows,
        moved_rows=loss.moved_rows,
        loss_accepted=loss.accepted,
        source=judged.source.source,
        sample=judged.sample,
        run=judged.staged.run_id,
        reason=reason,
    )


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
            erased=tally.rows_erased.total(),
        ),
        quarantine=_quarantine_entry(staged),
        data_quality_metrics=tally.quality_metrics(),
        validation=Validation(level=config.validation, rules=failures),
        transformations=list(staged.transformations),
        columns=[
            ColumnSchema.model_validate(
                {**column.described(), "null_count": tally.nulls[column.name]}
            )
            for column in schema_as_written(staged).columns
        ],
        export_config=config.for_manifest(),
        source=_source(staged),
        run=Run(
            run_id=staged.run_id,
            code_version=__version__,
            started_at=staged.started_at,
            duration_s=staged.duration_s,
            driver=staged.source.driver,
        ),
        privacy=staged.privacy,
        erasure=list(staged.erasures),
    ).sealed()


def _was_as_private(before: Manifest | None, after: Manifest) -> bool:
    """Whether the export that is replaced may be read on; else it is removed at once.

    Not if it has another privacy policy, or a subject that was erased since.
    """
    if before is None:
        return after.privacy is None and not after.erasure
    same = after.privacy is None or same_pseudonyms(before.privacy, after.privacy)
    if after.privacy is not None:  # keys in JSON, and others that the statement does not name
        same = same and before.export_config.get("privacy") == after.export_config.get("privacy")
    return same and {e.request for e in after.erasure} <= {e.request for e in before.erasure}


def _refuse_new_erasures(store: Store, staged: StagedDay) -> None:
    """Refuse a day that was staged before a subject was erased."""
    if erased_ids(store, staged.dataset.name) - staged.erased_subjects:
        raise SupersededError(
            f"A subject was erased while {staged.dataset.name} {staged.window.day} was exported.",
            "Run the day again.",
        )


def _dataset_files(store: Store, staged: StagedDay, entry: Entry) -> dict[str, bytes]:
    """The files next to `data/`, which describe all published days together."""
    dataset, day = staged.dataset, staged.window.day
    suffix = suffix_of(dataset.config.format, dataset.config.compression)
    schema = schema_of_all_days(store, dataset.name, day, schema_as_written(staged))
    pattern = loaded_files(dataset)
    others = days_in_other_formats(store, dataset.name, day, pattern, suffix)
    has_files = bool(staged.files) or other_days_have_files(
        store, dataset.name, day, pattern, suffix
    )
    bucket = store.location if store.is_remote else ""
    files = dataset_files(
        dataset, schema, others, has_files=has_files, bucket=bucket, has_view=store.has_view
    )
    return {**files, CHANGES_FILE: changes_file(store, dataset.name, day, entry)}


def _source(staged: StagedDay) -> Source:
    source = staged.source
    exported = {staged.dataset.source_name(column.name) for column in staged.schema.columns}
    return Source(
        kind=source.kind,
        table=source.table,
        snapshot=source.snapshot,
        server_version=source.server_version,
        columns_not_exported=[name for name in source.columns if name not in exported],
    )


def _quarantine_entry(staged: StagedDay) -> Quarantine | None:
    if staged.quarantine is None:
        return None
    return Quarantine(
        path=layout.quarantine_path(staged.window.day, staged.quarantine.name),
        record_count=staged.tally.rows_rejected,
        sha256=staged.quarantine.sha256,
    )


def _published_by_another(staged: StagedDay, published: bytes | None) -> Manifest:
    """The manifest of the other run, if it published the same content."""
    day = f"{staged.dataset.name} {staged.window.day}"
    if published is None:
        raise SupersededError(
            f"{day} was removed while this run was exporting it.", "Run it again to publish it."
        )
    current = Manifest.if_readable(published)
    if current is None or current.data_version != staged.data_version:
        other = f"by run {current.run.run_id}" if current else "with a damaged manifest"
        raise SupersededError(
            f"{day} was published {other} with other content while this run was exporting it.",
            "That export stays; run the day again to replace it.",
        )
    return current


def _verify(staged: StagedDay) -> None:
    """Read the staged files back and compare them with what was written."""
    expected = [FileFacts(file.path, file.size_bytes, file.sha256) for file in staged.files]
    for facts in (*expected, *([staged.quarantine] if staged.quarantine else [])):
        with staged.staging.open(facts.name) as file:
            size, sha256 = size_and_sha256(file)
        if (size, sha256) != (facts.size_bytes, facts.sha256):
            raise OutputUnavailableError(
                f"{facts.name} was written with {facts.size_bytes} bytes, but reading it back gave "
                f"{size} bytes with another hash.",
                "The disk may be faulty. The published export was not changed.",
            )
