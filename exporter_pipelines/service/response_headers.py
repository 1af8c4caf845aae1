"""Headers that protect every answer, also those of the Dagster UI and of refusals."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

_STARTS = ("http.response.start", "websocket.http.response.start")
_ALWAYS = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_HSTS = "max-age=31536000"
_NO_FRAMES = "frame-ancestors 'none'"
_REMOVED = ("server", "x-dagster-call-counts", "x-powered-by")


def with_secure_headers(send: Send, *, https: bool) -> Send:
    """A `send` that adds the headers to the start of an answer."""

    async def secured(message: Message) -> None:
        if message["type"] in _STARTS:
            # A copy: the list may belong to a response that is sent several times.
            message = {**message, "headers": list(message.get("headers", ()))}
            _protect(MutableHeaders(scope=message), https=https)
        await send(message)

    return secured


def _protect(headers: MutableHeaders, *, https: bool) -> None:
    for name in _REMOVED:
        del headers[name]
    headers.update(_ALWAYS)
    if https:
        headers["strict-transport-security"] = _HSTS
    policy = headers.get("content-security-policy", "").rstrip("; ")
    if "frame-ancestors" not in policy:
        headers["content-security-policy"] = f"{policy}; {_NO_FRAMES}" if policy else _NO_FRAMES
    if "json" in headers.get("content-type", ""):
        headers.setdefault("cache-control", "no-store")
