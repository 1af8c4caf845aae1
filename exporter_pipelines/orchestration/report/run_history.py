"""The status of every export in Dagster's history: published, held, failed, cancelled.

A day of a run is published if its materialization is recorded, and held if a holding check failed
for it in this run. Otherwise it has the status of the run.
Belongs here: reading runs and their events.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from exporter_pipelines.contracts.export_attempts import Attempt, ExportedRun, Status
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.judge import HOLDING
from exporter_pipelines.orchestration.dagster_internals.check_history import check_failed
from exporter_pipelines.orchestration.exports.day_events import NOT_PUBLISHED
from exporter_pipelines.orchestration.exports.run_output import OUTPUT_TAG, output_of_day

_PAGE = 100
MOST_EXPORTS = 5_000
"""Four times 400 days of three datasets. Older runs are left out."""

_OF_A_RUN: dict[dg.DagsterRunStatus, Status] = {
    dg.DagsterRunStatus.SUCCESS: "failed",  # a run that succeeded without recording the day
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
    dg.DagsterRunStatus.QUEUED: "queued",
    dg.DagsterRunStatus.NOT_STARTED: "queued",
}
"""Status of a day that is neither published nor held, by run; for all other runs `running`."""


def exported_runs(
    instance: dg.DagsterInstance, store: Store, datasets: Iterable[str], first: str, last: str
) -> list[ExportedRun]:
    """The runs that exported, or planned to export, days from `first` to `last`; newest first.

    They are those of all outputs, see `exports.run_output`.
    """
    wanted, found, attempts = set(datasets), [], 0
    for record in _records(instance):
        planned = [
            (dataset, day)
            for dataset, day in planned_days(instance, record.dagster_run.run_id)
            if dataset in wanted and first <= day <= last
        ]
        if planned:
            found.append(_run(instance, store, record, planned))
            attempts += len(planned)
        if attempts >= MOST_EXPORTS:
            break
    return found


def planned_days(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, str]]:
    """The (asset, day) pairs that a run planned to materialize; empty without partitions."""
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
    instance: dg.DagsterInstance,
    store: Store,
    record: dg.RunRecord,
    planned: list[tuple[str, str]],
) -> ExportedRun:
    run = record.dagster_run
    published, output = {}, run.tags.get(OUTPUT_TAG)
    for data in _events(instance, run.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION):
        done = data.materialization
        rows = done.metadata.get("rows_exported")
        key = done.asset_key.to_user_string(), done.partition
        published[key] = rows.value if rows else None
        if output is None and key in planned:
            output = output_of_day(store, done)
    otherwise = _OF_A_RUN.get(run.status, "running")
    reasons = _reasons(instance, run.run_id) if len(published) < len(planned) else {}
    attempts = []
    for dataset, day in planned:
        if (dataset, day) in published:
            attempts.append(Attempt(dataset, day, "published", published[dataset, day]))
        elif any(check_failed(instance, run.run_id, dataset, check, day) for check in HOLDING):
            attempts.append(Attempt(dataset, day, "held", reason=reasons.get((dataset, day))))
        else:
            attempts.append(Attempt(dataset, day, otherwise, reason=reasons.get((dataset, day))))
    return ExportedRun(
        run_id=run.run_id,
        started_at=_moment(record.start_time) or record.create_timestamp,
        ended_at=_moment(record.end_time),
        attempts=tuple(attempts),
        output=output,
    )


def _reasons(instance: dg.DagsterInstance, run_id: str) -> dict[tuple[str, str], str]:
    """(dataset, day) -> why it was held or failed; see `exports.day_events.not_published`."""
    found = {}
    for data in _events(instance, run_id, dg.DagsterEventType.ASSET_OBSERVATION):
        seen = data.asset_observation
        if reason := seen.metadata.get(NOT_PUBLISHED):
            found[seen.asset_key.to_user_string(), seen.partition] = str(reason.value)
    return found


def _events(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType) -> Iterator[Any]:
    """The `event_specific_data` of all events of a kind."""
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
