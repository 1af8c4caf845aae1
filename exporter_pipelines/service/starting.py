"""Starts the runs of an export, once per Idempotency-Key.

The id of an export follows from the user and the key, and each run has it in a tag. So a request
that is sent again finds what the first one has started, also after the service was killed between
two runs, or before it answered. Nothing else is stored, and nothing has to be cleaned up.

Two services over one Dagster instance do not see each other's requests in progress: run one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from exporter_pipelines.orchestration.exports.export_group import DAYS_TAG, EXPORT_TAG, total_days
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.dagster_ui import USER_TAG
from exporter_pipelines.service.export_runs import ExportRuns, find
from exporter_pipelines.service.export_status import RERUN_TAG, SOURCE_TAG, TITLE_TAG
from exporter_pipelines.service.launching import Launcher, Part
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.problems import FieldError, Problem
from exporter_pipelines.service.run_plan import DaysOf, planned_days

StartedBy = Literal["rest", "page"]
REQUEST_TAG = "exporter/request"
"""Hash of the request that started the export."""
MOST_ACTIVE = 4
"""Exports of one user that have not ended."""
_KEYS = uuid.UUID("6f2a53b6-1f0f-4b39-9a0c-3f6f5f1a8d11")
_ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Start:
    """A request to start an export.

    Attributes:
        principal: Who sent it.
        body: Its text; another text with the same key is refused.
        key: The Idempotency-Key; empty for none.
        source: Where it came from.
        title: Shown in lists.
        batch_rows: Maximum rows in a batch; None for the default.
        accept_loss: Whether exports may be replaced although the source has lost rows.
        rerun_of: The export whose days are exported again.
    """

    principal: Principal
    body: str
    key: str
    source: StartedBy
    title: str | None
    batch_rows: int | None
    accept_loss: bool = False
    rerun_of: str = ""

    @property
    def export_id(self) -> str:
        """The same for the same user and key; without a key always another one."""
        if not self.key:
            return str(uuid.uuid4())
        return str(uuid.uuid5(_KEYS, f"{self.principal.name}\n{self.key}"))

    @property
    def digest(self) -> str:
        """The hash of what is asked for."""
        return hashlib.sha256(f"{self.body} {self.accept_loss}".encode()).hexdigest()[:32]

    def tags(self, export_id: str, days: int) -> dict[str, str]:
        """The tags of each run."""
        tags = {
            EXPORT_TAG: export_id,
            DAYS_TAG: str(days),
            REQUEST_TAG: self.digest,
            SOURCE_TAG: self.source,
            USER_TAG: self.principal.name,
            TITLE_TAG: self.title or "",
            RERUN_TAG: self.rerun_of,
        }
        return {key: value for key, value in tags.items() if value}

    def config(self, days: Sequence[str], *, whole_range: bool) -> dict[str, Any]:
        """The run config of a dataset."""
        config: dict[str, Any] = {} if whole_range else {"days": list(days)}
        if self.batch_rows:
            config["batch_rows"] = self.batch_rows
        if self.accept_loss:
            config["accept_loss_days"] = list(days)
        return config


def start(
    context: ServiceContext, launcher: Launcher, wanted: Start, days_of: Callable[[], DaysOf]
) -> tuple[ExportRuns, bool]:
    """Start the runs of an export that are not started yet. Not for two threads at once.

    Args:
        context: Of the service.
        launcher: Starts the runs.
        wanted: The request.
        days_of: Returns the days; only called for an export that is not fully started.

    Returns:
        The runs, and whether an earlier request had started the export.

    Raises:
        Problem: see `exports.Exports.start`.
    """
    id_ = wanted.export_id
    before = find(context.instance, id_) if wanted.key else None
    if before:
        if before.tags.get(REQUEST_TAG) != wanted.digest:
            message = "The key was used for another request. Choose another one."
            raise Problem(422, message, errors=[FieldError("/Idempotency-Key", message)])
        for run in before.runs:
            if run.status == dg.DagsterRunStatus.NOT_STARTED:
                launcher.submit(run.run_id)  # the service was killed before it did
        if len(_days_of_runs(context, before)) >= total_days(before.tags):
            return _found(context, id_), True
    else:
        _refuse_too_many(context, wanted.principal)
    days = days_of()
    if not days and not before:
        raise Problem(409, "There is no day to export: no day of the range is in a chosen state.")
    total = sum(map(len, days.values()))
    if before:  # the service was killed between two of its runs
        total = total_days(before.tags)
        begun = {name for name, _ in _days_of_runs(context, before)}
        days = {name: wanted_days for name, wanted_days in days.items() if name not in begun}
    places = launcher.places(list(days)) if days else {}
    tags = wanted.tags(id_, total)
    for name, wanted_days in days.items():
        launcher.launch(_part(wanted, name, wanted_days), places[name], tags)
    return _found(context, id_), before is not None


def _part(wanted: Start, dataset: str, days: Sequence[str]) -> Part:
    count = (_date(days[-1]) - _date(days[0])).days + 1
    return Part(dataset, days, wanted.config(days, whole_range=count == len(days)))


def _days_of_runs(context: ServiceContext, runs: ExportRuns) -> set[tuple[str, str]]:
    """The (dataset, day) pairs that the runs of an export are to export."""
    return {
        (name, day)
        for run in runs.runs
        for name, days in planned_days(run, context.definitions).items()
        for day in days
    }


def _found(context: ServiceContext, id_: str) -> ExportRuns:
    found = find(context.instance, id_)
    assert found, f"the runs of {id_} were deleted meanwhile"
    return found


def _refuse_too_many(context: ServiceContext, principal: Principal) -> None:
    wanted = dg.RunsFilter(statuses=_ACTIVE, tags={USER_TAG: principal.name})
    records = context.instance.get_run_records(wanted)
    active = {record.dagster_run.tags.get(EXPORT_TAG) for record in records} - {None}
    if len(active) >= MOST_ACTIVE:
        raise Problem(
            429,
            f"{principal.name} has {len(active)} exports that have not ended; {MOST_ACTIVE} are "
            "allowed. Wait for one of them, or cancel it.",
            headers={"Retry-After": "10"},
        )


def _date(day: str) -> dt.date:
    return dt.date.fromisoformat(day)
