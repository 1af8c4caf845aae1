"""An HTTP proxy before an object store that loses answers, throttles, cuts and waits on request.

with http_proxy(server.endpoint) as proxy:
proxy.fate = lambda request: "lost" if request.number == 7 else "pass"
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_ANSWERS = {
    "busy": (503, b"<Error><Code>SlowDown</Code></Error>"),
    "throttled": (429, b""),
    "denied": (403, b"<Error><Code>AccessDenied</Code><Message>a-secret</Message></Error>"),
    "no_bucket": (404, b"<Error><Code>NoSuchBucket</Code><Message>a-secret</Message></Error>"),
    "broken": (500, b"<Error><Code>InternalError</Code><Message>a-secret</Message></Error>"),
}
_SLOW_S = 0.3
_CONDITIONS = {"if-match", "if-none-match"}
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass(frozen=True)
class Request:
    """A request, counted from 1."""

    number: int
    method: str
    path: str


@dataclass
class HttpProxy:
    """Forwards requests to a server.

    Attributes:
        server: URL of the server.
        url: Of the proxy.
        fate: What happens to a request: `pass`; `cut` before it reaches the server; `lost`: the
            server does it, and the connection is cut instead of an answer; `half` of the answer;
            `slow`; or one of `_ANSWERS`.
        ignores_conditions: Whether headers with conditions are left out.
        requests: All that came.
    """

    server: str
    url: str = ""
    fate: Callable[[Request], str] = lambda _request: "pass"
    ignores_conditions: bool = False
    requests: list[Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def counted(self, method: str, path: str) -> Request:
        """Number a request."""
        with self._lock:
            self.requests.append(Request(len(self.requests) + 1, method, path))
            return self.requests[-1]

    def forget(self) -> None:
        """Count from 1 again."""
        with self._lock:
            self.requests.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise each answer waits 40 ms for the client's acknowledgement of its headers.
    disable_nagle_algorithm = True
    wbufsize = -1
    proxy: HttpProxy

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = self.proxy.counted(self.command, self.path)
        fate = self.proxy.fate(request)
        if fate == "cut":
            self._cut()
            return
        if fate in _ANSWERS:
            self._answer(*_ANSWERS[fate], {})
            return
        if fate == "slow":
            time.sleep(_SLOW_S)
        status, headers, content = self._forwarded(body)
        if fate == "lost":
            self._cut()
        else:
            self._answer(status, content, headers, half=fate == "half")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 - names of http.server

    def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(self.proxy.server)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        # A server that is gone is an answer of this proxy, not an error in it.
        with suppress(OSError, http.client.HTTPException), closing(connection):
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if not (self.proxy.ignores_conditions and name.lower() in _CONDITIONS):
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        return 502, {}, b""

    def _answer(
        self, status: int, content: bytes, headers: dict[str, str], *, half: bool = False
    ) -> None:
        self.send_response_only(status)
        length = len(content)
        for name, value in headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = int(value)
            elif name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if half else content)
        if half:
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.close()

    def log_message(self, *_args: object) -> None:
        """Requests are kept in `HttpProxy.requests`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed cuts its connection; that is what is tested."""


@contextmanager
def http_proxy(server: str) -> Iterator[HttpProxy]:
    """A proxy on a free port of the loopback interface."""
    proxy = HttpProxy(server)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with _Server(("127.0.0.1", 0), handler) as listener:
        proxy.url = f"http://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown()
            thread.join()
