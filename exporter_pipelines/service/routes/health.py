"""`/healthz`: whether the process answers. `/readyz`: whether exports can be started."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from exporter_pipelines.service.models import Alive, Readiness
from exporter_pipelines.service.principals import principal_of
from exporter_pipelines.service.readiness import OK, ReadinessChecks

router = APIRouter(tags=["health"])


@router.get("/healthz")
@router.get("/api/v1/healthz", include_in_schema=False)
async def healthz() -> Alive:
    """Answer as long as the process lives; needs no credentials."""
    return Alive()


@router.get(
    "/readyz",
    responses={503: {"model": Readiness, "description": "Exports cannot be started."}},
)
@router.get("/api/v1/readyz", include_in_schema=False)
def readyz(request: Request, response: Response) -> Readiness:
    """Whether exports can be started; needs no credentials, and shows details to a viewer."""
    checks: ReadinessChecks = request.app.state.readiness
    results = checks.results()
    ready = all(result == OK for result in results.values())
    response.status_code = 200 if ready else 503
    who = principal_of(request)
    details = results if who and who.may("viewer") else None
    return Readiness(status="ready" if ready else "not ready", checks=details)
