"""Runs that failed or were cancelled since the last tick, and what they should have exported."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import dagster as dg

from exporter_pipelines.defs_files import exported_names
from exporter_pipelines.orchestration.dagster_internals.unfinished_days import was_interrupted

_End = Literal[dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED]
_ENDS: tuple[_End, ...] = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)
_OVERLAP = 100
"""Number of events to read again: PostgreSQL may show an event before one with a smaller id."""
_MOST_RUNS = 50


@dataclass
class EndedRuns:
    """The place in the history up to which runs were read.

    Attributes:
        floor: Events up to this one are not read.
        seen: The newest events that were read.
    """

    instance: dg.DagsterInstance
    floor: int
    seen: list[int] = field(default_factory=list)

    @classmethod
    def from_text(cls, instance: dg.DagsterInstance, text: str) -> EndedRuns:
        """The place of an earlier tick; the end of the history at the first tick."""
        if text:
            return cls(instance, **json.loads(text))
        newest = (instance.fetch_run_status_changes(end, limit=1).records for end in _ENDS)
        return cls(instance, max((r.storage_id for found in newest for r in found), default=0))

    def to_text(self) -> str:
        """For the next tick."""
        return json.dumps({"floor": self.floor, "seen": self.seen})

    def unread(self) -> Iterator[dg.DagsterRun]:
        """The runs that ended since then. A run counts as read when the next one is asked for."""
        after = max(self.floor, max(self.seen, default=0) - _OVERLAP)
        ends, horizon = {}, math.inf
        for end in _ENDS:
            wanted = dg.RunStatusChangeRecordsFilter(end, after_storage_id=after)
            found = self.instance.fetch_run_status_changes(
                wanted, limit=_MOST_RUNS, ascending=True
            ).records
            ends.update({record.storage_id: record.run_id for record in found})
            if len(found) == _MOST_RUNS:
                # There may be more events of this type, older than those of the other type.
                horizon = min(horizon, found[-1].storage_id)
        for storage_id in sorted(each for each in ends.keys() - set(self.seen) if each <= horizon):
            if run := self.instance.get_run_by_id(ends[storage_id]):
                yield run
            seen = [*self.seen, storage_id]
            self.seen = [each for each in seen if each >= max(seen) - _OVERLAP]


def planned_days(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, list[str]]:
    """Dataset -> the days that the run should have exported, in order."""
    planned: dict[str, list[str]] = {name: [] for name in exported_names()}
    of_type = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    for entry in instance.all_logs(run.run_id, of_type=of_type):
        if entry.dagster_event:
            data = entry.dagster_event.asset_materialization_planned_data
            subset = data.partitions_subset
            days = list(subset.get_partition_keys()) if subset else [data.partition]
            if (dataset := data.asset_key.to_user_string()) in planned:
                planned[dataset].extend(day for day in days if day)
    return {dataset: sorted(days) for dataset, days in planned.items() if days}


def failed_assets(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str | None]:
    """Assets whose export failed by itself, and was not stopped from outside."""
    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    failures = [entry.dagster_event for entry in entries if entry.dagster_event]
    return {failure.step_key for failure in failures if not was_interrupted(failure)}
