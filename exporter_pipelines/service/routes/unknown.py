"""Paths of the API that do not exist, which would otherwise show the Dagster UI."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.routing import Match

from exporter_pipelines.service.openapi import api_routes
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.service.roles import needs

router = APIRouter(include_in_schema=False)

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@router.api_route("/healthz", methods=_METHODS)
@router.api_route("/readyz", methods=_METHODS)
@router.api_route("/metrics", methods=_METHODS)
@router.api_route("/api/{path:path}", methods=_METHODS)
@router.api_route("/export", methods=_METHODS)
@router.api_route("/export/{path:path}", methods=_METHODS)
def unknown(request: Request, _: Annotated[Principal, needs("viewer")]) -> Response:
    """404, or 405 if the path has other methods."""
    if allowed := _allowed(request):
        methods = ", ".join(sorted(allowed))
        detail = f"This path does not take {request.method}. It takes {methods}."
        raise Problem(405, detail, headers={"Allow": methods})
    raise Problem(404, "There is no such path. `/api/v1/docs` lists them.")


def _allowed(request: Request) -> set[str]:
    """The methods of the first path that fits; a later one has a parameter in place of its name."""
    found, path = set[str](), None
    for route in api_routes(request.app):
        if path in (None, route.path) and route.matches(request.scope)[0] is Match.PARTIAL:
            path = route.path
            found |= route.methods or set()
    return found
