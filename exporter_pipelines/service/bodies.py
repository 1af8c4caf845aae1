"""The body of a request: read whole before anything handles it, with limits of size and time."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive

from exporter_pipelines.service.heads import Head
from exporter_pipelines.service.refusals import Refusal

MAX_BODY_BYTES = 1024 * 1024
MAX_BODY_SECONDS = 10.0


async def whole_body(
    head: Head, receive: Receive, *, limit: int = MAX_BODY_BYTES, seconds: float = MAX_BODY_SECONDS
) -> Receive:
    """Read the body, and return what hands it to the application in one message.

    Raises:
        Refusal: it is compressed, too long or too slow, or the client went away.
    """
    length = head.one("content-length")
    if length in ("", "0") and not head.one("transfer-encoding"):
        return receive
    if head.one("content-encoding").lower() not in ("", "identity"):
        # A few bytes could become gigabytes.
        raise Refusal(415, "compressed_body", "Send the body without compression.")
    if length and not (length.isascii() and length.isdigit()):
        raise Refusal(400, "length", "The header Content-Length is not a number.")
    if length and (len(length) > 12 or int(length) > limit):
        raise _too_long(limit)
    try:
        async with asyncio.timeout(seconds):
            body = await _read(receive, limit)
    except TimeoutError:
        raise Refusal(408, "slow_body", f"The body did not arrive within {seconds:g} s.") from None
    return _replayed(body, receive)


async def _read(receive: Receive, limit: int) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "disconnected", "The client ended the connection.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_long(limit)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _too_long(limit: int) -> Refusal:
    return Refusal(413, "long_body", f"The body is longer than {limit // 1024} KiB.")
