"""A request that is refused before it reaches a route, and the answer that says why."""

from __future__ import annotations

import json

from starlette.types import Scope, Send

from exporter_pipelines.service.problems import MEDIA_TYPE, Problem


class Refusal(Problem):
    """A problem that the guard answers with.

    Args:
        why: One word for the audit file and the metric `exporter_http_refused_total`.
        detail: Without any text of the request.
    """

    def __init__(
        self,
        status: int,
        why: str,
        detail: str,
        headers: dict[str, str] | None = None,
        *,
        anchor: str = "a-request-is-refused",
    ) -> None:
        super().__init__(status, detail, anchor=anchor, headers=headers)
        self.why = why


async def answer_refusal(refusal: Refusal, scope: Scope, send: Send, prefix: str = "") -> None:
    """Send the answer; a web socket is closed before it opens, with the same status."""
    body = b""
    if refusal.status >= 400:
        # The path may be what is wrong with the request, and is not repeated.
        body = json.dumps(refusal.document("", f"{prefix}/docs/")).encode()
    headers = {
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        "cache-control": "no-store",
        # The body of the request may still be on its way, and is not read.
        "connection": "close",
        **refusal.headers,
    }
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    kind = "http"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http"
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": f"{kind}.response.body", "body": body})
