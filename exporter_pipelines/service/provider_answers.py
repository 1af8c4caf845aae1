"""Answers of the OpenID provider over HTTP: whole, within seconds, and of a size that fits memory.

The provider is trusted to say who a user is, but not to be up, quick, or without defects.
"""

from __future__ import annotations

import asyncio
from typing import Any

from authlib.integrations.httpx_client import AsyncOAuth2Client

MOST_SECONDS = 10.0
MOST_BYTES = 1_000_000
"""Metadata, keys and tokens have some kilobytes."""

_OF_THE_TRANSFER = ("content-encoding", "content-length", "transfer-encoding")


class AnswerTooLargeError(Exception):
    """An answer has more than `MOST_BYTES`."""


class BoundedClient(AsyncOAuth2Client):  # type: ignore[misc] # authlib has no types
    """Reads each answer at once, within limits for all of it.

    The timeout of httpx is for each read, so an answer that comes byte by byte would have no end.
    """

    async def send(self, request: Any, **options: Any) -> Any:
        """The answer with its body.

        Raises:
            TimeoutError: it took longer than `MOST_SECONDS`.
            AnswerTooLargeError: it has more than `MOST_BYTES`, once it is decompressed.
        """
        request.headers["accept-encoding"] = "identity"  # what is compressed may become large
        async with asyncio.timeout(MOST_SECONDS):
            answer = await super().send(request, **{**options, "stream": True})
            try:
                body = await _body_of(answer)
            finally:
                await answer.aclose()
        kept = [pair for pair in answer.headers.multi_items() if pair[0] not in _OF_THE_TRANSFER]
        # authlib uses httpx or httpx2, whichever is installed; both have this class.
        return type(answer)(answer.status_code, headers=kept, content=body, request=request)


async def _body_of(answer: Any) -> bytes:
    body = bytearray()
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > MOST_BYTES:
            raise AnswerTooLargeError
    return bytes(body)
