"""A real receiver of alerts and of heartbeats, on the loopback interface."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Inbox:
    """What arrived.

    Attributes:
        port: Where it listens.
        posts: JSON bodies, in order.
        beats: Paths that were asked for with GET.
        status: Every request is answered with it.
        gate: While it is cleared, no request is answered.
    """

    port: int = 0
    posts: list[dict[str, str]] = field(default_factory=list)
    beats: list[str] = field(default_factory=list)
    status: int = 200
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """For EXPORTER_ALERT_URLS."""
        return f"json://127.0.0.1:{self.port}/hook"

    @property
    def titles(self) -> list[str]:
        """Of the messages, without what all begin with."""
        return [post["title"].removeprefix("[exporter] ") for post in self.posts]

    def emptied(self) -> list[dict[str, str]]:
        """What arrived since the last time."""
        posts, self.posts = self.posts, []
        return posts


@contextmanager
def inbox(port: int = 0) -> Iterator[Inbox]:
    """A receiver that listens until the block ends."""
    received = Inbox()
    received.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.gate.wait(30)
            if received.status < 400:
                received.posts.append(json.loads(body))
            self._answer()

        def do_GET(self) -> None:
            received.beats.append(self.path)
            self._answer()

        def _answer(self) -> None:
            self.send_response(received.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        received.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield received
        finally:
            received.gate.set()
            server.shutdown()
