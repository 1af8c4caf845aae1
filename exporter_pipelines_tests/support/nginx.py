"""A real nginx with the shipped `deploy/nginx.conf`, on free ports, with a test certificate."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exporter_pipelines_tests.support.projects import ROOT
from exporter_pipelines_tests.support.servers import free_port
from exporter_pipelines_tests.support.waiting import wait_until

# Debian keeps nginx where only root's PATH looks.
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
OPENSSL = shutil.which("openssl")
_WEB_SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Protocol": "graphql-ws",
}
_MAIN = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/exporter.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    """nginx in front of a web server."""

    port: int

    @property
    def url(self) -> str:
        """Its address; also the Origin of its own pages."""
        return f"https://localhost:{self.port}"

    def status(
        self,
        method: str,
        path: str,
        *,
        body: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> int:
        """The status code of the answer to one request."""
        return self.answer(method, path, body=body, headers=headers).status

    def answer(
        self,
        method: str,
        path: str,
        *,
        body: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """The answer to one request, read to its end."""
        context = ssl._create_unverified_context()  # the certificate is the test's own
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=60, context=context
        )
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            if answer.status != 101:
                answer.read()
            return answer
        finally:
            connection.close()

    def web_socket_status(self, origin: str, **headers: str) -> int:
        """The status code of the answer to a page that opens a web socket; 101 opens it."""
        return self.status("GET", "/graphql", headers={**_WEB_SOCKET, "Origin": origin, **headers})


@contextmanager
def nginx(folder: Path, upstream: str, port: int) -> Iterator[Proxy]:
    """Nginx on `port`, in front of the web server at `upstream`, ready to answer."""
    folder.mkdir()
    proxy = Proxy(port)
    _write_configuration(folder, proxy, upstream)
    log = folder / "error.log"
    process = subprocess.Popen([str(NGINX), "-e", str(log), "-c", str(folder / "nginx.conf")])
    try:
        wait_until(lambda: _answers(proxy) or process.poll() is not None, "nginx answers")
        assert process.poll() is None, log.read_text()
        yield proxy
    finally:
        process.terminate()
        process.wait(timeout=20)


def _write_configuration(folder: Path, proxy: Proxy, upstream: str) -> None:
    """The shipped file with other names, ports and paths; everything else as it is."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl;": f"listen 127.0.0.1:{proxy.port} ssl;",
        "/etc/ssl/certs/exporter.example.org.pem": f"{folder}/certificate.pem",
        "/etc/ssl/private/exporter.example.org.key": f"{folder}/key.pem",
        "server_name exporter.example.org;": "server_name localhost;",
        "http://127.0.0.1:3000;": f"{upstream};",
    }.items():
        assert old in text, f"{old!r} is not in deploy/nginx.conf"
        text = text.replace(old, new)
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert "example.org" not in text
    (folder / "exporter.conf").write_text(text)
    # Its workers read the password file, which is the test's user's alone.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user))
    _openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem",
    )  # fmt: skip


def _openssl(*arguments: str) -> str:
    done = subprocess.run(
        [str(OPENSSL), *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def _answers(proxy: Proxy) -> bool:
    try:
        return proxy.status("GET", "/healthz") == 200
    except OSError:
        return False
