"""The state of each day of a dataset: what the output folder and Dagster's history say together."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.day_record import day_record
from exporter_pipelines.orchestration.dagster_internals.unfinished_days import unfinished_statuses
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.models import StoredState

_ENDED = (
    dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED,
)  # fmt: skip


def day_states(
    context: ServiceContext, dataset: str, days: Iterable[str]
) -> dict[str, StoredState]:
    """Day -> state.

    A day that is being exported is `running`. Otherwise the newest attempt counts: `held` and
    `failed` are also days whose older export stays published. Blocks.

    Raises:
        OutputUnavailableError: the output folder cannot be read.
    """
    wanted = list(days)
    published = set(context.store.published_days(dataset))
    held = held_days(context.store, dataset, wanted)
    attempts = unfinished_statuses(context.instance, dataset)

    def state(day: str) -> StoredState:
        status = attempts.get(day)
        if status is not None and status not in _ENDED:
            return "running"
        if day in held:
            return "held"
        if status == dg.DagsterRunStatus.FAILURE:
            return "failed"
        return "published" if day in published else "missing"

    return {day: state(day) for day in wanted}


def held_days(store: Store, dataset: str, days: Iterable[str]) -> set[str]:
    """The days that were held since they were last published, from the ledger."""
    known = set(store.recorded_days(dataset)).intersection(days)
    return {day for day in known if day_record(store, dataset, day).last_hold}
