"""A TCP proxy before a database that cuts connections after some bytes, or says nothing more.

    with tcp_proxy(backend.url, cuts=[None, 50_000]) as proxy:
        export(proxy.url, ...)

Also a program, which can be stopped as a whole:
`python -m exporter_pipelines_tests.support.tcp_proxy URL` prints its URL.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

_CHUNK = 16 * 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER 0: a close sends RST, as a crashed server does


@dataclass
class TcpProxy:
    """Forwards each connection to the server of a URL.

    Attributes:
        server: URL of the database behind it.
        cuts: For each connection in turn, after how many bytes from the server it is cut; None,
            and beyond the end of the list, never. An export makes two connections: one looks at
            the types.
        url: Of the same database through the proxy.
        was_cut: How many connections were.
        flows: Cleared, no further byte is forwarded; connections stay open.
    """

    server: str
    cuts: Sequence[int | None] = ()
    url: str = ""
    was_cut: int = 0
    flows: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        """Accept until the listener is closed."""
        self.flows.set()
        port = listener.getsockname()[1]
        parts = conninfo_to_dict(self.server)
        user, name = quote(str(parts.get("user"))), quote(str(parts["dbname"]))
        self.url = f"postgresql://{user}@127.0.0.1:{port}/{name}"
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        cuts = iter(self.cuts)
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    server = self._connect()
                except OSError:  # it is just restarting
                    client.close()
                    continue
                left = next(cuts, None)
                for pair in ((client, server, None), (server, client, left)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _connect(self) -> socket.socket:
        parts = conninfo_to_dict(self.server)
        host, port = str(parts["host"]), int(str(parts.get("port") or 5432))
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _forward(self, source: socket.socket, sink: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                self.flows.wait()
                if left is not None and len(data) >= left:
                    sink.sendall(data[:left])
                    self.was_cut += 1
                    sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    break
                sink.sendall(data)
                left = None if left is None else left - len(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def tcp_proxy(server: str, cuts: Sequence[int | None] = ()) -> Iterator[TcpProxy]:
    """A proxy on a free port of the loopback interface."""
    proxy = TcpProxy(server, cuts)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.serve(listener)
        try:
            yield proxy
        finally:
            proxy.flows.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    with tcp_proxy(sys.argv[1]) as running:
        sys.stdout.write(f"{running.url}\n")
        sys.stdout.flush()
        signal.pause()
