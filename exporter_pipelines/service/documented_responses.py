"""The responses that a route may give, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from exporter_pipelines.service.problems import MEDIA_TYPE

_ALWAYS = (400, 401, 403, 422, 500)
Responses = dict[int | str, dict[str, Any]]


class FieldProblem(BaseModel):
    """A mistake in one field."""

    pointer: str
    message: str


class ProblemDocument(BaseModel):
    """An error, as RFC 9457 defines it."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldProblem] = []


def documented(*statuses: int, more: Mapping[int | str, dict[str, Any]] | None = None) -> Responses:
    """Responses with a problem document, and others.

    Args:
        *statuses: In addition to those that every request may have.
        more: Status -> what it means.
    """
    problems: Responses = {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in sorted({*_ALWAYS, *statuses})
    }
    return {**problems, **(more or {})}
