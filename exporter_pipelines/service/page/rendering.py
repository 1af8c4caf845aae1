"""Renders a page with the headers that keep foreign content out of it."""

from __future__ import annotations

import secrets
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from exporter_pipelines.service.context import context_of
from exporter_pipelines.service.page import texts
from exporter_pipelines.service.principals import principal_of

FOLDER = Path(__file__).parent
ASSETS = {
    "service.css": "text/css; charset=utf-8",
    "exports.css": "text/css; charset=utf-8",
    "exports.js": "text/javascript; charset=utf-8",
}
_POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
    "connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of a template, for the user of the request.

    Args:
        request: Whose user, prefix and path the page shows.
        template: File in this folder.
        status: Of the response.
        **values: Of the template.
    """
    context, who, nonce = context_of(request), principal_of(request), secrets.token_urlsafe(16)
    html = (
        _templates()
        .get_template(template)
        .render(
            url=context.url,
            path=request.url.path,
            address=_address(request),
            who=who,
            read_only=context.options.read_only,
            nonce=nonce,
            version=asset_version(),
            **values,
        )
    )
    headers = {
        "content-security-policy": _POLICY.format(nonce=nonce),
        "cache-control": "no-store",
    }
    return HTMLResponse(html, status, headers)


def _address(request: Request) -> str:
    """Where the script gets the page again; what a form leads to has no address of its own."""
    if request.method == "POST":
        return context_of(request).url("/exports")
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def wants_page(request: Request) -> bool:
    """Whether a browser asks for one of the pages here, rather than a program for an answer."""
    path = request.url.path.removeprefix(context_of(request).options.prefix)
    is_page = path.startswith(("/exports", "/docs"))
    return is_page and "text/html" in request.headers.get("accept", "")


@cache
def asset(name: str) -> bytes:
    """A style sheet or script; read once."""
    return (FOLDER / name).read_bytes()


@cache
def asset_version() -> str:
    """Part of the addresses of style sheets and scripts, which browsers keep for a day."""
    return sha256(b"".join(map(asset, ASSETS))).hexdigest()[:12]


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=texts.count,
        percent=texts.percent,
        size=texts.size,
        seconds=texts.seconds,
        moment=texts.moment,
        isodate=texts.isodate,
        links=texts.with_links,
    )
    return environment
