"""The guard: every request passes it before any route; it decides who sends the request."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.principals import Principal, set_principal

_LOCAL = Principal("local", frozenset({"operator", "quarantine"}), "loopback")


class Guard:
    """Sets the principal of each request."""

    def __init__(self, app: ASGIApp, context: ServiceContext) -> None:
        self._app, self._context = app, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or a web socket."""
        if scope["type"] in ("http", "websocket"):
            set_principal(scope, _LOCAL)
        await self._app(scope, receive, send)
