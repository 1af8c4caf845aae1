"""`/login/oidc`: to the OpenID provider and back."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from itsdangerous import BadData, URLSafeTimedSerializer

from exporter_pipelines.service.access import access_of
from exporter_pipelines.service.oidc import Attempt, LoginError, OpenIdLogin
from exporter_pipelines.service.passed_requests import audit_details, head_of, is_https
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.service.refusals import Refusal
from exporter_pipelines.service.routes.login import login_form, own_path
from exporter_pipelines.service.sessions import cookie_of, guarded_name

router = APIRouter(tags=["login"], include_in_schema=False)

_NAME, _SECONDS = "exporter_login", 600


@router.get("/login/oidc")
async def to_provider(request: Request, next: str = "") -> Response:  # noqa: A002 - in the address
    """Send the browser to the provider."""
    try:
        url, attempt = await _login(request).begin(own_path(request, next))
    except LoginError as error:
        return _failed(request, error)
    response = RedirectResponse(url, 303, {"cache-control": "no-store"})
    _set_cookie(request, response, _serializer(request).dumps(vars(attempt)), _SECONDS)
    return response


@router.get("/login/oidc/callback")
async def from_provider(request: Request) -> Response:
    """Start a session of the user whom the provider names."""
    login = _login(request)
    try:
        attempt = _attempt(request)
        name, groups = await login.finish(attempt, dict(request.query_params))
    except LoginError as error:
        audit_details(request)["login"] = "refused by the provider or for want of a role"
        return _refused(request, error)
    audit_details(request)["login"] = name
    sessions = access_of(request).identity.sessions
    value = sessions.of_provider(name, groups)
    response = RedirectResponse(attempt.next, 303, {"cache-control": "no-store"})
    response.headers.append("set-cookie", sessions.cookie(value, https=is_https(request)))
    _set_cookie(request, response, "", 0)
    return response


def _login(request: Request) -> OpenIdLogin:
    """One per service, since it keeps what it has read of the provider."""
    provider = access_of(request).provider
    if provider is None:
        raise Problem(404, "No OpenID provider is set up.")
    state = request.app.state
    if getattr(state, "open_id_login", None) is None:
        state.open_id_login = OpenIdLogin(provider)
    login: OpenIdLogin = state.open_id_login
    return login


def _attempt(request: Request) -> Attempt:
    """The login that this browser has begun here, and no other."""
    try:
        value = cookie_of(head_of(request), _cookie(request)[0])
        found = _serializer(request).loads(value, max_age=_SECONDS)
        return Attempt(**found)
    except (BadData, TypeError):
        raise LoginError(400, "This login did not begin here, or took too long.") from None


def _serializer(request: Request) -> URLSafeTimedSerializer:
    secret = access_of(request).identity.sessions.signer.secret_key
    return URLSafeTimedSerializer(secret, salt="exporter.login")


def _cookie(request: Request) -> tuple[str, str]:
    """Name and path of the cookie. Over TLS no other host can plant a login that it has begun."""
    prefix = access_of(request).prefix
    if not is_https(request):
        return _NAME, f"{prefix}/login/oidc"
    return guarded_name(_NAME, prefix or "/"), f"{prefix}/login/oidc" if prefix else "/"


def _set_cookie(request: Request, response: Response, value: str, seconds: int) -> None:
    name, path = _cookie(request)
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        secure=is_https(request),
        httponly=True,
        samesite="lax",
    )


def _refused(request: Request, error: LoginError) -> Response:
    """The form after a failed login, which counts as a wrong token does."""
    try:
        if error.status < 500:  # a provider that is away says nothing about the client
            identity = access_of(request).identity
            identity.count_wrong(head_of(request), "too_many_failed_logins", "failed logins")
    except Refusal as refusal:
        response = login_form(request, own_path(request, ""), refusal.detail, refusal.status)
        response.headers.update(refusal.headers)
        return response
    return _failed(request, error)


def _failed(request: Request, error: LoginError) -> Response:
    return login_form(request, own_path(request, ""), error.detail, error.status)
