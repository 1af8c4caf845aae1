"""The OpenAPI document: what FastAPI finds, and the roles, credentials and errors of all routes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from exporter_pipelines import __version__
from exporter_pipelines.service.documented_responses import ProblemDocument
from exporter_pipelines.service.problems import MEDIA_TYPE
from exporter_pipelines.service.roles import Needs

ROLE = "x-role"
_TITLE = "exporter_pipelines"
_DESCRIPTION = """\
Starts and follows exports, and serves what they have published. Days are `YYYY-MM-DD` in
EXPORTER_TIMEZONE; moments are UTC. Every error is a problem document (RFC 9457) whose `type` links
to its explanation. Send `Authorization: Bearer TOKEN`; `exporter token add` makes one.
"""
_PROBLEM = {
    "description": "Any other error, as a problem document.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
}


def role_of(route: RouteContext) -> str | None:
    """The role that a route needs; None if it answers to everybody."""
    calls = (dependency.call for dependency in route.dependant.dependencies)
    return next((call.role for call in calls if isinstance(call, Needs)), None)


def api_routes(api: FastAPI) -> Iterator[RouteContext]:
    """Our routes, without the Dagster UI."""
    for route in iter_route_contexts(api.routes):
        if isinstance(route.original_route, APIRoute):
            yield route


def openapi_document(api: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the service."""
    document = get_openapi(
        title=_TITLE,
        version=__version__,
        description=_DESCRIPTION,
        routes=api.routes,
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    schemas = components.setdefault("schemas", {})
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["ProblemDocument"] = problem
    for route in api_routes(api):
        for method in (route.methods or ()) if route.include_in_schema else ():
            operation = document["paths"][str(route.path_format)][method.lower()]
            _complete(operation, role_of(route))
    return document


def _complete(operation: dict[str, Any], role: str | None) -> None:
    operation[ROLE] = role
    operation["security"] = [{"bearer": []}] if role else []
    operation["responses"].setdefault("default", _PROBLEM)
    for answer in operation["responses"].values():
        if answer["description"] == "Successful Response":  # what FastAPI writes
            answer["description"] = "OK"
