"""A small imitation of Google Cloud Storage: the emulators that were tried keep no conditions.

It shows that this project sends the conditions of Google, which are numbers of generations and not
ETags, and understands the answers. It says nothing about the real service.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from exporter_pipelines_tests.support.object_servers import ObjectServer

_BUCKET = "exports"
_TIME = "2026-11-28T12:00:00.000Z"


@dataclass
class _Objects:
    """Key -> generation and content; upload id -> part number -> content."""

    stored: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    newest: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, key: str, content: bytes, condition: str | None) -> int | None:
        """Store an object and return its generation; None when the condition is not met."""
        with self.lock:
            now = self.stored.get(key, (0, b""))[0]
            if condition is not None and int(condition) != now:
                return None
            self.newest += 1
            self.stored[key] = (self.newest, content)
            return self.newest


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    objects: _Objects

    def do_GET(self) -> None:
        if "list-type" in self._query:
            self._list()
            return
        found = self.objects.stored.get(self._key)
        if found is None:
            self._answer(404)
            return
        generation, content = found
        status, about = 200, self._about(generation)
        if wanted := self.headers.get("Range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            end = min(int(last) + 1 if last else len(content), len(content))
            about["Content-Range"] = f"bytes {first}-{end - 1}/{len(content)}"
            status, content = 206, content[int(first) : end]
        self._answer(status, content, about)

    do_HEAD = do_GET  # noqa: N815 - names of http.server

    def do_PUT(self) -> None:
        body = self._body()
        if "uploadId" in self._query:
            self.objects.parts[self._query["uploadId"]][int(self._query["partNumber"])] = body
            self._answer(200, about={"ETag": '"part"'})
            return
        if source := self.headers.get("x-goog-copy-source"):
            copied = self.objects.stored.get(unquote(source).lstrip("/").partition("/")[2])
            if copied is None:
                self._answer(404)
                return
            body = copied[1]
        self._stored(body, self.headers.get("x-goog-if-generation-match"))

    def do_POST(self) -> None:
        self._body()
        upload = self._query.get("uploadId")
        if upload is None:
            upload = str(len(self.objects.parts))
            self.objects.parts[upload] = {}
            self._xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
            return
        parts = self.objects.parts[upload]
        generation = self.objects.put(
            self._key, b"".join(parts[number] for number in sorted(parts)), None
        )
        about = self._about(generation or 0)
        self._xml("CompleteMultipartUploadResult", "<ETag>whole</ETag>", about)

    def do_DELETE(self) -> None:
        with self.objects.lock:
            found = self.objects.stored.pop(self._key, None)
        self._answer(404 if found is None else 204)

    def _stored(self, body: bytes, condition: str | None) -> None:
        generation = self.objects.put(self._key, body, condition)
        if generation is None:
            self._answer(412)
        else:
            self._answer(200, about=self._about(generation))

    def _list(self) -> None:
        prefix, split = self._query.get("prefix", ""), self._query.get("delimiter")
        contents, folders = "", set()
        for key, (generation, content) in sorted(self.objects.stored.items()):
            inner = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            if split and split in inner:
                folders.add(prefix + inner.partition(split)[0] + split)
                continue
            contents += (
                f"<Contents><Key>{escape(key)}</Key><LastModified>{_TIME}</LastModified>"
                f"<Size>{len(content)}</Size><ETag>{generation}</ETag></Contents>"
            )
        for each in sorted(folders):
            contents += f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>"
        self._xml("ListBucketResult", contents)

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{_BUCKET}/")

    @property
    def _query(self) -> dict[str, str]:
        found = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        return {name: values[0] for name, values in found.items()}

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _about(self, generation: int) -> dict[str, str]:
        return {
            "ETag": f'"{generation}"',
            "x-goog-generation": str(generation),
            "Last-Modified": formatdate(usegmt=True),
        }

    def _xml(self, name: str, content: str, about: dict[str, str] | None = None) -> None:
        self._answer(200, f"<?xml version='1.0'?><{name}>{content}</{name}>".encode(), about)

    def _answer(
        self, status: int, content: bytes = b"", about: dict[str, str] | None = None
    ) -> None:
        self.send_response_only(status)
        for header, value in (about or {}).items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_args: object) -> None:
        """Nothing is logged."""


@contextmanager
def gcs_stub() -> Iterator[ObjectServer]:
    """A server with a bucket `exports`."""
    handler = type("Handler", (_Handler,), {"objects": _Objects()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            endpoint = f"http://127.0.0.1:{server.server_port}"
            yield ObjectServer("gs://exports", endpoint, {"GOOGLE_BEARER_TOKEN": "any"})
        finally:
            server.shutdown()
            thread.join()
