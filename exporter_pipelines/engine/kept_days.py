"""Published days that are not exported again, although a run asks for it.

An operator keeps the export of a held day (`exporter keep`), or the dataset states for how long its
source has its rows (`source.keeps_days`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.ledger import DayRecord, Entry, source_state
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.source import Session
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.day_record import day_record
from exporter_pipelines.engine.judge import HOLDING, Verdict, checks_of
from exporter_pipelines.engine.private_fingerprint import stored_fingerprint
from exporter_pipelines.errors import ConfigurationError, ExporterError


@dataclass(frozen=True)
class KeptDay:
    """A published day that stays as it is.

    Attributes:
        manifest: Of the published export.
        reason: Why it stays.
        checks: Of the dataset.
    """

    manifest: Manifest
    reason: str
    checks: Sequence[str]

    def verdicts(self) -> list[Verdict]:
        """A passed verdict for each check, so that a hold of this day ends."""
        return [
            Verdict(check, True, "ERROR" if check in HOLDING else "WARN", self.reason)
            for check in self.checks
        ]


def kept_day(
    store: Store, dataset: Dataset, window: DayWindow, record: DayRecord, session: Session
) -> KeptDay | None:
    """The published export, if it is to stay; None if the day is to be exported.

    Reads the state of the day in the source only if an operator decided to keep the export.
    """
    if record.published is None:
        return None
    by_age = source_keeps_no_longer(dataset, window.day, today_in(window.timezone))
    if record.kept_state is None and not by_age:
        return None
    manifest = Manifest.if_readable(store.read_manifest(dataset.name, window.day))
    if manifest is None:
        return None
    if by_age:
        days = dataset.config.source.keeps_days
        reason = f"The published export stays: the source keeps {days} days (keeps_days)."
        return KeptDay(manifest, reason, tuple(checks_of(dataset.config)))
    try:
        with session.day(dataset, window) as snapshot:
            fingerprint = stored_fingerprint(dataset, snapshot.info.fingerprint)
            state = source_state(snapshot.row_count, fingerprint)
    except ExporterError:
        return None  # the export tries again, and reports the error if it stays
    if state != record.kept_state:
        return None
    reason = "The published export stays: an operator keeps it, and the source has not changed."
    return KeptDay(manifest, reason, tuple(checks_of(dataset.config)))


def today_in(timezone: str) -> dt.date:
    """Today's date in a time zone."""
    return dt.datetime.now(ZoneInfo(timezone)).date()


def source_keeps_no_longer(dataset: Dataset, day: str, today: dt.date) -> bool:
    """Whether the source has purged a day, as `source.keeps_days` states."""
    days = dataset.config.source.keeps_days
    return days is not None and dt.date.fromisoformat(day) <= today - dt.timedelta(days=days)


def keep_days(store: Store, dataset: str, days: Sequence[str]) -> list[Entry]:
    """Keep the published exports of held days, as long as the source does not change.

    Args:
        store: The exports.
        dataset: Its name.
        days: To keep, in order. Days that are not held are left alone.

    Returns:
        The entries that were added to the ledger, one for each day that is now kept.

    Raises:
        ConfigurationError: a held day has no published export. Nothing was recorded.
    """
    kept = []
    for day in days:
        record = day_record(store, dataset, day)
        hold = record.last_hold
        if hold is None:
            continue
        if record.published is None:
            raise ConfigurationError(
                f"{dataset} {day} is held and has no published export to keep.",
                "Correct its rows in the source, or the rule or limit that holds it, and run "
                f"`exporter export {dataset} {day}`. Nothing was changed: to keep other days of "
                "a range, name them without this day.",
            )
        entry = Entry(
            event="kept",
            dataset=dataset,
            day=day,
            generation=record.published.generation,
            data_version=record.published.data_version,
            source_state=hold.source_state,
        )
        kept.append(entry)
    for entry in kept:
        store.record(entry)
    return kept
