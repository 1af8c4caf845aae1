"""The role that a route needs, as a FastAPI dependency that a test can list."""

from __future__ import annotations

from typing import Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from exporter_pipelines.service.principals import Principal, Role, principal_of
from exporter_pipelines.service.problems import Problem


class Needs:
    """Answers 401 without a principal and 403 without the role; passes the principal on."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, connection: HTTPConnection) -> Principal:
        """The principal, if it has the role."""
        principal = principal_of(connection)
        if principal is None:
            raise Problem(
                401,
                "The request has no valid token. Send `Authorization: Bearer TOKEN`.",
                anchor="a-token-is-missing-or-not-valid",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not principal.may(self.role):
            raise Problem(
                403,
                f"{principal.name} needs the role {self.role} for this request.",
                anchor="a-role-is-missing",
            )
        return principal


def needs(role: Role) -> Any:
    """Declare the role of a route.

    Example:
        async def me(principal: Annotated[Principal, needs("viewer")]) -> Me: ...
    """
    return Depends(Needs(role))
