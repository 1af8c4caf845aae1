"""What became of every export, as Dagster remembers: published, held, failed, cancelled.

Belongs here: reading runs and their events. A day of a run is published when its materialization
is recorded, held when a check that holds failed for it in this run, and otherwise what became of
the run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from exporter_pipelines.contracts.export_attempts import Attempt, ExportedRun, Status
from exporter_pipelines.engine.judge import HOLDING
from exporter_pipelines.orchestration.dagster_internals.check_history import check_failed

_PAGE = 100
_MOST_ATTEMPTS = 5_000
"""Enough for 400 days of three datasets, four times; older runs are left out."""

_OF_A_RUN: dict[dg.DagsterRunStatus, Status] = {
    dg.DagsterRunStatus.SUCCESS: "failed",  # it published nothing and does not know it
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
    dg.DagsterRunStatus.QUEUED: "queued",
    dg.DagsterRunStatus.NOT_STARTED: "queued",
}
"""What a day without a record of its own is; of all other runs it is `running`."""


def exported_runs(
    instance: dg.DagsterInstance, datasets: Iterable[str], first: str, last: str
) -> list[ExportedRun]:
    """The runs that exported days from `first` to `last`, or were to; newest first."""
    wanted, found, attempts = set(datasets), [], 0
    for record in _records(instance):
        planned = [
            (dataset, day)
            for dataset, day in planned_days(instance, record.dagster_run.run_id)
            if dataset in wanted and first <= day <= last
        ]
        if planned:
            found.append(_run(instance, record, planned))
            attempts += len(planned)
        if attempts >= _MOST_ATTEMPTS:
            break
    return found


def planned_days(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, str]]:
    """(asset, day) that a run was to materialize; empty for one without partitions."""
    planned = []
    for data in _events(instance, run_id, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED):
        days = data.partitions_subset.get_partition_keys() if data.partitions_subset else ()
        asset = data.asset_key.to_user_string()
        planned += [(asset, day) for day in (days or filter(None, [data.partition]))]
    return planned


def _records(instance: dg.DagsterInstance) -> Iterator[dg.RunRecord]:
    cursor = None
    while records := instance.get_run_records(limit=_PAGE, cursor=cursor):
        yield from records
        cursor = records[-1].dagster_run.run_id


def _run(
    instance: dg.DagsterInstance, record: dg.RunRecord, planned: list[tuple[str, str]]
) -> ExportedRun:
    run = record.dagster_run
    published = {}
    for data in _events(instance, run.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION):
        done = data.materialization
        rows = done.metadata.get("rows_exported")
        published[done.asset_key.to_user_string(), done.partition] = rows.value if rows else None
    otherwise = _OF_A_RUN.get(run.status, "running")
    attempts = []
    for dataset, day in planned:
        if (dataset, day) in published:
            attempts.append(Attempt(dataset, day, "published", published[dataset, day]))
        elif any(check_failed(instance, run.run_id, dataset, check, day) for check in HOLDING):
            attempts.append(Attempt(dataset, day, "held"))
        else:
            attempts.append(Attempt(dataset, day, otherwise))
    return ExportedRun(
        run_id=run.run_id,
        started_at=_moment(record.start_time) or record.create_timestamp,
        ended_at=_moment(record.end_time),
        attempts=tuple(attempts),
    )


def _events(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType) -> Iterator[Any]:
    """What the events of a kind say: their `event_specific_data`."""
    cursor = None
    while True:
        page = instance.get_records_for_run(run_id, cursor=cursor, of_type=kind, limit=1_000)
        for record in page.records:
            if event := record.event_log_entry.dagster_event:
                yield event.event_specific_data
        if not page.has_more:
            return
        cursor = page.cursor


def _moment(timestamp: float | None) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC) if timestamp else None
