"""Judges whether a day comes from the same database as the exports that are published.

A database may move to another server, or be restored from a dump; that alone never holds a day. But
a setting may also name the wrong database. Its rows are other rows, so the published days show it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

from exporter_pipelines.contracts.ledger import DayRecord, Entry
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.source import NotComparedError, SourceIdentity
from exporter_pipelines.contracts.staged_day import StagedDay
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.day_keys import shared_pct
from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.errors import (
    ConfigurationError,
    OutputUnavailableError,
    PublishedDayDamagedError,
)

CHECK = "same_source"

_ANOTHER = "The day comes from another database than the exports before."

SAME_PCT = 90.0
"""A day from another database replaces its export only if it has this share of its rows."""


@dataclass(frozen=True)
class SourceJudgement:
    """Where a day comes from.

    Attributes:
        verdict: Of the check `same_source`.
        source: Salted hash of the database's identity.
        is_known: Whether the published export is known to come from the same database.
        was_other: Whether the published export comes from a database that was never accepted, and
            the new one from the accepted source.
        entries: For the ledger of the dataset, when the day is published.
    """

    verdict: Verdict
    source: str
    is_known: bool
    entries: tuple[Entry, ...] = ()
    was_other: bool = False


def hashed_identity(store: Store, identity: SourceIdentity) -> str:
    """The identity of a database as the ledger stores it; it reveals no name.

    A query counts as one table, whatever its text: the identity is that of the database.
    """
    if identity.table.startswith("query "):
        identity = replace(identity, table="query")
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
    raise _mixing(store, dataset, has, is_now)


def _mixing(store: Store, dataset: str, has: str, is_now: str) -> ConfigurationError:
    return ConfigurationError(
        f"{store.location} has exports of {dataset} from {has}, but its source is {is_now} now.",
        "Nothing was changed. Use another EXPORTER_OUTPUT_URL, or correct the source URL. Exports "
        "of the sample by version 0.1.0 cannot be continued: remove them.",
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
        return _judge_first(store, staged, record, source, accepted=accepted, sample=sample)
    if known.source != source:
        return _judge_other(store, staged, record, entries, source, accepted=accepted)
    verdict = Verdict(CHECK, True, "WARN", "The database is the same as before.")
    # The published export may be adopted, or of another source.
    exported = record.published
    is_known = exported is None or exported.source == source
    was_accepted = exported is None or exported.source in {
        None, *(entry.source for entry in entries if entry.event == "source"),
    }  # fmt: skip
    return SourceJudgement(verdict, source, is_known, was_other=not was_accepted)


def _judge_first(
    store: Store,
    staged: StagedDay,
    record: DayRecord,
    source: str,
    *,
    accepted: bool,
    sample: bool,
) -> SourceJudgement:
    """Judge the first export of a dataset, or the first one after an upgrade.

    After an upgrade the database of the earlier exports is not known. Days of `ips` lose rows to
    newer days, but what is left of them is unchanged: a day that shares no row is of another one.
    """
    name = staged.dataset.name
    first = Entry(event="source", dataset=name, source=source, sample=sample)
    verdict = Verdict(CHECK, True, "WARN", "The database is noted as the dataset's source.")
    if record.published is None:
        if sample and store.published_days(name):
            raise _mixing(store, name, "a database or an earlier version", "the sample backend")
        return SourceJudgement(verdict, source, True, (first,))
    shared = _shared(store, staged, record)
    has_rows = staged.tally.rows_exported > 0
    other = shared is not None and has_rows and not (shared.of_published and shared.of_new)
    if sample and (shared is None or shared.of_published < SAME_PCT):
        other = True
    if other and not accepted:
        return _held(source, shared)
    return SourceJudgement(verdict, source, False, (first,))


def _judge_other(
    store: Store,
    staged: StagedDay,
    record: DayRecord,
    entries: Sequence[Entry],
    source: str,
    *,
    accepted: bool,
) -> SourceJudgement:
    accept = f"If this is right, run `exporter accept-source {staged.dataset.name}`."
    if record.published is None:
        verdict = Verdict(CHECK, False, "WARN", f"{_ANOTHER} {accept}")
        return SourceJudgement(verdict, source, is_known=True)
    if record.published.source == source:
        verdict = Verdict(CHECK, True, "WARN", "The published export is of the same database.")
        return SourceJudgement(verdict, source, is_known=True)
    shared = _shared(store, staged, record)
    if not (shared and shared.is_same):
        if not accepted:
            return _held(source, shared)
        verdict = Verdict(CHECK, False, "WARN", f"{_ANOTHER} Its other rows were accepted.")
        return SourceJudgement(verdict, source, is_known=False)
    reported = any(e.event == "source_changed" and e.source == source for e in entries)
    changed = Entry(event="source_changed", dataset=staged.dataset.name, source=source)
    reason = f"{_ANOTHER} It has the rows of the published export."
    if not reported:
        reason += f" {accept}"
    verdict = Verdict(CHECK, reported, "WARN", reason, shared.numbers)
    return SourceJudgement(verdict, source, True, () if reported else (changed,))


@dataclass(frozen=True)
class _Shared:
    """Percentages of the rows that two exports share, by key and time.

    Attributes:
        of_published, of_new: See `day_keys.shared_pct`.
        new_rows: Rows of the new export.
    """

    of_published: float
    of_new: float
    new_rows: int

    @property
    def is_same(self) -> bool:
        """Whether both are of the same rows. Rows of the published export may have moved away."""
        return self.of_published >= SAME_PCT or (self.new_rows > 0 and self.of_new >= SAME_PCT)

    @property
    def numbers(self) -> dict[str, float | int]:
        return {"rows_shared_pct": self.of_published}


def _held(source: str, shared: _Shared | None) -> SourceJudgement:
    found = "cannot be compared"
    if shared:
        found = f"has {shared.of_published:g} % of its rows"
    reason = (
        f"{_ANOTHER} It {found}, so it does not replace the published export. If it is the wrong "
        "one, correct the source URL."
    )
    numbers = shared.numbers if shared else {}
    return SourceJudgement(Verdict(CHECK, False, "ERROR", reason, numbers), source, False)


def _shared(store: Store, staged: StagedDay, record: DayRecord) -> _Shared | None:
    """The rows that the new export and the published one share; None when it is not known."""
    data = store.read_manifest(staged.dataset.name, staged.window.day)
    manifest = Manifest.if_readable(data) if record.published else None
    if manifest is None:
        return None
    try:
        of_published, of_new = shared_pct(store, manifest, staged)
    except (NotComparedError, PublishedDayDamagedError, OutputUnavailableError, OSError):
        return None
    return _Shared(of_published, of_new, staged.tally.rows_exported)
