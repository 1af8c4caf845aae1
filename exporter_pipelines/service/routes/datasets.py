"""Datasets and their days: what is defined, what is published, in which state each day is."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query, Request

from exporter_pipelines import settings
from exporter_pipelines.contracts.day_window import days_between
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.defs_files.definitions import Definition
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.service.context import ServiceContext, context_of
from exporter_pipelines.service.day_states import day_states
from exporter_pipelines.service.documented_responses import documented
from exporter_pipelines.service.models import (
    Dataset,
    DatasetDay,
    DatasetDays,
    Datasets,
    Day,
    DayFile,
    StoredState,
)
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.roles import needs
from exporter_pipelines.service.routes.parameters import (
    DatasetPath,
    exported_dataset,
    wrong,
)

router = APIRouter(prefix="/api/v1/datasets", tags=["datasets"])
Viewer = Annotated[Principal, needs("viewer")]


@router.get("", responses=documented(503))
def datasets(request: Request, _: Viewer) -> Datasets:
    """All datasets and presets, also those whose definition has a mistake."""
    context = context_of(request)
    found = sorted(context.definitions, key=lambda each: (each.is_preset, each.name))
    return Datasets(items=[_dataset(context, each) for each in found])


@router.get("/{dataset}", responses=documented(404, 503))
def one(request: Request, dataset: DatasetPath, _: Viewer) -> Dataset:
    """One dataset or preset."""
    context, dataset = exported_dataset(request, dataset)
    for each in context.definitions:
        if each.name == dataset:
            return _dataset(context, each)
    first, last = exportable_days()
    return Dataset(
        name=dataset,
        first_day=first,
        last_day=last,
        published_days=len(context.store.published_days(dataset)),
        problem="Its definition was removed; its published days are still there.",
    )


@router.get("/{dataset}/days", responses=documented(404, 503))
def days(
    request: Request,
    dataset: DatasetPath,
    _: Viewer,
    first: Annotated[Day | None, Query(alias="from", description="First day.")] = None,
    last: Annotated[Day | None, Query(alias="to", description="Last day, included.")] = None,
    limit: Annotated[int, Query(ge=1, le=366, description="Days of a page.")] = 92,
    cursor: Annotated[
        Day | None, Query(description="`next_cursor` of the page before this one.")
    ] = None,
) -> DatasetDays:
    """The days that can be exported and those that are published, newest first."""
    context, dataset = exported_dataset(request, dataset)
    if first and last and last < first:
        raise wrong("to", f"The last day {last} is before the first day {first}.")
    found = [
        day
        for day in _all_days(context, dataset)
        if str(first or "") <= day and (not last or day <= str(last))
        and (not cursor or day < str(cursor))
    ]  # fmt: skip
    page = found[:limit]
    states = day_states(context, dataset, page)
    return DatasetDays(
        items=[_day(context, dataset, day, states[day]) for day in page],
        next_cursor=page[-1] if len(found) > limit else None,
    )


def exportable_days() -> tuple[dt.date, dt.date | None]:
    """The first and the last day that can be exported; no last one if there is none yet."""
    first, end = dt.date.fromisoformat(settings.start_date()), settings.end_date()
    last = settings.today() - dt.timedelta(days=1)
    if end:
        last = min(last, dt.date.fromisoformat(end) - dt.timedelta(days=1))
    return first, last if last >= first else None


def _all_days(context: ServiceContext, dataset: str) -> list[str]:
    first, last = exportable_days()
    exportable = days_between(str(first), str(last)) if last else []
    return sorted({*exportable, *context.store.published_days(dataset)}, reverse=True)


def _dataset(context: ServiceContext, definition: Definition) -> Dataset:
    first, last = exportable_days()
    published = len(context.store.published_days(definition.name))
    try:
        found = context.definitions.checked(definition)
    except ConfigurationError as error:
        return Dataset(
            name=definition.name,
            first_day=first,
            last_day=last,
            published_days=published,
            problem=str(error),
        )
    config = found.config
    return Dataset(
        name=found.name,
        like=_like(definition),
        description=config.description,
        format=config.format,
        compression=config.compression,
        columns=list(found.exported(found.schema).names),
        first_day=first,
        last_day=last,
        published_days=published,
        schedule=config.schedule,
        max_rejected_pct=config.max_rejected_pct,
        max_rejected_rows=config.max_rejected_rows,
        max_lost_pct=config.max_lost_pct,
        max_lost_rows=config.max_lost_rows,
    )


def _like(definition: Definition) -> str | None:
    """The dataset that a preset is based on, as its checked file names it."""
    if not definition.is_preset or definition.document is None:
        return None
    return str(definition.document.value["attributes"]["like"])


def _day(context: ServiceContext, dataset: str, day: str, state: StoredState) -> DatasetDay:
    content = context.store.read_manifest(dataset, day)
    manifest = Manifest.if_readable(content)
    if manifest is None:
        damaged = "Its manifest was changed after it was written." if content is not None else None
        return DatasetDay(day=dt.date.fromisoformat(day), state=state, problem=damaged)
    folder = context.url(f"/api/v1/datasets/{dataset}/days/{day}/files")
    return DatasetDay(
        day=dt.date.fromisoformat(day),
        state=state,
        rows=manifest.record_count,
        size_bytes=manifest.file_size,
        files=[
            DayFile(
                name=file.path,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                rows=file.record_count,
                url=f"{folder}/{file.path}",
            )
            for file in manifest.files
        ],
        data_version=manifest.data_version,
        published_at=manifest.export_timestamp,
    )
