"""What became of each day of a run, from its events, each of which is read once.

The service asks for a run in progress again and again, and events are only ever added. So it keeps
what it has read, and asks Dagster for the newer ones.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from exporter_pipelines.errors import DayHeldError
from exporter_pipelines.orchestration.exports.day_events import NOT_PUBLISHED
from exporter_pipelines.orchestration.exports.metadata import is_export
from exporter_pipelines.orchestration.exports.outcome import not_tried_in
from exporter_pipelines.service.models import DayState

_KEPT_RUNS = 500
_PAGE = 1_000
_FAILURE = f"{dg.Failure.__module__}.{dg.Failure.__qualname__}: "
"""Before the message of a `dg.Failure`."""
_EVENTS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
}


@dataclass(frozen=True)
class DayResult:
    """What a run has recorded about a day.

    Attributes:
        status: `published`, `held` or `failed`.
        rows, rejected, size_bytes: Of the published day.
        problem: Why it was not published.
        action: What to do about it, if the day is held.
        docs_entry: Heading in docs/failures.md about it.
        lost_rows: Rows of the published export that the source has lost, if this holds the day.
    """

    status: DayState
    rows: int | None = None
    rejected: int | None = None
    size_bytes: int | None = None
    problem: str | None = None
    action: str | None = None
    docs_entry: str | None = None
    lost_rows: int | None = None


@dataclass
class RunResults:
    """What a run has recorded so far.

    Attributes:
        days: (dataset, day) -> its result.
        failures: Dataset -> why its step failed; under "" why the run failed.
        unrecorded: (dataset, day) without a result -> whether a run that has ended published it.
    """

    days: dict[tuple[str, str], DayResult] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    unrecorded: dict[tuple[str, str], bool] = field(default_factory=dict)

    def why(self, dataset: str) -> str | None:
        """Why a day without a result of its own was not exported; one sentence."""
        text = self.failures.get(dataset) or self.failures.get("") or ""
        failed = re.findall(rf"(?m)^{re.escape(dataset)} (\d{{4}}-\d\d-\d\d): ", text)
        if failed and not_tried_in(text, dataset):
            return f"Not tried: the run gave up {dataset} when {failed[-1]} failed."
        return text.strip().partition("\n")[0] or None


@dataclass
class _Reading:
    results: RunResults = field(default_factory=RunResults)
    cursor: str | None = None
    is_complete: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class ResultsReader:
    """Reads the results of runs; one for all requests.

    Args:
        instance: Of the runs.
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._readings: OrderedDict[str, _Reading] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, run: dg.DagsterRun) -> RunResults:
        """What a run has recorded by now."""
        with self._lock:
            reading = self._readings.setdefault(run.run_id, _Reading())
            self._readings.move_to_end(run.run_id)
            while len(self._readings) > _KEPT_RUNS:
                self._readings.popitem(last=False)
        with reading.lock:
            if not reading.is_complete:
                self._read(run.run_id, reading)
                reading.is_complete = run.is_finished
        return reading.results

    def _read(self, run_id: str, reading: _Reading) -> None:
        while True:
            page = self._instance.get_records_for_run(
                run_id, cursor=reading.cursor, of_type=_EVENTS, limit=_PAGE
            )
            for record in page.records:
                if event := record.event_log_entry.dagster_event:
                    _add(reading.results, event)
            reading.cursor = page.cursor or reading.cursor
            if not page.has_more:
                return


def _add(results: RunResults, event: dg.DagsterEvent) -> None:
    if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
        done = event.step_materialization_data.materialization
        if is_export(done.metadata):
            _add_day(results, done, _published(done.metadata))
    elif event.event_type == dg.DagsterEventType.ASSET_OBSERVATION:
        seen = event.asset_observation_data.asset_observation
        if NOT_PUBLISHED in seen.metadata:
            _add_day(results, seen, _not_published(seen.metadata))
    elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
        error = event.step_failure_data.error
        text = (error.cause or error).message if error else ""
        results.failures[event.step_key or ""] = text.removeprefix(_FAILURE)
    elif event.message:
        results.failures[""] = event.message


def _add_day(
    results: RunResults,
    event: dg.AssetMaterialization | dg.AssetObservation,
    result: DayResult,
) -> None:
    if event.partition:
        results.days[event.asset_key.to_user_string(), event.partition] = result


def _published(metadata: Any) -> DayResult:
    return DayResult(
        "published",
        rows=_number(metadata, "rows_exported"),
        rejected=_number(metadata, "rows_rejected"),
        size_bytes=_number(metadata, "size_bytes"),
    )


def _not_published(metadata: Any) -> DayResult:
    see = metadata.get("see")
    anchor = str(see.value).partition("#")[2] if see else None
    return DayResult(
        "held" if anchor == DayHeldError.docs_anchor else "failed",
        problem=str(metadata[NOT_PUBLISHED].value),
        action=str(metadata["action"].value) if "action" in metadata else None,
        docs_entry=anchor,
        lost_rows=_number(metadata, "rows_gone"),
    )


def _number(metadata: Any, key: str) -> int | None:
    value = metadata[key].value if key in metadata else None
    return int(value) if isinstance(value, int | float) else None
