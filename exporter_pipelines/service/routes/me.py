"""`/api/v1/me`: who the service takes the sender for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request

from exporter_pipelines.service.context import context_of
from exporter_pipelines.service.models import Me
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.roles import needs

router = APIRouter(prefix="/api/v1", tags=["me"])


@router.get("/me")
async def me(request: Request, principal: Annotated[Principal, needs("viewer")]) -> Me:
    """Who sent the request, with which roles, and how it was recognised."""
    return Me(
        name=principal.name,
        roles=sorted(principal.roles),
        via=principal.via,
        read_only=context_of(request).options.read_only,
    )
