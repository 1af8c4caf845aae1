"""Finds published days whose rows have changed in the source, and exports them again.

https://docs.dagster.io/guides/automate/sensors
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import dagster as dg

from exporter_pipelines import databases, settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.ledger import source_state
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.contracts.source import Session
from exporter_pipelines.defs_files import dataset_named, exported_names
from exporter_pipelines.docs_links import linked
from exporter_pipelines.engine.day_record import day_record
from exporter_pipelines.engine.kept_days import source_keeps_no_longer
from exporter_pipelines.engine.private_fingerprint import stored_fingerprint
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.orchestration.dagster_internals.partitioned_events import (
    check_evaluation,
    newest_materialization,
)
from exporter_pipelines.orchestration.dagster_internals.reported_checks import forget_reported
from exporter_pipelines.orchestration.exports.assets import GROUP, PRESETS_GROUP
from exporter_pipelines.stores.opening import open_store

CHECK = "source_unchanged"

_TICK_S = 40.0
"""Time limit of a tick; Dagster's own is 60 s. The next tick continues with the next dataset."""


@dg.sensor(
    name="late_data_sensor",
    target=dg.AssetSelection.groups(GROUP, PRESETS_GROUP),
    minimum_interval_seconds=600,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description=linked(
        "Compares published days with the source by their number of rows, largest key and, "
        "with `updated_column`, latest update. When a day has changed and then stayed the same for "
        "`settle_minutes`, its check source_unchanged warns, and the day is exported again if "
        "`late_data` of its dataset asks for it. See docs/late-data.md."
    ),
)
def late_data_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Compare the published days of all datasets, within the time limit of a tick."""
    with databases.open_session() as session:
        tick = _Tick(context.instance, session, json.loads(context.cursor or "{}"))
        tick.compare_datasets()
    return dg.SensorResult(
        run_requests=tick.run_requests,
        asset_events=tick.events,
        cursor=json.dumps({"next": tick.next_dataset, "seen": tick.changed}),
        skip_reason=None if tick.run_requests else dg.SkipReason(tick.summary),
    )


@dataclass
class _Tick:
    """One evaluation of the sensor.

    Attributes:
        session: Reads the days.
        cursor: Of the previous tick: `seen` holds its `changed`, `next` its `next_dataset`.
        next_dataset: The first dataset that this tick had no time for; empty if there is none.
        changed: Dataset -> day -> [fingerprint, since (Unix time), whether it was reported], for
            days that differ from their export.
    """

    instance: dg.DagsterInstance
    session: Session
    cursor: dict[str, Any]
    run_requests: list[dg.RunRequest] = field(default_factory=list)
    events: list[dg.AssetCheckEvaluation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    next_dataset: str = ""
    days_compared: int = 0

    def __post_init__(self) -> None:
        self.changed: dict[str, dict[str, list[Any]]] = dict(self.cursor.get("seen", {}))
        self._ends = time.monotonic() + _TICK_S
        self._now = time.time()

    @property
    def summary(self) -> str:
        """The skip reason that the UI shows for the tick."""
        differing = sum(len(days) for days in self.changed.values())
        counts = f"{self.days_compared} published days compared, {differing} differ."
        return " ".join([counts, *self.notes])

    def compare_datasets(self) -> None:
        """Compare each dataset, starting with the one that the previous tick did not reach."""
        names = exported_names()
        first = names.index(self.cursor["next"]) if self.cursor.get("next") in names else 0
        self.changed = {name: days for name, days in self.changed.items() if name in names}
        for name in [*names[first:], *names[:first]]:
            if time.monotonic() > self._ends:
                self.next_dataset = name
                self.notes.append(f"Time limit reached; the next tick starts with {name}.")
                return
            before = self.changed.get(name, {})
            try:
                self._compare(dataset_named(name), before)
            except ExporterError as error:
                self.changed[name] = before
                self.notes.append(f"{name}: {error}")

    def _compare(self, dataset: Dataset, before: dict[str, list[Any]]) -> None:
        self.changed[dataset.name] = {}
        for manifest, fingerprint in _published(dataset):
            self.days_compared += 1
            window = DayWindow.of(manifest.partition, settings.timezone())
            with self.session.day(dataset, window) as snapshot:
                rows = snapshot.row_count
                seen = stored_fingerprint(dataset, snapshot.info.fingerprint)
            # A day that was restored from a backup without `.fingerprints/` has none.
            same = rows == manifest.counts.read if fingerprint is None else seen == fingerprint
            same = same or _is_kept(dataset.name, manifest.partition, source_state(rows, seen))
            earlier = before.get(manifest.partition)
            if not same:
                self._handle_change(dataset, manifest, seen, rows, earlier)
            elif earlier and earlier[2]:
                self._add_check(dataset, manifest.partition, 0)

    def _handle_change(
        self, dataset: Dataset, manifest: Manifest, seen: str, rows: int, earlier: list[Any] | None
    ) -> None:
        """Once the day has settled, warn once, and request an export if the dataset asks for it."""
        name, day = dataset.name, manifest.partition
        entry: list[Any] = [seen, self._now, False]
        if earlier and earlier[0] == seen:
            entry = earlier
        self.changed[name][day] = entry
        settled = self._now - entry[1] >= 60 * dataset.config.late_data.settle_minutes
        if not settled or entry[2]:
            return
        entry[2] = True
        more = rows - manifest.counts.read
        self._add_check(dataset, day, more, changed=True)
        # Unless the dataset says otherwise, fewer rows are only reported: the source may have
        # purged them, and then the published export is the only copy.
        late_data = dataset.config.late_data
        if late_data.policy == "re-export" and (more >= 0 or late_data.deletes == "follow"):
            # One run per state of the source: if it holds the day, it is not repeated.
            self.run_requests.append(
                dg.RunRequest(
                    run_key=f"late:{name}:{day}:{seen}",
                    partition_key=day,
                    asset_selection=[dg.AssetKey(name)],
                    tags={"exporter/reason": "late data"},
                )
            )

    def _add_check(self, dataset: Dataset, day: str, more: int, *, changed: bool = False) -> None:
        key = dg.AssetKey(dataset.name)
        description = "The source has the rows that were exported."
        if changed:
            what = (
                f"{abs(more)} {'more' if more > 0 else 'fewer'} rows" if more else "different rows"
            )
            description = f"The source now has {what} than when the day was exported."
        event = check_evaluation(
            newest_materialization(self.instance, key, day),
            asset_key=key,
            check_name=CHECK,
            partition=day,
            passed=not changed,
            severity=dg.AssetCheckSeverity.WARN,
            description=description,
            metadata={"rows_more": more},
        )
        forget_reported(self.instance, event)
        self.events.append(event)


def _is_kept(dataset: str, day: str, state: str) -> bool:
    """Whether an operator keeps the export of a day while the source is in this state."""
    return day_record(open_store(), dataset, day).kept_state == state


def _published(dataset: Dataset) -> Iterator[tuple[Manifest, str | None]]:
    """Manifest and fingerprint of the days to compare, newest first, without damaged ones."""
    store = open_store()
    today = settings.today()
    back = range(1, dataset.config.late_data.lookback_days + 1)
    newest_first = ((today - dt.timedelta(days=days)).isoformat() for days in back)
    days = takewhile(lambda day: not source_keeps_no_longer(dataset, day, today), newest_first)
    for _, data in store.read_manifests(dataset.name, [*days]):
        if manifest := Manifest.if_readable(data):
            known = store.read_fingerprint(dataset.name, manifest.partition, generation_of(data))
            yield manifest, known or manifest.source.fingerprint
