"""The guard around a small application, asked in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from exporter_pipelines.service.access import Access
from exporter_pipelines.service.guard import Guard
from exporter_pipelines.service.principals import principal_of
from exporter_pipelines.service.tokens import add_token

HOST = "127.0.0.1:3000"
OWN = f"http://{HOST}"
EVIL = "http://evil.example"


async def _echo(request: Request) -> JSONResponse:
    """What an endpoint sees of a request."""
    who = principal_of(request)
    return JSONResponse({
        "user": who.name if who else None,
        "roles": sorted(who.roles) if who else [],
        "via": who.via if who else None,
        "body": (await request.body()).decode("latin-1"),
        "headers": dict(request.headers),
        "path": request.url.path,
    })  # fmt: skip


_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass
class Guarded:
    """A service whose every path answers with what it was sent.

    Attributes:
        folder: Where its tokens and its audit file are.
        access: Who may use it.
    """

    folder: Path
    access: Access = field(init=False)

    def begin(self, **options: Any) -> None:
        """Read the settings."""
        self.access = Access.of(**{"port": 3000, **options})
        echo = Route("/{path:path}", _echo, methods=_METHODS)
        self._app = Guard(Starlette(routes=[echo]), self.access)

    def token(self, name: str, *roles: str) -> str:
        """Add a token and return it."""
        return add_token(self.folder / ".tokens", name, frozenset(roles), None)

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        *,
        token: str = "",
        peer: str = "127.0.0.1",
        body: bytes | None = None,
    ) -> httpx.Response:
        """Send a request as it is, with the Host of the service unless the headers have one."""
        sent = list(headers.items() if isinstance(headers, Mapping) else headers or [])
        if token:
            sent.append(("Authorization", f"Bearer {token}"))

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, client=(peer, 40000))
            async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
                return await client.request(method, path, headers=sent, content=body)

        return asyncio.run(send())

    def audit(self) -> list[dict[str, str]]:
        """The lines of the audit file."""
        file = self.folder / "audit.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]


def guarded_in(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Guarded:
    """One whose settings are these, in an empty folder."""
    monkeypatch.setenv("EXPORTER_TOKENS_FILE", str(folder / ".tokens"))
    monkeypatch.setenv("EXPORTER_AUDIT_FILE", str(folder / "audit.jsonl"))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Guarded(folder)
