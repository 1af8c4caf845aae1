"""Limits of a web socket: how many messages, subscriptions and sockets, and who may keep it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable

from starlette.types import Message, Receive, Send

from exporter_pipelines.service.refusals import Refusal

MAX_SOCKETS_PER_USER = 50
_MAX_SUBSCRIPTIONS = 100
_BURST, _PER_SECOND = 200, 20
_LOOK_AGAIN_SECONDS = 30.0
_POLICY, _NOT_UNDERSTOOD = 1008, 1003


class OpenSockets:
    """How many web sockets each user has open."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def opened(self, user: str) -> None:
        """Count one.

        Raises:
            Refusal: the user has too many.
        """
        if self._open[user] >= MAX_SOCKETS_PER_USER:
            raise Refusal(
                429, "too_many_sockets", f"You have {MAX_SOCKETS_PER_USER} web sockets open."
            )
        self._open[user] += 1

    def closed(self, user: str) -> None:
        """Count one less."""
        self._open[user] -= 1
        if self._open[user] <= 0:
            del self._open[user]


class LimitedSocket:
    """The messages of one web socket, which is closed when a client breaks a limit."""

    def __init__(self, receive: Receive, send: Send, may_stay: Callable[[], bool]) -> None:
        """Args: `may_stay` is asked every few seconds whether the user still has access."""
        self._receive, self._send, self._may_stay = receive, send, may_stay
        self._left, self._at = float(_BURST), time.monotonic()
        self._subscriptions: set[object] = set()
        self._next: asyncio.Future[Message] | None = None

    async def receive(self) -> Message:
        """The next message for the application."""
        message = await self._wait()
        if message is None:
            return await self._close(_POLICY)
        if message["type"] != "websocket.receive":
            return message
        if not self._within_rate():
            return await self._close(_POLICY)
        understood = _understood(message.get("text"))
        if understood is None:
            return await self._close(_NOT_UNDERSTOOD)
        kind, key = understood
        if kind == "start":
            self._subscriptions.add(key)
        elif kind == "stop":
            self._subscriptions.discard(key)
        too_many = len(self._subscriptions) > _MAX_SUBSCRIPTIONS
        return await self._close(_POLICY) if too_many else message

    async def _wait(self) -> Message | None:
        """The next message, or None when the user has lost access meanwhile."""
        # The future lives on over a time-out: cancelling it could lose a message.
        self._next = self._next or asyncio.ensure_future(self._receive())
        while not self._next.done():
            await asyncio.wait({self._next}, timeout=_LOOK_AGAIN_SECONDS)
            if not self._next.done() and not self._may_stay():
                self._next.cancel()
                return None
        message, self._next = self._next.result(), None
        return message

    def _within_rate(self) -> bool:
        now = time.monotonic()
        self._left = min(_BURST, self._left + (now - self._at) * _PER_SECOND) - 1
        self._at = now
        return self._left >= 0

    async def _close(self, code: int) -> Message:
        await self._send({"type": "websocket.close", "code": code})
        return {"type": "websocket.disconnect", "code": code}


def _understood(text: str | None) -> tuple[str, object] | None:
    """Kind and id of a message of the protocol `graphql-ws`; None for anything else."""
    try:
        message = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return None
    kind, key = message["type"], message.get("id")
    if key is not None and not isinstance(key, str | int):
        return None
    payload = message.get("payload")
    if kind == "start" and not (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables") or {}, dict)
    ):
        return None
    return kind, key
