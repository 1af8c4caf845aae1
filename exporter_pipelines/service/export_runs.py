"""The runs of an export: those with the same id in a tag, or of one backfill, or one run.

A run that repeats another, by a retry of Dagster or from the UI, belongs to the same export.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dagster as dg

from exporter_pipelines.orchestration.dagster_internals.backfills import Backfill, read_backfill
from exporter_pipelines.orchestration.exports.export_group import EXPORT_TAG
from exporter_pipelines.orchestration.exports.metadata import is_export
from exporter_pipelines.orchestration.exports.run_output import OUTPUT_TAG

BACKFILL_TAG = "dagster/backfill"
_ROOT_TAG = "dagster/root_run_id"
_GROUPING = (EXPORT_TAG, BACKFILL_TAG, _ROOT_TAG)
_MOST_RUNS = 5_000


@dataclass(frozen=True)
class ExportRuns:
    """The runs of one export.

    Attributes:
        id: Of the export.
        records: Of its runs, oldest first; empty for a backfill that has not started one.
        backfill: The backfill that it is; None for other exports, and where it was not asked for.
    """

    id: str
    records: Sequence[dg.RunRecord]
    backfill: Backfill | None = None

    @property
    def runs(self) -> list[dg.DagsterRun]:
        """Its runs, oldest first."""
        return [record.dagster_run for record in self.records]

    @property
    def output(self) -> str | None:
        """Where its newest run exported to; None if no run says so."""
        places = (run.tags.get(OUTPUT_TAG) for run in reversed(self.runs))
        return next(filter(None, places), None)

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the first run, or of the backfill."""
        if self.records:
            return dict(self.records[0].dagster_run.tags)
        return dict(self.backfill.tags) if self.backfill else {}


def export_id(run: dg.DagsterRun) -> str:
    """The id of the export that a run belongs to."""
    return next((run.tags[tag] for tag in _GROUPING if tag in run.tags), run.run_id)


def find(instance: dg.DagsterInstance, id_: str) -> ExportRuns | None:
    """The runs of an export.

    Args:
        instance: Of the runs.
        id_: Of an export, of a backfill, or of any of its runs.
    """
    records = _tagged(instance, EXPORT_TAG, [id_])
    if not records:
        named = list(instance.get_run_records(dg.RunsFilter(run_ids=[id_])))
        if named and (whole := export_id(named[0].dagster_run)) != id_:
            return find(instance, whole)
        records = [*named, *_tagged(instance, _ROOT_TAG, [id_])]
    backfill = read_backfill(instance, id_)
    if backfill:
        records = _tagged(instance, BACKFILL_TAG, [id_])
    return ExportRuns(id_, _oldest_first(records), backfill) if records or backfill else None


def was_exported(instance: dg.DagsterInstance, dataset: str) -> bool:
    """Whether Dagster's index of assets knows exports of a dataset, by two queries at most.

    A dataset of which no day was ever published counts if a run was to export it. One whose history
    was wiped in the UI does not.
    """
    key = dg.AssetKey(dataset)
    if not instance.has_asset_key(key):
        return False
    newest = instance.get_latest_materialization_event(key)
    done = newest.asset_materialization if newest else None
    return done is None or is_export(done.metadata)  # else it is another asset


def exports_of_runs(
    instance: dg.DagsterInstance, records: Sequence[dg.RunRecord]
) -> list[ExportRuns]:
    """The exports of some runs, with all of their runs, in the order of the newest one given.

    It takes four queries at most, whatever the number of runs.
    """
    runs = [record.dagster_run for record in records]
    members = {record.dagster_run.run_id: record for record in records}
    for tag in (EXPORT_TAG, BACKFILL_TAG):
        members |= _by_id(_tagged(instance, tag, _values(runs, tag)))
    alone = {export_id(run) for run in runs if not {EXPORT_TAG, BACKFILL_TAG} & set(run.tags)}
    members |= _by_id(_tagged(instance, _ROOT_TAG, sorted(alone)))
    if roots := sorted(alone.difference(members)):
        members |= _by_id(instance.get_run_records(dg.RunsFilter(run_ids=roots)))
    groups: dict[str, list[dg.RunRecord]] = {export_id(run): [] for run in runs}
    for record in members.values():
        groups[export_id(record.dagster_run)].append(record)
    return [ExportRuns(id_, _oldest_first(found)) for id_, found in groups.items()]


def _tagged(instance: dg.DagsterInstance, tag: str, values: Sequence[str]) -> list[dg.RunRecord]:
    if not values:
        return []
    wanted = dg.RunsFilter(tags={tag: list(values)})
    found = instance.get_run_records(wanted, limit=_MOST_RUNS)
    return [record for record in found if export_id(record.dagster_run) in values]


def _values(runs: Iterable[dg.DagsterRun], tag: str) -> list[str]:
    """The values of a tag that are ids of exports."""
    return sorted({run.tags[tag] for run in runs if run.tags.get(tag) == export_id(run)})


def _by_id(records: Iterable[dg.RunRecord]) -> dict[str, dg.RunRecord]:
    return {record.dagster_run.run_id: record for record in records}


def _oldest_first(records: Iterable[dg.RunRecord]) -> list[dg.RunRecord]:
    return sorted(_by_id(records).values(), key=lambda record: record.storage_id)
