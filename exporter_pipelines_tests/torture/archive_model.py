"""A backend and its published days, and what must be true of them after each event.

The model knows the rows of the source and of each export by their ids. It knows nothing of keys
that are looked up, hashes or ledgers: only which rows were there and which are.
"""

from __future__ import annotations

import datetime as dt
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from exporter_pipelines.contracts.ledger import DayRecord
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local.ledger import datasets as recorded_datasets
from exporter_pipelines.verification.ledger import missing_days, verify_recorded
from exporter_pipelines.verification.report import VerifyReport
from exporter_pipelines_tests.support.backends import Backend

MAX_ROWS, MAX_PCT = 10, 10.0
ROWS = 60
TODAY = dt.datetime.now(dt.UTC).date()
DAYS = [str(TODAY - dt.timedelta(days=back)) for back in range(6, 0, -1)]


@dataclass
class Day:
    """What the model knows about one day.

    Attributes:
        ids: Of the published rows; None when the day is not published.
        baseline: Most source rows since a loss was accepted.
        gone: Rows lost since then.
        tampered: How the campaign changed the folder: `missing`, `older` or "".
        backup: Folder with an earlier export, and its ids.
    """

    ids: set[int] | None = None
    baseline: int = 0
    gone: int = 0
    tampered: str = ""
    backup: tuple[Path, set[int]] | None = None


@dataclass
class Archive:
    """The state of one sequence."""

    backend: Backend
    store: LocalStore
    dice: random.Random
    days: dict[str, Day] = field(default_factory=lambda: {day: Day() for day in DAYS})
    history: list[str] = field(default_factory=list)
    next_id: int = 1

    # The source

    def add(self, day: str, count: int) -> None:
        """Add rows with new keys to the source."""
        self.backend.add_logs(day, count, first_id=self.next_id)
        self.next_id += count

    def source_ids(self) -> dict[int, str]:
        """Id -> day, of all rows of the source."""
        rows = self.backend.run("SELECT id, (timestamp AT TIME ZONE 'UTC')::date::text FROM logs")
        return dict(rows)

    def some_ids(self, day: str, count: int) -> list[int]:
        """Random keys of a day."""
        ids = sorted(id_ for id_, of in self.source_ids().items() if of == day)
        return self.dice.sample(ids, min(count, len(ids)))

    # The exports

    def published(self, day: str) -> set[int] | None:
        """Ids of the rows that are published now, read from the files."""
        if Manifest.if_readable(self.store.read_manifest("logs", day)) is None:
            return None
        return {
            id_ for batch in open_day(self.store, "logs", day) for id_ in batch["id"].to_pylist()
        }

    def tampering(self, day: str, how: str) -> None:
        """Note what the campaign did to a folder."""
        self.days[day].tampered = how
        self.days[day].ids = self.published(day)

    def loss(self, day: str, *, accepted: bool, source: dict[int, str]) -> str:
        """What is wrong with how the published day changed; "" if nothing is.

        Args:
            accepted: Whether an operator accepted the loss of the day.
            source: Of the database that was exported, by `source_ids`.
        """
        known, after = self.days[day], self.published(day)
        before = known.ids
        if before == after:
            return ""
        known.tampered = ""  # it was published again
        if after is None:
            return "the export is gone"
        now = sum(of == day for of in source.values())
        gone = {id_ for id_ in before or () if id_ not in after and id_ not in source}
        known.ids = after
        if accepted or now >= known.baseline:
            replaced = len(gone) if now > known.baseline and not accepted else 0
            known.baseline, known.gone = now, 0
            # More rows than before: rule 2 passes without a look at the keys.
            return "" if replaced <= now else f"{replaced} rows gone from a day that grew"
        known.gone += len(gone)
        above = known.gone > MAX_ROWS and 100 * known.gone > MAX_PCT * known.baseline
        if gone and (above or not now):
            return f"{known.gone} of {known.baseline} rows are gone without a hold"
        return ""

    def wrongly_held(self, day: str, *, source: dict[int, str]) -> bool:
        """Whether a held day lost no row: all published rows are in the source."""
        ids = self.days[day].ids
        return ids is not None and all(id_ in source for id_ in ids)

    # `exporter verify`

    def findings(self) -> dict[str, str]:
        """Day -> kind, of what the ledger says about the published days."""
        found = {}
        published = self.store.published_days("logs")
        for day in sorted({*published, *missing_days(self.store, "logs", published)}):
            report = VerifyReport("logs", day)
            verify_recorded(self.store, "logs", day, report)
            for finding in report.findings:
                if finding.level == "FAIL":
                    found[day] = finding.kind
        assert recorded_datasets(self.store.root) == ["logs"]
        return found

    def expected_findings(self) -> dict[str, str]:
        """Day -> kind, of what should be found."""
        return {day: f"day_{known.tampered}" for day, known in self.days.items() if known.tampered}

    # What happens to the folder

    def delete(self, day: str) -> None:
        """Delete the folder of a day."""
        if self.published(day) is not None:
            shutil.rmtree(self.store.day_folder("logs", day))
            self.tampering(day, "missing")

    def back_up(self, day: str) -> None:
        """Copy the folder of a day."""
        ids = self.published(day)
        if ids is not None and not self.days[day].tampered:
            target = self.store.root.parent / "backup" / f"{day}-{len(self.history)}"
            shutil.copytree(self.store.day_folder("logs", day), target)
            self.days[day].backup = target, ids

    def restore(self, day: str) -> None:
        """Copy the newest backup of a day back."""
        backup = self.days[day].backup
        if backup is None:
            return
        target = self.store.day_folder("logs", day)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(backup[0], target)
        generation = self.store.generation("logs", day)
        record = DayRecord.of(self.store.entries("logs", day), generation)
        is_newest = generation == record.expected
        self.tampering(day, "" if is_newest else "older")
