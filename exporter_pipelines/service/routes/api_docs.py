"""The documentation of the API: `/api/v1/openapi.json`, and as a page at `/api/v1/docs`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from exporter_pipelines.service.api_page.page import STYLE, render
from exporter_pipelines.service.context import context_of
from exporter_pipelines.service.openapi import openapi_document
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.roles import needs

router = APIRouter(prefix="/api/v1", include_in_schema=False)
Viewer = Annotated[Principal, needs("viewer")]

_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'"
"""The page has no script, and loads nothing from another host."""


@router.get("/openapi.json")
def openapi(request: Request, _: Viewer) -> dict[str, Any]:
    """The OpenAPI document."""
    return _document(request)


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request, _: Viewer) -> HTMLResponse:
    """The same as a page."""
    page = render(_document(request), prefix=context_of(request).options.prefix)
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/style.css", response_class=Response)
def style(_: Viewer) -> Response:
    """The style of the page."""
    return Response(STYLE, media_type="text/css")


def _document(request: Request) -> dict[str, Any]:
    state = request.app.state
    if not hasattr(state, "openapi"):
        state.openapi = openapi_document(request.app)
    document: dict[str, Any] = state.openapi
    return document
