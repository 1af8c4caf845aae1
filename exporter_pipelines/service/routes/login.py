"""`/login` and `/logout`: a token, or an OpenID provider, becomes the session of a browser."""

from __future__ import annotations

import re
import secrets
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import Field

from exporter_pipelines.service import models
from exporter_pipelines.service.access import access_of
from exporter_pipelines.service.documented_responses import documented
from exporter_pipelines.service.identity import LOCAL
from exporter_pipelines.service.login_page import POLICY, login_page
from exporter_pipelines.service.passed_requests import audit_details, head_of, is_https
from exporter_pipelines.service.principals import principal_of
from exporter_pipelines.service.refusals import Refusal

router = APIRouter(tags=["login"])


class TokenLogin(models.Request):
    """What a program logs in with."""

    token: str = Field(max_length=500)


# One slash, then printable ASCII without a backslash: a path of this service and nothing else.
_OWN_PATH = re.compile(r"/(?!/)[\x21-\x5b\x5d-\x7e]{0,500}")


@router.get("/login", include_in_schema=False)
async def show_login(request: Request, next: str = "") -> Response:  # noqa: A002 - in the address
    """The form, or where its user wanted to go when nobody needs to log in."""
    there = own_path(request, next)
    who = principal_of(request)
    return _redirect(there) if who and who.via == LOCAL.via else login_form(request, there)


@router.post("/login", include_in_schema=False)
async def log_in(request: Request) -> Response:
    """Start a session with the token of the form."""
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
    there = own_path(request, form.get("next", ""))
    try:
        cookie = _session_of(request, form.get("token", "").strip())
    except Refusal as refusal:
        response = login_form(request, there, refusal.detail, refusal.status)
        response.headers.update(refusal.headers)
        return response
    return _redirect(there, [cookie])


@router.post(
    "/api/v1/login", status_code=204, response_class=Response, responses=documented(415, 429)
)
async def log_in_with_json(request: Request, body: TokenLogin) -> Response:
    """Start a session with a token; the answer sets its cookie."""
    cookie = _session_of(request, body.token.strip())
    return Response(status_code=204, headers={"set-cookie": cookie})


@router.post("/logout", include_in_schema=False)
async def log_out(request: Request) -> Response:
    """End the session and show the form."""
    return _redirect(f"{access_of(request).prefix}/login", end_session(request))


@router.post("/api/v1/logout", status_code=204, response_class=Response, responses=documented())
async def log_out_with_json(request: Request) -> Response:
    """End the session of the cookie."""
    response = Response(status_code=204)
    for cookie in end_session(request):
        response.headers.append("set-cookie", cookie)
    return response


def login_form(request: Request, there: str, problem: str = "", status: int = 200) -> Response:
    """The form, with what went wrong before."""
    access, nonce = access_of(request), secrets.token_urlsafe(16)
    html = login_page(
        prefix=access.prefix,
        next_path=there,
        problem=problem,
        provider=access.provider is not None,
        nonce=nonce,
    )
    headers = {"content-security-policy": POLICY.format(nonce=nonce), "cache-control": "no-store"}
    return HTMLResponse(html, status, headers)


def own_path(request: Request, wanted: str) -> str:
    """Where to go after a login: a path of this service."""
    prefix = access_of(request).prefix
    own = _OWN_PATH.fullmatch(wanted) and wanted.startswith(f"{prefix}/")
    return wanted if own else f"{prefix}/"


def end_session(request: Request) -> list[str]:
    """End it here and in the browser; returns the headers Set-Cookie."""
    sessions, head = access_of(request).identity.sessions, head_of(request)
    sessions.end(head)
    return [sessions.cookie("", https=https) for https in {False, is_https(request)}]


def _session_of(request: Request, token: str) -> str:
    """The header Set-Cookie for the session of a token.

    Raises:
        Refusal: the token is wrong.
    """
    identity = access_of(request).identity
    found = identity.token(head_of(request), token)
    audit_details(request)["login"] = found.name
    return identity.sessions.cookie(identity.sessions.of_token(found), https=is_https(request))


def _redirect(there: str, cookies: list[str] | None = None) -> Response:
    response = RedirectResponse(there, 303, {"cache-control": "no-store"})
    for cookie in cookies or []:
        response.headers.append("set-cookie", cookie)
    return response
