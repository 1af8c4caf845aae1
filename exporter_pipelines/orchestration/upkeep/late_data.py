"""Finds published days whose rows have changed in the source since, and exports them again.

https://docs.dagster.io/guides/automate/sensors
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from exporter_pipelines import databases, settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.source import Session
from exporter_pipelines.contracts.store import generation_of
from exporter_pipelines.defs_files import dataset_named, exported_names
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.orchestration.dagster_internals.partitioned_events import (
    check_evaluation,
    newest_materialization,
)
from exporter_pipelines.orchestration.exports.assets import GROUP, PRESETS_GROUP
from exporter_pipelines.stores.local.store import LocalStore

CHECK = "source_unchanged"

_MOST_SECONDS = 40.0
"""Of one tick; Dagster ends one after 60. The next goes on with the dataset that was next."""


@dg.sensor(
    name="late_data_sensor",
    target=dg.AssetSelection.groups(GROUP, PRESETS_GROUP),
    minimum_interval_seconds=600,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Compares published days with the source: how many rows, the largest key and, with "
    "`updated_column`, the latest update. A day that changed and settled gets a warning of the "
    "check source_unchanged, and is exported again where `late_data` of its dataset says so. "
    "See docs/late-data.md.",
)
def late_data_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One look at every dataset, or at as many as the time allows."""
    with databases.open_session() as session:
        look = _Look(context.instance, session, json.loads(context.cursor or "{}"))
        look.all()
    return dg.SensorResult(
        run_requests=look.run_requests,
        asset_events=look.events,
        cursor=json.dumps({"next": look.next, "seen": look.seen}),
        skip_reason=None if look.run_requests else dg.SkipReason(look.summary),
    )


@dataclass
class _Look:
    """A tick.

    Attributes:
        session: Reads the days.
        cursor: What the tick before left: `seen`, and the dataset that is `next`.
        seen: Dataset -> day -> [fingerprint, since (Unix time), whether it was reported], of days
            that differ from their export.
    """

    instance: dg.DagsterInstance
    session: Session
    cursor: dict[str, Any]
    run_requests: list[dg.RunRequest] = field(default_factory=list)
    events: list[dg.AssetCheckEvaluation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    next: str = ""
    days: int = 0

    def __post_init__(self) -> None:
        self.seen: dict[str, dict[str, list[Any]]] = dict(self.cursor.get("seen", {}))
        self._ends = time.monotonic() + _MOST_SECONDS
        self._now = time.time()

    @property
    def summary(self) -> str:
        """For the tick's line in the UI."""
        waiting = sum(len(days) for days in self.seen.values())
        looked = f"{self.days} published days looked at, {waiting} differ from the source."
        return " ".join([looked, *self.notes])

    def all(self) -> None:
        """Dataset after dataset, beginning with the one that the tick before did not reach."""
        names = exported_names()
        first = names.index(self.cursor["next"]) if self.cursor.get("next") in names else 0
        self.seen = {name: days for name, days in self.seen.items() if name in names}
        for name in [*names[first:], *names[:first]]:
            if time.monotonic() > self._ends:
                self.next = name
                self.notes.append(f"The time did not suffice; the next tick begins with {name}.")
                return
            before = self.seen.get(name, {})
            try:
                self._dataset(dataset_named(name), before)
            except ExporterError as error:
                self.seen[name] = before
                self.notes.append(f"{name}: {error}")

    def _dataset(self, dataset: Dataset, before: dict[str, list[Any]]) -> None:
        self.seen[dataset.name] = {}
        for manifest, fingerprint in _published(dataset):
            self.days += 1
            window = DayWindow.of(manifest.partition, settings.timezone())
            with self.session.day(dataset, window) as snapshot:
                seen, rows = snapshot.info.fingerprint, snapshot.row_count
            # A day that was restored from a backup of its data alone has no fingerprint.
            same = rows == manifest.counts.read if fingerprint is None else seen == fingerprint
            earlier = before.get(manifest.partition)
            if not same:
                self._differs(dataset, manifest, seen, rows, earlier)
            elif earlier and earlier[2]:
                self._judge(dataset, manifest.partition, 0)

    def _differs(
        self, dataset: Dataset, manifest: Manifest, seen: str, rows: int, earlier: list[Any] | None
    ) -> None:
        """Wait until the day has settled; then say so, once, and export it again if wanted."""
        name, day = dataset.name, manifest.partition
        entry: list[Any] = [seen, self._now, False]
        if earlier and earlier[0] == seen:
            entry = earlier
        self.seen[name][day] = entry
        settled = self._now - entry[1] >= 60 * dataset.config.late_data.settle_minutes
        if not settled or entry[2]:
            return
        entry[2] = True
        more = rows - manifest.counts.read
        self._judge(dataset, day, more, changed=True)
        # Fewer rows are only reported: the source may have purged them, and then the published
        # export is the only copy.
        if dataset.config.late_data.policy == "re-export" and more >= 0:
            # Once per state of the source: a run that holds the day is not repeated.
            self.run_requests.append(
                dg.RunRequest(
                    run_key=f"late:{name}:{day}:{seen}",
                    partition_key=day,
                    asset_selection=[dg.AssetKey(name)],
                    tags={"exporter/reason": "late data"},
                )
            )

    def _judge(self, dataset: Dataset, day: str, more: int, *, changed: bool = False) -> None:
        key = dg.AssetKey(dataset.name)
        said = "The source has the rows that were exported."
        if changed:
            what = f"{abs(more)} {'more' if more > 0 else 'fewer'} rows" if more else "other rows"
            said = f"The source has {what} by now than when the day was exported."
        self.events.append(
            check_evaluation(
                newest_materialization(self.instance, key, day),
                asset_key=key,
                check_name=CHECK,
                partition=day,
                passed=not changed,
                severity=dg.AssetCheckSeverity.WARN,
                description=said,
                metadata={"rows_more": more},
            )
        )


def _published(dataset: Dataset) -> Iterator[tuple[Manifest, str | None]]:
    """Manifest and fingerprint of the days to compare, newest first; damaged ones are left out."""
    store = LocalStore(settings.output_root())
    today = settings.today()
    for back in range(1, dataset.config.late_data.lookback_days + 1):
        day = today - dt.timedelta(days=back)
        data = store.read_manifest(dataset.name, day.isoformat())
        if manifest := Manifest.if_readable(data):
            known = store.read_fingerprint(dataset.name, manifest.partition, generation_of(data))
            yield manifest, known or manifest.source.fingerprint
