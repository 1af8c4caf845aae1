"""The guard: what every request passes before anything else sees it.

A plain ASGI application around another one, so that the Dagster UI, GraphQL, web sockets and our
own pages have the same rules. The order of the checks is the order of the functions here; which
endpoint needs which role beyond that is said where the endpoint is.
"""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter_pipelines.service.access import Access
from exporter_pipelines.service.bodies import whole_body
from exporter_pipelines.service.heads import Head
from exporter_pipelines.service.identity import who_are_you
from exporter_pipelines.service.passed_requests import audit_details_in, passed_on
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.proxy_users import SECRET_HEADER
from exporter_pipelines.service.refusals import Refusal, answer_refusal
from exporter_pipelines.service.response_headers import with_secure_headers
from exporter_pipelines.service.web_sockets import LimitedSocket, OpenSockets

_ROLE = "a-role-is-missing"
_SAFE = ("GET", "HEAD", "OPTIONS")
_METHODS = (*_SAFE, "POST", "PUT", "PATCH", "DELETE")
_HEALTH = frozenset({"/healthz", "/readyz", "/api/v1/healthz", "/api/v1/readyz"})
_OPEN = frozenset({
    "/healthz", "/readyz", "/login", "/logout", "/login/oidc", "/login/oidc/callback",
    "/api/v1/me", "/api/v1/login", "/api/v1/logout", "/api/v1/healthz", "/api/v1/readyz",
})  # fmt: skip
"""Endpoints that answer to everybody; what they show is theirs to decide."""
_ALIVE = "/healthz"
"""Says the same to everybody, and so also to a monitor behind a proxy."""
_OPERATORS = re.compile(r"/(download_debug|(dagit/)?notebook)(/|$)")
_OPERATION_NAME = re.compile(r"(op=[A-Za-z0-9_]{1,100})?")
_SEES_QUARANTINE = re.compile(r"/quarantine(/|$)")
_EXPORT = re.compile(rb"/api/v1/exports/([\w-]{1,64})$")
_LOOK_AGAIN_SECONDS = 30.0


class Guard:
    """Refuses what is not allowed, and says in the scope who sent what is."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._prefix = app, access.prefix
        self._addresses, self._identity = access.addresses, access.identity
        self._audit = access.audit
        proxy = access.identity.proxy
        # What only the guard may read; a part behind it could otherwise log or believe it.
        self._hidden = {"authorization", SECRET_HEADER, proxy.user_header if proxy else ""}
        self._sockets = OpenSockets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        head, who = Head.of(scope), None
        https = self._addresses.is_https(head)
        send = with_secure_headers(send, https=https)
        try:
            head.refuse_what_is_long()
            head.refuse_what_is_unclear()
            self._addresses.refuse_other_host(head)
            head = head.below(self._prefix)
            self._addresses.refuse_foreign(head)
            if head.path != _ALIVE:
                who = self._identity.of(head, https=https)
            self._refuse_endpoint(head, who)
            self._refuse_unintended(head, who)
            if scope["type"] == "http":
                receive = await whole_body(head, receive)
            else:
                self._sockets.opened(who.name if who else "")
        except Refusal as refusal:
            peer = self._identity.client_of(head)
            self._audit.refused_request(head, who, peer, refusal.status, refusal.why)
            await answer_refusal(refusal, scope, send, self._prefix)
            return
        scope = passed_on(scope, head, who, https=https, hidden=self._hidden)
        if scope["type"] == "websocket":
            await self._pass_socket(head, who, scope, receive, send)
        else:
            await self._pass_request(head, who, scope, receive, send)

    def _refuse_endpoint(self, head: Head, who: Principal | None) -> None:
        """What needs no route to be refused: no credentials, and parts of Dagster's web server."""
        if head.method not in _METHODS:
            allowed = {"allow": ", ".join(_METHODS)}
            raise Refusal(405, "method", "The method is not one of the service.", allowed)
        if head.path in _HEALTH and head.method not in ("GET", "HEAD"):
            raise Refusal(405, "method", "Health is only read.", {"allow": "GET"})
        if head.kind == "websocket" and head.path != "/graphql":
            raise Refusal(404, "web_socket", "There is no web socket here.")
        if head.path in _OPEN:
            return
        if who is None:
            raise self._log_in(head)
        if head.path.startswith("/report_asset_"):
            # Events that no run made: nothing here sends them, and they are not checked.
            raise Refusal(404, "report_asset", "Events are reported by runs only.")
        if _OPERATORS.match(head.path) and not who.may("operator"):
            raise Refusal(403, "role", "This needs the role operator.", anchor=_ROLE)
        if not who.may("viewer") and not _is_for(head, who):
            raise Refusal(403, "role", "This needs the role viewer.", anchor=_ROLE)
        if head.kind == "websocket" or head.path.rstrip("/") == "/graphql":
            self._refuse_graphql(head, who)

    def _refuse_graphql(self, head: Head, who: Principal) -> None:
        if head.kind == "websocket":
            if who.via != "bearer" and not self._addresses.is_own(head):
                raise Refusal(403, "foreign_origin", "Web sockets need the Origin of the service.")
            return
        if head.method != "POST":
            raise Refusal(405, "graphql_method", "GraphQL takes POST only.", {"allow": "POST"})
        if not _OPERATION_NAME.fullmatch(head.query):
            raise Refusal(403, "graphql_address", "The query of GraphQL belongs in the body.")
        if head.one("content-type").lower().replace(" ", "") not in (
            "application/json",
            "application/json;charset=utf-8",
        ):
            raise Refusal(415, "graphql_type", "GraphQL takes application/json only.")

    def _refuse_unintended(self, head: Head, who: Principal | None) -> None:
        """A browser adds cookies and addresses by itself; a change then has to come from a page."""
        if head.method in _SAFE or (who and who.via == "bearer"):
            return
        if self._addresses.is_own(head) or head.one("sec-fetch-site").lower() == "same-origin":
            return
        json_body = head.one("content-type").lower().startswith("application/json")
        if who and who.via == "loopback" and json_body and not head.one("sec-fetch-site"):
            # A program: a browser asks before it sends JSON elsewhere, and is refused then.
            return
        if who is None and head.path.startswith("/api/") and json_body:
            return  # as above: nothing but the token in the body counts
        raise Refusal(
            403,
            "no_origin",
            "This has to come from a page of the service, or with a token. A program on this "
            "machine sends the header Content-Type: application/json.",
        )

    def _log_in(self, head: Head) -> Refusal:
        if not head.is_page_visit or head.path.startswith("/api/"):
            return who_are_you()
        wanted = head.raw_path + (f"?{head.query}" if head.query else "")
        there = f"?next={quote(wanted, safe='/')}" if head.path != "/" else ""
        return Refusal(
            303, "no_credentials", "Log in.", {"location": f"{self._prefix}/login{there}"}
        )

    async def _pass_request(
        self, head: Head, who: Principal | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        status = 500
        stream = _Stream(send, lambda: who is None or self._may_stay(head))

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _note_export(message, audit_details_in(scope))
            await stream.send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            details = audit_details_in(scope)
            if _is_a_change(head, details):
                peer = self._identity.client_of(head)
                self._audit.changed(head, who, peer, status, details)

    async def _pass_socket(
        self, head: Head, who: Principal | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        name = who.name if who else ""
        try:
            socket = LimitedSocket(receive, send, lambda: self._may_stay(head))
            await self._app(scope, socket.receive, send)
        finally:
            self._sockets.closed(name)

    def _may_stay(self, head: Head) -> bool:
        """Whether the credentials of a request that goes on for long are still valid."""
        try:
            return self._identity.of(head, https=self._addresses.is_https(head)) is not None
        except Refusal:
            return False


class _Stream:
    """Ends a stream of events whose user has lost access meanwhile."""

    def __init__(self, send: Send, may_stay: Any) -> None:
        self._send, self._may_stay = send, may_stay
        self._events = self._ended = False
        self._looked = time.monotonic()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            types = [value for name, value in message["headers"] if name == b"content-type"]
            self._events = any(value.startswith(b"text/event-stream") for value in types)
        elif self._events and time.monotonic() - self._looked > _LOOK_AGAIN_SECONDS:
            self._looked = time.monotonic()
            if not self._may_stay() and not self._ended:
                self._ended = True
                await self._send({"type": "http.response.body", "body": b""})
        if not self._ended:
            await self._send(message)


def _is_for(head: Head, who: Principal) -> bool:
    """What the roles allow that are not a step of the ladder."""
    if who.may("metrics") and head.path == "/metrics" and head.method in _SAFE:
        return True
    return who.may("quarantine") and bool(_SEES_QUARANTINE.search(head.path))


def _note_export(start: Message, details: dict[str, str]) -> None:
    """For the audit line: the export that a request has made, which Location names."""
    for name, value in start["headers"]:
        if name.lower() == b"location" and (made := _EXPORT.search(value)):
            details.setdefault("export", made[1].decode())


def _is_a_change(head: Head, details: dict[str, str]) -> bool:
    if head.path.rstrip("/") == "/graphql":
        return "operation" in details
    if head.method in _SAFE:
        return bool(details) or bool(_SEES_QUARANTINE.search(head.path))
    return not head.path.endswith("/preview")
