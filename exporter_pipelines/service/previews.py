"""What an export would read: the days of a request, with their rows in the source."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence

from exporter_pipelines import databases, settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.source import NotComparedError, Session
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.day_states import day_states
from exporter_pipelines.service.export_plan import plan, unprocessable
from exporter_pipelines.service.models import ExportRequest, Preview, PreviewDay
from exporter_pipelines.service.problems import FieldError

MOST_DAYS = 92
COUNT_S = 10.0
"""Counting all days may take so long; a dataset that is not counted until then has no rows."""


def preview(context: ServiceContext, request: ExportRequest) -> Preview:
    """The days that would be exported, in order.

    Raises:
        Problem: 422 for a mistake in the request, or for too many days.
    """
    if (count := (request.end_date - request.start_date).days + 1) > MOST_DAYS:
        message = f"The range has {count:,} days; a preview has at most {MOST_DAYS}."
        raise unprocessable([FieldError("/end_date", message)])
    days: list[PreviewDay] = []
    deadline = time.monotonic() + COUNT_S
    with databases.open_session() as session:
        for name, wanted in plan(context, request).items():
            days += _of_dataset(context, context.definitions.named(name), wanted, session, deadline)
    rows = [day.rows for day in days]
    return Preview(days=days, rows=sum(row or 0 for row in rows) if None not in rows else None)


def _of_dataset(
    context: ServiceContext,
    dataset: Dataset,
    days: Sequence[str],
    session: Session,
    deadline: float,
) -> list[PreviewDay]:
    counts, reason = _counts(dataset, days, session, deadline - time.monotonic())
    states = day_states(context, dataset.name, days)
    return [
        PreviewDay(
            dataset=dataset.name,
            day=dt.date.fromisoformat(day),
            state=states[day],
            rows=counts.get(day),
            published_rows=_published_rows(context, dataset.name, day),
            reason=reason,
        )
        for day in days
    ]


def _counts(
    dataset: Dataset, days: Sequence[str], session: Session, limit_s: float
) -> tuple[dict[str, int], str | None]:
    """The rows of each day, or why they are not known."""
    if limit_s <= 0:
        return {}, f"Counting the other datasets took {COUNT_S:.0f} s."
    windows = [DayWindow.of(day, settings.timezone()) for day in days]
    try:
        return session.count_days(dataset, windows, timeout_s=limit_s), None
    except NotComparedError as error:
        return {}, f"The rows could not be counted: {error.reason}."
    except ExporterError as error:
        return {}, str(error)


def _published_rows(context: ServiceContext, dataset: str, day: str) -> int | None:
    manifest = Manifest.if_readable(context.store.read_manifest(dataset, day))
    return manifest.record_count if manifest else None
