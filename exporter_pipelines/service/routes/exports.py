"""`/api/v1/exports`: starts, follows, lists, cancels and repeats exports.

`exports` and `history` do the work; here are parameters, headers and statuses.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from exporter_pipelines.service.documented_responses import documented
from exporter_pipelines.service.export_pages import MOST_RESULTS, RESULTS, page_of
from exporter_pipelines.service.exports import Started, exports_of
from exporter_pipelines.service.history import HistoryQuery, history_of
from exporter_pipelines.service.models import (
    NO_CONTROL_CHARACTERS,
    Day,
    Export,
    ExportPage,
    ExportRequest,
    ExportState,
    Preview,
    RerunRequest,
    Source,
)
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.roles import needs
from exporter_pipelines.service.routes.export_events import events_of
from exporter_pipelines.service.routes.parameters import wrong
from exporter_pipelines.service.routes.preferences import Prefer, seconds_to_wait, watcher_of

router = APIRouter(prefix="/api/v1/exports", tags=["exports"])
Viewer = Annotated[Principal, needs("viewer")]
Exporter = Annotated[Principal, needs("exporter")]

ExportId = Annotated[
    str,
    Path(
        description="Of an export, or of a Dagster run or backfill.",
        pattern="^[A-Za-z0-9_-]{1,100}$",
    ),
]
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        description="Requests of one user with the same key start one export.",
        pattern=r"^[!-~]{0,128}$",
    ),
]
Limit = Annotated[
    int,
    Query(ge=0, le=MOST_RESULTS, description="Days in `results`; `more_results` says how many "
          "follow."),
]  # fmt: skip
_AFTER_S = "2"


@router.post(
    "",
    status_code=202,
    response_model=Export,
    responses={
        **documented(404, 409, 415, 429, 503),
        200: {"model": Preview, "description": "With `dry_run`: what would be exported."},
        202: {"description": "Started; `Location` is the path to follow it."},
    },
)
def start(
    request: Request,
    response: Response,
    body: ExportRequest,
    principal: Exporter,
    dry_run: Annotated[bool, Query(description="Start nothing.")] = False,
    key: Key = "",
) -> Export | JSONResponse:
    """Start an export of a range of days."""
    if dry_run:
        return JSONResponse(exports_of(request).preview(body).model_dump(mode="json"))
    return page_of(accepted(exports_of(request).start(body, principal, key=key), response))


@router.post("/preview", responses=documented(404, 409, 415, 503))
def preview(request: Request, body: ExportRequest, _: Viewer) -> Preview:
    """The days that an export would export, with the rows of the source; at most 92 days."""
    return exports_of(request).preview(body)


@router.get("", responses=documented(404, 503))
def exports(
    request: Request,
    _: Viewer,
    limit: Annotated[int, Query(ge=1, le=200, description="Exports of a page.")] = 50,
    cursor: Annotated[
        str | None, Query(description="`next_cursor` of the page before this one.", max_length=200)
    ] = None,
    dataset: Annotated[
        str | None, Query(description="Exports that include it.", max_length=100)
    ] = None,
    status: Annotated[ExportState | None, Query(description="Exports in this state.")] = None,
    user: Annotated[
        str | None,
        Query(description="Who started it.", max_length=200, pattern=NO_CONTROL_CHARACTERS),
    ] = None,
    source: Annotated[Source | None, Query(description="Where it was started.")] = None,
    first: Annotated[
        Day | None, Query(alias="from", description="Started on this day or later.")
    ] = None,
    last: Annotated[
        Day | None, Query(alias="to", description="Started on this day or earlier.")
    ] = None,
) -> ExportPage:
    """Exports, newest first, also those that the UI, a schedule or a command started."""
    query = history_query(first, last, dataset, status, user, source)
    return history_of(request).page(query, limit=limit, cursor=cursor)


@router.get("/{export_id}", responses=documented(404, 503))
async def one(
    request: Request,
    response: Response,
    export_id: ExportId,
    _: Viewer,
    prefer: Prefer = "",
    limit: Limit = RESULTS,
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="Days before them.")] = 0,
) -> Export:
    """An export with its progress and the result of each day."""
    wait_s = seconds_to_wait(prefer, response)
    return page_of(await watcher_of(request).wait(export_id, wait_s), limit, offset)


@router.get(
    "/{export_id}/events",
    response_class=Response,
    responses={
        **documented(404, 503),
        200: {
            "description": "Server-sent events: `status` with the export whenever it has changed. "
            "The stream ends when the export has ended.",
            "content": {"text/event-stream": {"schema": {}}},
        },
    },
)
async def events(
    request: Request, export_id: ExportId, principal: Viewer, limit: Limit = RESULTS
) -> Response:
    """Follow an export without asking again and again; at most 100 streams at a time."""
    return await events_of(request, export_id, principal.name, limit)


@router.post("/{export_id}/cancel", status_code=202, responses=documented(404, 409, 503))
def cancel(request: Request, export_id: ExportId, principal: Exporter) -> Export:
    """Cancel an export. Days that are published stay published."""
    return page_of(exports_of(request).cancel(export_id, principal))


@router.post(
    "/{export_id}/rerun", status_code=202, responses=documented(404, 409, 415, 429, 503)
)  # fmt: skip
def rerun(
    request: Request,
    response: Response,
    export_id: ExportId,
    principal: Exporter,
    body: Annotated[RerunRequest | None, Body()] = None,
    key: Key = "",
) -> Export:
    """Export the days of an ended export again that were held or failed, as a new export."""
    again = exports_of(request).rerun(export_id, body or RerunRequest(), principal, key=key)
    return page_of(accepted(again, response))


def accepted(started: Started, response: Response) -> Export:
    """The export of a start, with the headers that say where it can be followed."""
    response.headers["Location"] = started.export.links.self
    response.headers["Retry-After"] = _AFTER_S
    if started.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return started.export


def history_query(
    first: Day | None,
    last: Day | None,
    dataset: str | None = None,
    status: ExportState | None = None,
    user: str | None = None,
    source: Source | None = None,
) -> HistoryQuery:
    """The query of a list.

    Raises:
        Problem: 422 if the last day is before the first.
    """
    if first and last and last < first:
        raise wrong("to", f"The last day {last} is before the first day {first}.")
    return HistoryQuery(dataset, status, user, source, first, last)
