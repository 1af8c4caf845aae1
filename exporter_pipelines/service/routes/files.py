"""Downloads: data files, ranges of days, manifests, cards, schemas and rejected rows.

Ranges of bytes, `If-Range` and `If-None-Match` work for all of them, so that a download can go on
where it stopped.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from exporter_pipelines.service import files
from exporter_pipelines.service.day_ranges import Missing, Shape, day_range
from exporter_pipelines.service.documented_responses import documented
from exporter_pipelines.service.models import Day
from exporter_pipelines.service.passed_requests import audit_details
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.service.roles import needs
from exporter_pipelines.service.routes.download_response import DOCUMENTED, send
from exporter_pipelines.service.routes.parameters import (
    DatasetPath,
    DayPath,
    days_of_range,
    exported_dataset,
)

router = APIRouter(prefix="/api/v1/datasets/{dataset}", tags=["files"])
Viewer = Annotated[Principal, needs("viewer")]

FileName = Annotated[
    str, Path(description="As the manifest names it.", pattern="^[A-Za-z0-9._=-]{1,255}$")
]
_DOCUMENTED = documented(404, 409, 416, 503, more=DOCUMENTED)


@router.head("/days/{day}/files/{name}", include_in_schema=False)
@router.get("/days/{day}/files/{name}", response_class=Response, responses=_DOCUMENTED)
def file(
    request: Request, dataset: DatasetPath, day: DayPath, name: FileName, _: Viewer
) -> Response:
    """A data file of a published day."""
    context, dataset = exported_dataset(request, dataset)
    return send(request, files.data_file(context.store, dataset, str(day), name))


@router.head("/rows", include_in_schema=False)
@router.get("/rows", response_class=Response, responses=documented(
    404, 409, 416, 429, 503, more=DOCUMENTED
))  # fmt: skip
def rows(
    request: Request,
    dataset: DatasetPath,
    principal: Viewer,
    start_date: Annotated[Day, Query(description="First day.")],
    end_date: Annotated[Day, Query(description="Last day, included; at most 366 days.")],
    missing: Annotated[
        Missing,
        Query(
            description="`fail`: 409 if a day is not published; `skip`: leave it out. The headers "
            "`Missing-Days-Count` and `Missing-Days` then say how many and which, as "
            "`2026-11-04, 2026-11-06/2026-11-09`; at most 100 spans are named."
        ),
    ] = "fail",
    shape: Annotated[
        Shape,
        Query(
            alias="as",
            description="`concat`: the files one after the other, for JSON Lines; `tar`: an "
            "archive of the folders, with the manifests, for every format.",
        ),
    ] = "concat",
) -> Response:
    """The files of a range of days as one stream."""
    context, dataset = exported_dataset(request, dataset)
    days = days_of_range(start_date, end_date)
    if not context.range_streams.take(principal.name):
        raise Problem(
            429,
            "Too many ranges are being sent at the same time: two per user. Try again when one "
            "has ended.",
            headers={"Retry-After": "10"},
        )
    try:
        download = day_range(context.store, dataset, days, missing=missing, shape=shape)
    except BaseException:  # raised again; nobody else would give the place back
        context.range_streams.release(principal.name)
        raise
    download.opened.callback(context.range_streams.release, principal.name)
    return send(request, download)


@router.head("/days/{day}/manifest", include_in_schema=False)
@router.get("/days/{day}/manifest", response_class=Response, responses=_DOCUMENTED)
def manifest(request: Request, dataset: DatasetPath, day: DayPath, _: Viewer) -> Response:
    """The `_manifest.json` of a published day."""
    context, dataset = exported_dataset(request, dataset)
    return send(request, files.manifest_of(context.store, dataset, str(day)))


@router.get("/days/{day}/quarantine", response_class=Response, responses=_DOCUMENTED)
def quarantine(
    request: Request,
    dataset: DatasetPath,
    day: DayPath,
    _: Annotated[Principal, needs("quarantine")],
    name: Annotated[
        str, Query(description="One of several files; by default the newest.", max_length=255)
    ] = "",
) -> Response:
    """The rejected rows of a day as they were read, with the reasons: personal data."""
    context, dataset = exported_dataset(request, dataset)
    download = files.quarantine_file(context.store, dataset, str(day), name)
    audit_details(request)["file"] = download.name
    return send(request, download)


@router.get("/card", response_class=Response, responses=_DOCUMENTED)
def card(request: Request, dataset: DatasetPath, _: Viewer) -> Response:
    """The dataset card, `README.md`: columns, and how to load the files."""
    context, dataset = exported_dataset(request, dataset)
    return send(request, files.dataset_file(context.store, dataset, files.CARD))


@router.get("/schema", response_class=Response, responses=_DOCUMENTED)
def schema(request: Request, dataset: DatasetPath, _: Viewer) -> Response:
    """The JSON Schema of a row."""
    context, dataset = exported_dataset(request, dataset)
    return send(request, files.dataset_file(context.store, dataset, files.SCHEMA))
