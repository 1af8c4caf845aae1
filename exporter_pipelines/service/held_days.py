"""How the hold of a day ends that protects a published export: keep it, or accept the loss."""

from __future__ import annotations

import datetime as dt

from exporter_pipelines.engine.day_record import day_record
from exporter_pipelines.engine.kept_days import keep_days
from exporter_pipelines.orchestration.upkeep.kept_days import record_kept_days_in
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.exports import Exports, Started
from exporter_pipelines.service.models import ExportRequest
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.problems import Problem

_HELD = "a-day-is-held"


def keep(context: ServiceContext, dataset: str, day: dt.date) -> None:
    """Keep the published export of a held day, as `exporter keep` does.

    Raises:
        Problem: 403 in read-only mode; 409 if the day is not held.
        ConfigurationError: it has no published export.
    """
    if context.options.read_only:
        raise Problem(403, "The service is in read-only mode.")
    if not keep_days(context.store, dataset, [str(day)]):
        raise _not_held(dataset, day)
    record_kept_days_in(context.instance, context.store, dataset, [str(day)])


def accept_loss(
    context: ServiceContext, exports: Exports, principal: Principal, dataset: str, day: dt.date
) -> Started:
    """Export a held day again, and replace its export although the source has lost rows.

    Raises:
        Problem: 403 without the role or in read-only mode; 409 if the day is not held.
    """
    if day_record(context.store, dataset, str(day)).last_hold is None:
        raise _not_held(dataset, day)
    request = ExportRequest(
        datasets=[dataset], start_date=day, end_date=day, title=f"Loss accepted: {dataset} {day}"
    )
    return exports.start(request, principal, source="page", accept_loss=True)


def _not_held(dataset: str, day: dt.date) -> Problem:
    detail = f"{dataset} {day} is not held, so there is nothing to decide."
    return Problem(409, detail, anchor=_HELD)
