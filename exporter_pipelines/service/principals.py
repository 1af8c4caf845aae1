"""Who sends a request, and what this principal may do."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import HTTPConnection

Role = Literal["viewer", "exporter", "operator", "quarantine", "metrics"]
"""`operator` includes `exporter`, which includes `viewer`. The other two stand alone."""

Via = Literal["bearer", "session", "proxy", "loopback", "oidc"]
"""How a principal was recognised."""

ROLES: tuple[Role, ...] = ("viewer", "exporter", "operator", "quarantine", "metrics")
_INCLUDED: dict[str, frozenset[str]] = {
    "viewer": frozenset({"viewer", "metrics"}),
    "exporter": frozenset({"viewer", "metrics", "exporter"}),
    "operator": frozenset({"viewer", "metrics", "exporter", "operator"}),
}
_SCOPE_KEY = "exporter.principal"


@dataclass(frozen=True)
class Principal:
    """A user or a program that was recognised by the guard.

    Attributes:
        name: Of the token, of the proxy's user, or `local`.
        roles: As they were given, without those that they include.
        via: How it was recognised.
    """

    name: str
    roles: frozenset[str]
    via: Via

    def may(self, role: Role) -> bool:
        """Whether it has this role, or one that includes it."""
        return any(role in _INCLUDED.get(held, {held}) for held in self.roles)


def set_principal(scope: MutableMapping[str, Any], principal: Principal | None) -> None:
    """Record who sends a request; only the guard calls this. None: nobody was recognised."""
    scope[_SCOPE_KEY] = principal


def principal_of(connection: HTTPConnection) -> Principal | None:
    """Who sends this request, or None for the few paths that need no credentials."""
    found: Principal | None = connection.scope[_SCOPE_KEY]
    return found
