"""Clients of the service in this process, without its guard and without a network."""

from __future__ import annotations

from typing import Any

import httpx
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter_pipelines.client import Client
from exporter_pipelines.service.principals import Principal, Role, set_principal

_USER = "x-test-user"
_URL = "http://testserver"


def client_of(api: FastAPI, *roles: Role, name: str = "alice", **options: Any) -> TestClient:
    """A client whose requests are those of a user with these roles; of nobody without any."""
    headers = {_USER: ":".join((name, *roles))} if roles else {}
    return TestClient(
        instead_of_the_guard(api), _URL, headers=headers, follow_redirects=False, **options
    )


def asynchronous(api: FastAPI, *roles: Role, name: str = "alice") -> httpx.AsyncClient:
    """The same for many requests at a time."""
    transport = httpx.ASGITransport(instead_of_the_guard(api))
    headers = {_USER: ":".join((name, *roles))}
    return httpx.AsyncClient(transport=transport, base_url=_URL, headers=headers)


def instead_of_the_guard(app: ASGIApp) -> ASGIApp:
    """Takes the user of a request and the roles from a header."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            text = dict(scope["headers"]).get(_USER.encode(), b"").decode()
            name, *roles = text.split(":")
            who = Principal(name, frozenset(roles), "bearer") if text else None  # type: ignore[arg-type]
            set_principal(scope, who)
            scope["exporter.audit"] = {}
        await app(scope, receive, send)

    return application


class _InProcess(httpx.BaseTransport):
    """Sends the requests of another client through one of this process."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._client.request(
            request.method, str(request.url), headers=dict(request.headers), content=request.read()
        )
        stream = httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)


def library_client(api: FastAPI, *roles: Role, name: str = "alice") -> Client:
    """The client that users have, of a user with these roles."""
    return Client("http://127.0.0.1", transport=_InProcess(client_of(api, *roles, name=name)))
