"""Counts requests by route and status, for the metrics."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter_pipelines.service.context import ServiceContext

_UI = "dagster ui"


class AnsweredRequests:
    """Counts what it passes on; the path of a request is no label, since it may be anything."""

    def __init__(self, app: ASGIApp, context: ServiceContext) -> None:
        self._app, self._context = app, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", _UI)
                self._context.answered[route, str(message["status"])] += 1
            await send(message)

        await self._app(scope, receive, counted)
