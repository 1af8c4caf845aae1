"""What a finished run did, read from Dagster's event log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from exporter_pipelines import errors
from exporter_pipelines.orchestration.dagster_internals.engine_errors import engine_error
from exporter_pipelines.orchestration.dagster_internals.unfinished_days import was_interrupted

_WILL_RETRY_TAG = "dagster/will_retry"
_PAGE = 1000
_OF_INTEREST = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.ENGINE_EVENT,
    dg.DagsterEventType.RUN_FAILURE,
}

_INTERRUPTED = (
    "The run was stopped from outside: its process received SIGTERM, SIGINT (Ctrl-C) or SIGHUP "
    "(its terminal was closed)."
)

AssetDay = tuple[str, str]
"""(asset, partition key); the key is empty where there are no partitions."""


@dataclass
class EndedRun:
    """A run with status SUCCESS, FAILURE or CANCELED.

    Attributes:
        run: The run.
        ended_at: Unix time.
        planned: Asset and day -> the step that should materialize it.
        published: Asset and day -> its materialization.
        evaluations: Asset, day and check -> the last evaluation.
        observed: Asset and day -> what its page says about a day that is not published.
        failed_steps: Step -> the reason, if it may be shown.
        last_words: Why a run failed that has no failed step: Dagster's message, and its newest
            engine error.
        engine_error: The newest error of Dagster itself in the log of the run.
    """

    run: dg.DagsterRun
    ended_at: float | None = None
    planned: dict[AssetDay, str] = field(default_factory=dict)
    published: dict[AssetDay, dg.AssetMaterialization] = field(default_factory=dict)
    evaluations: dict[tuple[str, str, str], dg.AssetCheckEvaluation] = field(default_factory=dict)
    observed: dict[AssetDay, dg.AssetObservation] = field(default_factory=dict)
    failed_steps: dict[str, str] = field(default_factory=dict)
    last_words: str = ""
    engine_error: str = ""

    @property
    def failed(self) -> bool:
        """Whether it failed and Dagster will not retry it; false for cancelled runs."""
        # Dagster also tags runs of the command line, but cannot start them again.
        can_retry = self.run.remote_job_origin is not None
        will_retry = can_retry and self.run.tags.get(_WILL_RETRY_TAG) == "true"
        return self.run.status == dg.DagsterRunStatus.FAILURE and not will_retry

    def materialized(self) -> set[AssetDay]:
        """What was materialized; for a successful run, everything that was planned."""
        succeeded = self.run.status == dg.DagsterRunStatus.SUCCESS
        return {*self.published, *(self.planned if succeeded else ())}

    def missing(self) -> set[AssetDay]:
        """What was planned and not materialized; only of the failed steps, if there are any."""
        return {
            day
            for day, step in self.planned.items()
            if day not in self.published and (not self.failed_steps or step in self.failed_steps)
        }


def read_run(instance: dg.DagsterInstance, record: dg.RunRecord, datasets: set[str]) -> EndedRun:
    """Read the events of a run.

    Args:
        instance: Stores the events.
        record: Of a finished run.
        datasets: Assets whose failures contain no row content and may be shown.
    """
    ended = EndedRun(record.dagster_run, record.end_time)
    for event in _events(instance, record.dagster_run.run_id):
        _add_event(ended, event, datasets)
    return ended


_OWN_OPS = ("prune", "repair")
"""Steps of `prune_job` and `repair_job`; their messages quote no row."""


def _events(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.DagsterEvent]:
    cursor, more = None, True
    while more:
        page = instance.get_records_for_run(run_id, cursor, _OF_INTEREST, _PAGE)
        cursor, more = page.cursor, page.has_more
        for record in page.records:
            if event := record.event_log_entry.dagster_event:
                yield event


def _add_event(ended: EndedRun, event: dg.DagsterEvent, datasets: set[str]) -> None:
    if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
        data = event.asset_materialization_planned_data
        asset, subset = data.asset_key.to_user_string(), data.partitions_subset
        for day in list(subset.get_partition_keys()) if subset else [data.partition or ""]:
            ended.planned[asset, day] = event.step_key or ""
    elif event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
        done = event.step_materialization_data.materialization
        ended.published[done.asset_key.to_user_string(), done.partition or ""] = done
    elif event.event_type == dg.DagsterEventType.ASSET_OBSERVATION:
        seen = event.asset_observation_data.asset_observation
        ended.observed[seen.asset_key.to_user_string(), seen.partition or ""] = seen
    elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        found = event.asset_check_evaluation_data
        asset = found.asset_key.to_user_string()
        ended.evaluations[asset, found.partition or "", found.check_name] = found
    elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
        step = event.step_key or ""
        ended.failed_steps[step] = _failure_text(event, may_quote=step in {*datasets, *_OWN_OPS})
    elif event.event_type == dg.DagsterEventType.ENGINE_EVENT:
        ended.engine_error = engine_error(event) or ended.engine_error
    else:
        ended.last_words = _last_words(event, ended.engine_error)


def _failure_text(event: dg.DagsterEvent, *, may_quote: bool) -> str:
    """The failure of our own assets; only the class for others, whose text may quote a row."""
    data = event.step_failure_data
    if was_interrupted(event):
        return _INTERRUPTED
    if may_quote and data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    return _error_text(data.error)


def _last_words(event: dg.DagsterEvent, engine_error: str) -> str:
    """Why a run failed; with the newest engine error at the end, unless it is there already."""
    error = getattr(event.event_specific_data, "error", None)  # none if it failed from outside
    text = f"{event.message} {_error_text(error)}" if error else event.message or ""
    return f"{text} {engine_error}" if engine_error not in text else text


def _error_text(error: Any) -> str:
    """The message of our own errors; only the class of others, whose text may quote a row."""
    while error and error.cause:
        error = error.cause
    name = (error.cls_name if error else None) or "an error"
    if error and isinstance(getattr(errors, name, None), type):
        return str(error.message).partition(": ")[2].strip()
    return f"{name}; see the log of the run."
