"""Server-sent events of one export, until it has ended."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import ExitStack

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from exporter_pipelines.service.context import ServiceContext, context_of
from exporter_pipelines.service.export_pages import page_of
from exporter_pipelines.service.models import Export
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.service.routes.preferences import watcher_of
from exporter_pipelines.service.watching import ENDED, Watcher

_HEARTBEAT_S = 15.0
_STREAMS_PER_SECOND = 20
"""Looks at exports per second, of all streams together: more streams look less often."""


async def events_of(request: Request, export_id: str, user: str, limit: int) -> StreamingResponse:
    """A response with the events, each with the results of `limit` days at most.

    Raises:
        Problem: 404 if there is no such export; 503 if there are too many streams.
    """
    context, watcher = context_of(request), watcher_of(request)
    export = await run_in_threadpool(watcher.look, export_id)
    with ExitStack() as place:
        if not place.enter_context(context.event_streams.place(user)):
            raise Problem(
                503,
                "Too many clients follow exports. Ask for the export itself, or try again later.",
                headers={"Retry-After": "10"},
            )
        return _Events(_events(context, watcher, export, limit), place.pop_all())


class _Events(StreamingResponse):
    """Gives its place back when the stream has ended, or when the client has gone."""

    def __init__(self, events: AsyncIterator[str], place: ExitStack) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers, media_type="text/event-stream")
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await super().__call__(scope, receive, send)


async def _events(
    context: ServiceContext, watcher: Watcher, export: Export, limit: int
) -> AsyncIterator[str]:
    sent, sent_at = "", 0.0
    yield "retry: 2000\n\n"
    while True:
        text = page_of(export, limit).model_dump_json()
        if text != sent:
            yield f"event: status\ndata: {text}\n\n"
            sent, sent_at = text, time.monotonic()
        elif time.monotonic() - sent_at > _HEARTBEAT_S:
            yield ": still here\n\n"
            sent_at = time.monotonic()
        if export.status in ENDED:
            return
        await anyio.sleep(max(1.0, context.event_streams.taken / _STREAMS_PER_SECOND))
        export = await run_in_threadpool(watcher.look, export.id)
