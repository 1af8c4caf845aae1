"""Builds of training sets: started as Dagster runs, followed by their id.

A build has no state of its own, as an export: all of it is in its run. A build that the UI or a
sensor started is the same.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from urllib.parse import quote

import dagster as dg

from exporter_pipelines.defs_files.training_sets import TrainingSets
from exporter_pipelines.orchestration.training.asset import HELD
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.dagster_ui import USER_TAG
from exporter_pipelines.service.launching import Launcher
from exporter_pipelines.service.models import BuildLinks, ExportState, TrainingSetBuild
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.training.pinning import pin

_REQUEST_TAG = "exporter/request"
_STATES: dict[dg.DagsterRunStatus, ExportState] = {
    dg.DagsterRunStatus.NOT_STARTED: "pending",
    dg.DagsterRunStatus.QUEUED: "pending",
    dg.DagsterRunStatus.STARTING: "pending",
    dg.DagsterRunStatus.MANAGED: "pending",
    dg.DagsterRunStatus.STARTED: "running",
    dg.DagsterRunStatus.CANCELING: "running",
    dg.DagsterRunStatus.SUCCESS: "completed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
    dg.DagsterRunStatus.FAILURE: "failed",
}
_FAILURE = f"{dg.Failure.__module__}.{dg.Failure.__qualname__}: "


def start(
    context: ServiceContext, launcher: Launcher, name: str, principal: Principal, key: str
) -> TrainingSetBuild:
    """Start a build; with a key that was used before, return the build that it started.

    Raises:
        UnknownNameError: there is no such training set.
        ConfigurationError, DayNotPublishedError, ColumnMismatchError: it cannot be built from the
            published days, as the build itself would say.
        Problem: 503 if Dagster cannot start it.
    """
    digest = hashlib.sha256(f"{principal.name}\n{name}\n{key}".encode()).hexdigest()[:32]
    if key and (before := _started(context, digest)):
        return build_of(context, name, before)
    pin(TrainingSets(context.definitions).named(name), context.store)
    tags = {USER_TAG: principal.name, **({_REQUEST_TAG: digest} if key else {})}
    run_id = launcher.launch_asset(name, launcher.places([name])[name], tags)
    return build_of(context, name, run_id)


def build_of(context: ServiceContext, name: str, build_id: str) -> TrainingSetBuild:
    """A build as it is now.

    Raises:
        Problem: 404 if there is no such build of this set.
    """
    records = context.instance.get_run_records(dg.RunsFilter(run_ids=[build_id]))
    if not records or not _builds(records[0].dagster_run, name):
        raise Problem(404, f"There is no build {build_id!r} of {name!r}.")
    return _described(context, name, records[0])


def _described(context: ServiceContext, name: str, record: dg.RunRecord) -> TrainingSetBuild:
    run = record.dagster_run
    status, problem = _STATES[run.status], None
    if status == "failed":
        held, problem = _why(context.instance, run.run_id)
        status = "held" if held else "failed"
    own = f"/api/v1/training-sets/{quote(name, safe='')}"
    return TrainingSetBuild(
        id=run.run_id,
        training_set=name,
        status=status,
        created_at=_aware(record.create_timestamp),
        started_at=_moment(record.start_time),
        ended_at=_moment(record.end_time),
        user=run.tags.get(USER_TAG),
        problem=problem,
        links=BuildLinks(
            self=context.url(f"{own}/builds/{run.run_id}"),
            training_set=context.url(own),
            dagster=context.url(f"/runs/{run.run_id}"),
        ),
    )


def newest_builds(context: ServiceContext, names: Iterable[str]) -> dict[str, TrainingSetBuild]:
    """Name -> the newest build that Dagster knows, whatever started it."""
    assets = context.instance.get_asset_records([dg.AssetKey(name) for name in names])
    entries = [each.asset_entry for each in assets]
    run_ids = [each.last_run_id for each in entries if each.last_run_id]
    records = context.instance.get_run_records(dg.RunsFilter(run_ids=run_ids)) if run_ids else ()
    by_id = {record.dagster_run.run_id: record for record in records}
    return {
        each.asset_key.path[0]: _described(context, each.asset_key.path[0], by_id[each.last_run_id])
        for each in entries
        if each.last_run_id in by_id  # a run may have been deleted from the history
    }


def _started(context: ServiceContext, digest: str) -> str | None:
    wanted = dg.RunsFilter(tags={_REQUEST_TAG: digest})
    records = context.instance.get_run_records(wanted, limit=1)
    return records[0].dagster_run.run_id if records else None


def _builds(run: dg.DagsterRun, name: str) -> bool:
    return run.asset_selection is not None and dg.AssetKey(name) in run.asset_selection


def _why(instance: dg.DagsterInstance, run_id: str) -> tuple[bool, str | None]:
    """Whether a check holds the set, and the sentence of the failure."""
    failures = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    for record in instance.get_records_for_run(run_id, of_type=failures).records:
        event = record.event_log_entry.dagster_event
        if event and event.event_type == dg.DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            error = data.error
            text = (error.cause or error).message if error else ""
            given = data.user_failure_data.metadata if data.user_failure_data else {}
            return HELD in given, text.removeprefix(_FAILURE).strip() or None
        if event and event.message:
            return False, event.message
    return False, None


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _moment(timestamp: float | None) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC) if timestamp else None
