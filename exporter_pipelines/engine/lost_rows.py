"""Holds a day whose rows are gone from the source, so that it does not replace its export.

Backends purge old rows; then the published export is the only copy. But days also shrink in
ordinary ways: a row gets a newer time and moves to another day, repeated rows are removed. So the
rows that a new export lacks are looked up in the source by their keys. Only rows that the source
does not have at any time are gone.

Source rows are compared, so a new rule, filter or format is never a loss, unless it rejects all.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.ledger import DayRecord, Entry
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.source import NotComparedError, Session
from exporter_pipelines.contracts.source_rules import SOURCE_RULES
from exporter_pipelines.contracts.staged_day import StagedDay
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.day_keys import missing_rows
from exporter_pipelines.engine.emptied_days import why_emptied
from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.errors import OutputUnavailableError, PublishedDayDamagedError, SourceError

CHECK = "no_lost_rows"

LOOKUP_S = 10.0
"""Time limit of looking up missing keys in the source; after it, counts are compared."""

_LOOKUP_KEYS = 20_000
"""Keys in one statement."""


@dataclass(frozen=True)
class Loss:
    """How a day changed against its published export, and whether it may replace it.

    Attributes:
        verdict: Of the check `no_lost_rows`.
        baseline_rows, gone_rows, moved_rows: For the ledger, see `contracts.ledger.Entry`.
        keep_replaced: Whether the replaced export had more rows, or rows that the new one lacks.
        accepted: Whether a loss was accepted by an operator.
    """

    verdict: Verdict
    baseline_rows: int
    gone_rows: int = 0
    moved_rows: int = 0
    keep_replaced: bool = False
    accepted: bool = False


@dataclass(frozen=True)
class _Change:
    """Rows that the new export lacks.

    Attributes:
        gone: Not found in the source.
        moved: Found in another day.
        not_compared: Why the rows were not looked up, so that counts were compared; "" otherwise.
    """

    gone: int
    moved: int = 0
    not_compared: str = ""


def judge_loss(
    store: Store,
    staged: StagedDay,
    record: DayRecord,
    session: Session,
    *,
    accepted: bool,
    same_source: bool = True,
    was_other_source: bool = False,
) -> Loss:
    """Compare the rows of the source with those of the published export of the same day.

    Args:
        store: Where the day is published.
        staged: The new export.
        record: What the ledger says about the day.
        session: To look up missing rows in the source.
        accepted: Whether the operator accepts the loss of rows of this day.
        same_source: Whether the published rows are known to come from the same database. If not,
            they are looked up even if the source has as many rows as before.
        was_other_source: Whether the published export comes from another database, which was never
            accepted, and the new one from the accepted source. Its rows may be lost.
    """
    now, before = staged.tally.source_rows, record.published
    if before is None:
        return Loss(Verdict(CHECK, True, "ERROR", "The day was not published before."), now)
    if was_other_source:
        reason = (
            "The published export came from another database, which was not accepted. It is kept "
            f"for {staged.dataset.config.keep_replaced_days} days."
        )
        return Loss(Verdict(CHECK, False, "WARN", reason), now, keep_replaced=True)
    manifest = _readable(store, staged, record)
    if reason := why_emptied(staged, manifest):
        verdict = Verdict(CHECK, accepted, "ERROR", reason, {"rows_now": now})
        return Loss(verdict, now, keep_replaced=True, accepted=accepted)
    known = _with_counts(before, manifest)
    if known.baseline_rows is None:
        return _judge_unknown(staged, accepted=accepted)
    if now >= known.baseline_rows and same_source:
        return _judge_growth(store, staged, known, manifest, session)
    change = _change(store, staged, known, manifest, session)
    return _judge_change(staged, known, change, accepted=accepted)


def _readable(store: Store, staged: StagedDay, record: DayRecord) -> Manifest | None:
    if record.published is None:
        return None
    return Manifest.if_readable(store.read_manifest(staged.dataset.name, staged.window.day))


def _with_counts(entry: Entry, manifest: Manifest | None) -> Entry:
    """The entry; if the manifest was damaged when it was adopted, with the counts of today's."""
    if entry.baseline_rows is not None or manifest is None:
        return entry
    return entry.model_copy(
        update={"baseline_rows": manifest.counts.read, "source_rows": manifest.counts.read}
    )


def _judge_unknown(staged: StagedDay, *, accepted: bool) -> Loss:
    """Judge a day whose published export has a damaged manifest, and no entry with counts."""
    now = staged.tally.source_rows
    reason = "The manifest of the published export cannot be read, "
    reason += f"and the source has {_rows(now)} of this day now."
    numbers: dict[str, float | int] = {"rows_now": now}
    if now or accepted:
        verdict = Verdict(CHECK, accepted, "WARN", reason, numbers)
        return Loss(verdict, now, keep_replaced=True, accepted=accepted)
    return Loss(Verdict(CHECK, False, "ERROR", reason, numbers), now)


def _judge_growth(
    store: Store, staged: StagedDay, known: Entry, manifest: Manifest | None, session: Session
) -> Loss:
    """Judge a day with as many rows as ever, or more. Other keys are reported."""
    now = staged.tally.source_rows
    numbers: dict[str, float | int] = {"rows_now": now, "rows_before": known.source_rows or 0}
    unchanged = manifest is None or manifest.data_version == staged.data_version
    unknown = ""
    if now == known.source_rows and not unchanged:
        change = _change(store, staged, known, manifest, session)
        if replaced := change.gone + change.moved:
            numbers |= {"rows_replaced": replaced, "rows_moved": change.moved}
            reason = (
                f"{_rows(replaced)} of the published export have other keys in the source now, "
                "and the number of rows is the same. The replaced export is kept for "
                f"{staged.dataset.config.keep_replaced_days} days."
            )
            return Loss(Verdict(CHECK, False, "WARN", reason, numbers), now, keep_replaced=True)
        if change.not_compared:
            unknown = f"Whether they are the same rows was not compared: {change.not_compared}."
    reason = f"The source has no fewer rows of this day. {unknown}".strip()
    return Loss(Verdict(CHECK, True, "ERROR", reason, numbers), now)


def _change(
    store: Store, staged: StagedDay, known: Entry, manifest: Manifest | None, session: Session
) -> _Change:
    """Which rows are missing, found by their keys if possible, else by the counts."""
    if manifest is None:
        return _by_count(staged, known, "the published export is missing or damaged")
    if why := _keys_are_useless(staged, manifest):
        return _by_count(staged, known, why, manifest)
    try:
        if not _keys_identify_rows(staged, manifest):
            # A removed repetition has the key and the time of a row that stays.
            return _Change(missing_rows(store, manifest, staged, with_time=True).missing)
        found = missing_rows(store, manifest, staged)
        if not found.all_collected:
            why = f"{found.missing:,} keys are too many to look up"
            return _by_count(staged, known, why, manifest)
        return _looked_up(staged, found.keys, session)
    except (PublishedDayDamagedError, OutputUnavailableError, OSError):
        return _by_count(staged, known, "the published export cannot be read", manifest)
    except NotComparedError as error:
        return _by_count(staged, known, error.reason, manifest)
    except SourceError:
        return _by_count(staged, known, "the database did not answer", manifest)


def _keys_are_useless(staged: StagedDay, manifest: Manifest) -> str:
    """Why the keys of the published day cannot be looked up; "" if they can."""
    counts, policy = manifest.counts, staged.dataset.config.privacy
    if staged.tally.key_was_transformed:
        return "a transform changes the key"
    if policy and staged.dataset.config.source.key in policy.masked:
        return "the key is a pseudonym"
    if counts.read and counts.read == counts.filtered:
        return "filters left out every row of the published export"
    return ""


def _keys_identify_rows(staged: StagedDay, manifest: Manifest) -> bool:
    """Whether few rows of the published day repeat a key or have none."""
    config, metrics = staged.dataset.config, manifest.data_quality_metrics
    rows = manifest.counts.read
    unclear = metrics.get("repeated_keys", 0) + _rows_without(manifest, config.source.key)
    return unclear <= config.max_lost_rows or 100 * unclear <= config.max_lost_pct * rows


def _rows_without(manifest: Manifest, key: str) -> float:
    """Rows of a published day, exported or rejected, that have no key."""
    nulls = next((c.null_count for c in manifest.columns if c.name == key), None)
    if nulls is None:  # a manifest of an earlier version, whose percentage is of the rows read
        complete = manifest.data_quality_metrics.get(f"completeness_pct.{key}", 100.0)
        return manifest.counts.read * (100 - complete) / 100
    reasons = ("required", *SOURCE_RULES)
    results = manifest.validation.rules
    return nulls + sum(r.failed for r in results if r.column == key and r.rule in reasons)


def _by_count(
    staged: StagedDay, known: Entry, why: str, manifest: Manifest | None = None
) -> _Change:
    now = staged.tally.source_rows
    # Rows that were erased from the export may be removed from the source, too.
    erased = manifest.counts.erased - staged.tally.rows_erased.total() if manifest else 0
    now += max(0, erased)
    since_baseline = (known.baseline_rows or 0) - now - known.moved_rows - known.gone_rows
    since_published = (known.source_rows or 0) - now
    return _Change(max(0, since_baseline, since_published), not_compared=why)


def _looked_up(staged: StagedDay, keys: list[pa.Array], session: Session) -> _Change:
    gone = moved = still = 0
    ends = time.monotonic() + LOOKUP_S
    pieces = _distinct(staged, keys)
    for start in range(0, len(pieces), _LOOKUP_KEYS):
        left = ends - time.monotonic()
        if left <= 0:
            raise NotComparedError(f"looking up the missing rows took more than {LOOKUP_S:.0f} s")
        asked = pieces.slice(start, _LOOKUP_KEYS)
        found = session.times_of(staged.dataset, asked, timeout_s=left)
        # A row without a usable time is in no day: its content is gone from the exports.
        found = found.filter(pc.is_valid(found["time"]))
        inside = _inside(staged, found)
        gone += len(asked) - len(pc.unique(found["key"]))
        moved += len(pc.unique(found["key"])) - inside
        still += inside
    if still > staged.tally.rows_filtered.total() + staged.tally.rows_erased.total():
        # The new export neither has these rows nor left them out.
        raise NotComparedError("the source changed while it was compared")
    return _Change(gone, moved)


def _distinct(staged: StagedDay, keys: list[pa.Array]) -> pa.Array:
    kind = staged.schema.arrow.field(staged.dataset.config.source.key).type
    try:
        pieces = [each.cast(kind) for each in keys]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        raise NotComparedError("the key of the published day has another type") from None
    return pc.unique(pa.chunked_array(pieces, kind))


def _inside(staged: StagedDay, found: pa.Table) -> int:
    """Number of distinct keys that have a row inside the day."""
    start, end = (
        pa.scalar(instant, found["time"].type)
        for instant in (staged.window.start, staged.window.end)
    )
    inside = pc.and_(pc.greater_equal(found["time"], start), pc.less(found["time"], end))
    return len(pc.unique(found.filter(inside)["key"]))


def _judge_change(staged: StagedDay, known: Entry, change: _Change, *, accepted: bool) -> Loss:
    config, now = staged.dataset.config, staged.tally.source_rows
    baseline = max(known.baseline_rows or 0, now)
    gone = known.gone_rows + change.gone
    percent = 100 * gone / baseline if baseline else 0.0
    numbers: dict[str, float | int] = {
        "rows_now": now,
        "rows_before": known.source_rows or 0,
        "rows_baseline": baseline,
        "rows_gone": gone,
        "rows_moved": change.moved,
        "max_lost_rows": config.max_lost_rows,
        "max_lost_pct": config.max_lost_pct,
    }
    reason = _reason(staged, known, change, gone)
    if accepted and change.gone:
        verdict = Verdict(CHECK, True, "ERROR", f"{reason} The loss was accepted.", numbers)
        return Loss(verdict, now, keep_replaced=True, accepted=True)
    above = gone > config.max_lost_rows and percent > config.max_lost_pct
    lost = change.gone > 0
    keep = lost or now < (known.source_rows or 0)
    figures = (baseline, gone, known.moved_rows + change.moved, keep)
    if lost and (above or not now):
        limits = ""
        if now:
            limits = (
                f" That is more than max_lost_rows={config.max_lost_rows} and "
                f"max_lost_pct={config.max_lost_pct:g} allow."
            )
        verdict = Verdict(CHECK, False, "ERROR", reason + limits, numbers)
        return Loss(verdict, *figures)
    if keep:
        reason += f" The replaced export is kept for {config.keep_replaced_days} days."
    # A day whose every row moved may also be one whose keys are used again by other rows.
    warns = lost or (change.moved > 0 and not now)
    return Loss(Verdict(CHECK, not warns, "WARN" if warns else "ERROR", reason, numbers), *figures)


def _reason(staged: StagedDay, known: Entry, change: _Change, gone: int) -> str:
    now = staged.tally.source_rows
    text = (
        f"The source had {_rows(known.source_rows or 0)} of the day when it was published, and has "
        f"{now:,} now."
    )
    if change.gone or change.moved:
        text += f" {_rows(change.gone)} {'is' if change.gone == 1 else 'are'} gone from the source"
        text += f", {change.moved:,} moved to other days." if change.moved else "."
    elif not change.not_compared:
        text += " No published row is gone from the source."
    if gone > change.gone:
        text += (
            f" With earlier exports, {_rows(gone)} are gone; the day had "
            f"{known.baseline_rows or 0:,} at most."
        )
    if change.not_compared:
        text += f" The numbers of rows were compared, not their keys: {change.not_compared}."
    return text


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
