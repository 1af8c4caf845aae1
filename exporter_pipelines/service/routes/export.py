"""`/export`: the paths and field names that the user asked for, on top of `/api/v1/exports`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from exporter_pipelines import settings
from exporter_pipelines.service.context import context_of
from exporter_pipelines.service.documented_responses import documented
from exporter_pipelines.service.export_metadata import (
    brief_metadata_of,
    history_item,
    metadata_of,
    status_of,
)
from exporter_pipelines.service.export_models import (
    ExportConfig,
    ExportMetadata,
    ExportStatus,
    HistoryItem,
)
from exporter_pipelines.service.exports import exports_of
from exporter_pipelines.service.history import history_of
from exporter_pipelines.service.models import Day, Export, ExportMetrics, ExportRequest
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.request_dates import first_day, last_day
from exporter_pipelines.service.routes.exports import (
    Exporter,
    ExportId,
    Key,
    Viewer,
    accepted,
    history_query,
)
from exporter_pipelines.service.routes.parameters import DatasetPath, wrong
from exporter_pipelines.service.routes.preferences import Prefer, seconds_to_wait, watcher_of
from exporter_pipelines.service.watching import ENDED

router = APIRouter(prefix="/export", tags=["export"])

StartDate = Annotated[
    str | None,
    Query(
        description="The first day, or a moment at the beginning of a day. `startDate` of the body "
        "is the same.",
        max_length=40,
    ),
]
EndDate = Annotated[
    str | None,
    Query(
        description="The last day, included; or a moment: midnight excludes the day that begins, "
        "23:59:59 includes the day that ends. `endDate` of the body is the same.",
        max_length=40,
    ),
]
_STARTS = {
    **documented(404, 409, 415, 429, 503),
    200: {"model": ExportMetadata, "description": "With `Prefer: wait`: the export has ended."},
    202: {"description": "Started; fields that are not known yet are null."},
}


@router.get("/status/{export_id}", responses=documented(404, 503))
async def status(request: Request, export_id: ExportId, _: Viewer) -> ExportStatus:
    """Progress in percent, the batch, and the errors of an export."""
    return status_of(await run_in_threadpool(watcher_of(request).look, export_id))


@router.get("/history", responses=documented(503))
def history(
    request: Request,
    response: Response,
    _: Viewer,
    limit: Annotated[int, Query(ge=1, le=50, description="Exports of a page.")] = 20,
    cursor: Annotated[
        str | None, Query(description="From the header `Link` of a page.", max_length=200)
    ] = None,
) -> list[HistoryItem]:
    """Exports, newest first; the header `Link` names the next page."""
    page = history_of(request).page(history_query(None, None), limit=limit, cursor=cursor)
    if page.next_cursor:
        following = urlencode({"limit": limit, "cursor": page.next_cursor})
        url = context_of(request).url(f"/export/history?{following}")
        response.headers["Link"] = f'<{url}>; rel="next"'
    store, exports = context_of(request).store, exports_of(request)
    return [
        history_item(summary, brief_metadata_of(store, exports.get(summary.id)))
        for summary in page.items
    ]


@router.get("/metrics", responses=documented(503))
def metrics(
    request: Request,
    _: Viewer,
    first: Annotated[Day | None, Query(alias="from")] = None,
    last: Annotated[Day | None, Query(alias="to")] = None,
    dataset: Annotated[str | None, Query(max_length=100)] = None,
) -> ExportMetrics:
    """The four numbers, over all exports that have ended."""
    return history_of(request).metrics(history_query(first, last, dataset))


@router.post("", status_code=202, response_model=ExportMetadata, responses=_STARTS)
async def start_several(
    request: Request,
    response: Response,
    principal: Exporter,
    config: ExportConfig,
    start_date: StartDate = None,
    end_date: EndDate = None,
    prefer: Prefer = "",
    key: Key = "",
) -> ExportMetadata:
    """Export the datasets that `dataTypes` names."""
    if not config.dataTypes:
        raise wrong("dataTypes", "This field is required.")
    wanted = _wanted(config.dataTypes, config, start_date, end_date)
    return await _start(request, response, wanted, principal, prefer, key)


@router.post("/{dataset}", status_code=202, response_model=ExportMetadata, responses=_STARTS)
async def start(
    request: Request,
    response: Response,
    dataset: DatasetPath,
    principal: Exporter,
    config: Annotated[ExportConfig | None, Body()] = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    prefer: Prefer = "",
    key: Key = "",
) -> ExportMetadata:
    """Export one dataset, such as `logs`, `anomalies` or `ips`."""
    config = config or ExportConfig()
    if config.dataTypes not in (None, [dataset]):
        raise wrong("dataTypes", f"The path names {dataset}, so this can only be [{dataset!r}].")
    wanted = _wanted([dataset], config, start_date, end_date)
    return await _start(request, response, wanted, principal, prefer, key)


async def _start(
    request: Request,
    response: Response,
    wanted: ExportRequest,
    principal: Principal,
    prefer: str,
    key: str,
) -> ExportMetadata:
    started = await run_in_threadpool(exports_of(request).start, wanted, principal, key=key)
    export = accepted(started, response)
    if wait_s := seconds_to_wait(prefer, response):
        export = await watcher_of(request).wait(export.id, wait_s)
        response.status_code = 200 if export.status in ENDED else 202
    return await run_in_threadpool(_metadata, request, export, wanted)


def _metadata(request: Request, export: Export, wanted: ExportRequest) -> ExportMetadata:
    config = ExportConfig(
        startDate=str(wanted.start_date),
        endDate=str(wanted.end_date),
        dataTypes=wanted.datasets,
        batchSize=wanted.batch_rows,
    )
    return metadata_of(context_of(request).store, export, config)


def _wanted(
    datasets: list[str], config: ExportConfig, start_date: str | None, end_date: str | None
) -> ExportRequest:
    timezone = settings.timezone()
    start, at = _one_of("start_date", start_date, "startDate", config.startDate)
    end, until = _one_of("end_date", end_date, "endDate", config.endDate)
    first, last = first_day(start, timezone, at), last_day(end, timezone, until)
    if last < first:
        raise wrong(until[1:], f"There is no day from {start!r} to {end!r}.")
    return ExportRequest(
        datasets=datasets, start_date=first, end_date=last, batch_rows=config.batchSize
    )


def _one_of(name: str, in_query: str | None, field: str, in_body: str | None) -> tuple[str, str]:
    """The value that was sent, and the pointer to it."""
    if in_query is not None and in_body is not None and in_query != in_body:
        raise wrong(field, f"It is {in_body!r}, but {name} in the query is {in_query!r}.")
    if in_query is not None:
        return in_query, f"/{name}"
    if in_body is not None:
        return in_body, f"/{field}"
    raise wrong(name, "This field is required.")
