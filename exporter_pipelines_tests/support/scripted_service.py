"""A web server that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What is sent back.

    Attributes:
        status: Of HTTP.
        body: Bytes, or anything that JSON can hold.
        headers: In addition to Content-Length, which they may replace.
        cut_after: Close the connection after so many bytes of the body.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None

    @property
    def content(self) -> bytes:
        """The body."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Asked:
    """A request that arrived."""

    method: str
    path: str
    headers: Message
    body: bytes


CUT = Reply(cut_after=-1)
"""The connection is closed without any answer."""


@dataclass
class ScriptedService:
    """See the module.

    Attributes:
        url: Its address.
        asked: The requests so far.
        answer: Returns the reply to a request.
    """

    url: str
    answer: Callable[[Asked], Reply]
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def scripted_service(*replies: Reply) -> Iterator[ScriptedService]:
    """A server that sends these replies one after the other, then the last one again."""
    left = list(replies)

    def answer(_asked: Asked) -> Reply:
        return left.pop(0) if len(left) > 1 else left[0]

    with _served() as (server, service):
        service.answer = answer
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _served() -> Iterator[tuple[ThreadingHTTPServer, ScriptedService]]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked = Asked(self.command, self.path, self.headers, body)
            service.asked.append(asked)
            self._send(service.answer(asked))

        do_POST = do_GET  # noqa: N815 - the base class looks for this name

        def _send(self, reply: Reply) -> None:
            self.close_connection = True
            if reply.cut_after == -1:
                return
            self.send_response(reply.status)
            kind = "application/json" if reply.status < 300 else "application/problem+json"
            headers = {
                "Content-Type": kind,
                "Content-Length": str(len(reply.content)),
                "Connection": "close",
            }
            for name, value in {**headers, **reply.headers}.items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # the client may have been interrupted
                self.end_headers()
                self.wfile.write(reply.content[: reply.cut_after])

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service = ScriptedService(f"http://127.0.0.1:{server.server_port}", lambda _: Reply(500))
        yield server, service
