"""Answers with a download: ranges, conditions and digests as RFC 9110 and RFC 9530 define them."""

from __future__ import annotations

import base64
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from exporter_pipelines.service.downloads import MEDIA_TYPES, Download
from exporter_pipelines.service.problem_responses import respond
from exporter_pipelines.service.problems import Problem

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_BYTES = {"type": "string", "format": "binary"}

DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All bytes. `ETag` changes with every byte; `Repr-Digest` is their SHA-256.",
        "content": dict.fromkeys(MEDIA_TYPES, _BYTES),
    },
    206: {
        "description": "The bytes that `Range` names.",
        "content": dict.fromkeys(MEDIA_TYPES, _BYTES),
    },
    304: {"description": "`If-None-Match` names the ETag."},
}
"""For the OpenAPI document."""


def send(request: Request, download: Download) -> Response:
    """The response; it closes the download."""
    try:
        return _response(request, download)
    except BaseException:  # raised again; nobody else would close the files
        download.close()
        raise


def _response(request: Request, download: Download) -> Response:
    etag, size = f'"{download.version}"', download.size_bytes
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{_plain(download.name)}"',
        **download.headers,
    }
    if download.sha256:
        digest = base64.b64encode(bytes.fromhex(download.sha256)).decode()
        headers["Repr-Digest"] = f"sha-256=:{digest}:"
    if _names(request.headers.get("if-none-match", ""), etag):
        download.close()
        return Response(status_code=304, headers=headers)
    start, end, status = 0, size, 200
    if (wanted := _range(request, etag)) is not None:
        start, end = _interval(wanted, size)
        if start >= end:
            download.close()
            headers_ = {"Content-Range": f"bytes */{size}"}
            detail = f"The download has {size:,} bytes; none of them is in the range."
            return respond(request, Problem(416, detail, headers=headers_))
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        start = end
    return _Stream(download, start, end, status, headers)


class _Stream(StreamingResponse):
    """Closes the download when it was sent, or when the client has gone."""

    def __init__(
        self, download: Download, start: int, end: int, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(
            download.blocks(start, end), status, headers, media_type=download.media_type
        )
        self._download = download

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._download.close()


def _range(request: Request, etag: str) -> re.Match[str] | None:
    """The range to send; None for all. More than one, or what is no range, is ignored."""
    condition = request.headers.get("if-range", etag)
    text = request.headers.get("range", "").replace(" ", "")
    found = _RANGE.fullmatch(text) if request.method == "GET" and condition == etag else None
    is_reversed = found and found[1] and found[2] and int(found[2]) < int(found[1])
    return None if is_reversed else found


def _interval(wanted: re.Match[str], size: int) -> tuple[int, int]:
    first, last, suffix = wanted.groups()
    if suffix is not None:
        return max(size - int(suffix), 0), size
    end = min(int(last) + 1, size) if last else size
    return int(first), end


def _names(condition: str, etag: str) -> bool:
    """Whether an `If-None-Match` names an ETag; weak ones count."""
    listed = [each.strip().removeprefix("W/") for each in condition.split(",")]
    return etag in listed or "*" in listed


def _plain(name: str) -> str:
    """Without what could end the header or its text."""
    return re.sub(r"[^A-Za-z0-9._=-]", "_", name)
