"""Judges whether a day comes from the same database as the exports that are published.

A database may move to another server, or be restored from a dump; that alone never holds a day. But
a setting may also name the wrong database. Its rows are other rows, so the published days show it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from exporter_pipelines.contracts.ledger import DayRecord, Entry
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.source import SourceIdentity
from exporter_pipelines.contracts.staged_day import StagedDay
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.day_keys import missing_rows
from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.errors import (
    ConfigurationError,
    OutputUnavailableError,
    PublishedDayDamagedError,
)

CHECK = "same_source"

SAME_PCT = 90.0
"""A day from another database replaces its export only if it has this share of its rows."""


@dataclass(frozen=True)
class SourceJudgement:
    """Where a day comes from.

    Attributes:
        verdict: Of the check `same_source`.
        source: Salted hash of the database's identity.
        is_known: Whether the published export is known to come from the same database.
        entries: For the ledger of the dataset, when the day is published.
    """

    verdict: Verdict
    source: str
    is_known: bool
    entries: tuple[Entry, ...] = ()


def hashed_identity(store: Store, identity: SourceIdentity) -> str:
    """The identity of a database as the ledger stores it; it reveals no name."""
    return store.salted(json.dumps(astuple(identity)))


def accepted_source(entries: Sequence[Entry]) -> Entry | None:
    """The entry of the database that a dataset is exported from; None when it is not known."""
    return next((entry for entry in reversed(entries) if entry.event == "source"), None)


def refuse_mixing(store: Store, dataset: str, *, sample: bool) -> None:
    """Refuse to export the sample backend over real exports, or a real database over the sample's.

    Raises:
        ConfigurationError: the dataset was exported from the other one.
    """
    known = accepted_source(store.entries(dataset, None))
    if known is None or known.sample == sample:
        return
    has, is_now = ("a database", "the sample backend")
    if known.sample:
        has, is_now = is_now, has
    raise ConfigurationError(
        f"{store.location} has exports of {dataset} from {has}, but its source is {is_now} now.",
        "Nothing was changed. Use another EXPORTER_OUTPUT_URL, or correct the source URL.",
    )


def accept_source(store: Store, dataset: str, identity: SourceIdentity, *, sample: bool) -> bool:
    """Make a database the source of a dataset; False when it is already.

    Raises:
        ConfigurationError: one of the old and the new source is the sample backend.
        OutputUnavailableError: the ledger cannot be written.
    """
    refuse_mixing(store, dataset, sample=sample)
    known, source = accepted_source(store.entries(dataset, None)), hashed_identity(store, identity)
    if known and known.source == source:
        return False
    reason = "accepted by an operator"
    store.record(
        Entry(event="source", dataset=dataset, source=source, sample=sample, reason=reason)
    )
    return True


def judge_source(
    store: Store, staged: StagedDay, record: DayRecord, *, accepted: bool, sample: bool
) -> SourceJudgement:
    """Compare the database of a staged day with that of the published exports.

    Args:
        store: Where days are published.
        staged: The new export.
        record: What the ledger says about the day.
        accepted: Whether the operator accepts that rows of this day are lost.
        sample: Whether the source is the embedded sample backend.
    """
    name, source = staged.dataset.name, hashed_identity(store, staged.identity)
    entries = store.entries(name, None)
    known = accepted_source(entries)
    if known is None:
        # The first export, or the first after an upgrade. `no_lost_rows` then looks rows up.
        first = Entry(event="source", dataset=name, source=source, sample=sample)
        verdict = Verdict(CHECK, True, "WARN", "The database is noted as the dataset's source.")
        return SourceJudgement(verdict, source, record.published is None, (first,))
    if known.source == source:
        verdict = Verdict(CHECK, True, "WARN", "The database is the same as before.")
        # The export may be of an earlier source, or adopted.
        exported = record.published
        return SourceJudgement(verdict, source, exported is None or exported.source == source)
    return _judge_other(store, staged, record, entries, source, accepted=accepted)


def _judge_other(
    store: Store,
    staged: StagedDay,
    record: DayRecord,
    entries: Sequence[Entry],
    source: str,
    *,
    accepted: bool,
) -> SourceJudgement:
    name = staged.dataset.name
    accept = f"If this is right, run `exporter accept-source {name}`."
    another = "The day comes from another database than the exports before."
    if record.published is None:
        verdict = Verdict(CHECK, False, "WARN", f"{another} {accept}")
        return SourceJudgement(verdict, source, is_known=True)
    if record.published.source == source:
        verdict = Verdict(CHECK, True, "WARN", "The published export is of the same database.")
        return SourceJudgement(verdict, source, is_known=True)
    shared = _shared_pct(store, staged, record)
    numbers: dict[str, float | int] = {} if shared is None else {"rows_shared_pct": shared}
    if not accepted and (shared is None or shared < SAME_PCT):
        found = "cannot be compared" if shared is None else f"has {shared:g} % of its rows"
        reason = f"{another} It {found}, so it does not replace the published export."
        return SourceJudgement(Verdict(CHECK, False, "ERROR", reason, numbers), source, False)
    reported = any(e.event == "source_changed" and e.source == source for e in entries)
    changed = Entry(event="source_changed", dataset=name, source=source)
    reason = f"{another} It has the rows of the published export."
    verdict = Verdict(
        CHECK, reported, "WARN", reason if reported else f"{reason} {accept}", numbers
    )
    return SourceJudgement(verdict, source, True, () if reported else (changed,))


def _shared_pct(store: Store, staged: StagedDay, record: DayRecord) -> float | None:
    """Percentage of published rows, by key and time, that the new export has; None: not known."""
    data = store.read_manifest(staged.dataset.name, staged.window.day)
    manifest = Manifest.if_readable(data) if record.published else None
    if manifest is None:
        return None
    try:
        found = missing_rows(store, manifest, staged, with_time=True)
    except (PublishedDayDamagedError, OutputUnavailableError, OSError):
        return None
    if not found.published:
        return 100.0 if not manifest.record_count else None
    return round(100 * (1 - found.missing / found.published), 2)
