"""Numbers over many exports: for people, and for Prometheus."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from exporter_pipelines.service.documented_responses import documented
from exporter_pipelines.service.history import history_of
from exporter_pipelines.service.models import Day, ExportMetrics
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.prometheus import collector_of
from exporter_pipelines.service.roles import needs
from exporter_pipelines.service.routes.exports import history_query

router = APIRouter(tags=["metrics"])


@router.get("/api/v1/metrics/exports", responses=documented(503))
def exports(
    request: Request,
    _: Annotated[Principal, needs("viewer")],
    first: Annotated[
        Day | None, Query(alias="from", description="Exports started on this day or later.")
    ] = None,
    last: Annotated[
        Day | None, Query(alias="to", description="Exports started on this day or earlier.")
    ] = None,
    dataset: Annotated[
        str | None, Query(description="Exports that include it.", max_length=100)
    ] = None,
) -> ExportMetrics:
    """How many exports ended, how many of them completed, and the quality of their rows."""
    return history_of(request).metrics(history_query(first, last, dataset))


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        **documented(503),
        200: {
            "description": "Metrics for Prometheus.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
    },
)
def prometheus(request: Request, _: Annotated[Principal, needs("metrics")]) -> Response:
    """Metrics in the text format of Prometheus; see docs/metrics.md."""
    return Response(generate_latest(collector_of(request)), media_type=CONTENT_TYPE_LATEST)
