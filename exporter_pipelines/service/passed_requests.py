"""What the guard adds to a request that it passes on, and endpoints read."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import HTTPConnection
from starlette.types import Scope

from exporter_pipelines.service.heads import Head
from exporter_pipelines.service.principals import Principal, set_principal

_AUDIT, _HEAD, _HTTPS = "exporter.audit", "exporter.head", "exporter.https"


def passed_on(
    scope: Scope, head: Head, who: Principal | None, *, https: bool, hidden: Iterable[str]
) -> Scope:
    """The scope for the application: with the user, and without `hidden` headers."""
    names = {name.encode() for name in hidden}
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in names]
    passed = {**scope, "headers": headers, _AUDIT: {}, _HEAD: head, _HTTPS: https}
    set_principal(passed, who)
    return passed


def audit_details_in(scope: Scope) -> dict[str, str]:
    """As `audit_details`."""
    details: dict[str, str] = scope.setdefault(_AUDIT, {})
    return details


def audit_details(connection: HTTPConnection) -> dict[str, str]:
    """What the audit line of a request says beside its path; an endpoint may add to it.

    With anything in it, a line is written also for a request that only reads.
    """
    return audit_details_in(connection.scope)


def head_of(connection: HTTPConnection) -> Head:
    """The head of a request as the guard read it, below the prefix."""
    head: Head = connection.scope[_HEAD]
    return head


def is_https(connection: HTTPConnection) -> bool:
    """Whether the browser reaches this address over TLS."""
    return bool(connection.scope[_HTTPS])
