"""Logging in to the service: the form, sessions, and an OpenID provider."""

from __future__ import annotations

import datetime as dt
import re
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from itsdangerous import TimestampSigner
from starlette.testclient import TestClient

from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.service import provider_answers, throttle
from exporter_pipelines.service.access import Access
from exporter_pipelines.service.app import create_api
from exporter_pipelines.service.context import ServeOptions, ServiceContext
from exporter_pipelines.service.guard import Guard
from exporter_pipelines.service.roles import Needs
from exporter_pipelines.service.routes import ROUTERS, unknown
from exporter_pipelines.service.tokens import add_token, read_tokens
from exporter_pipelines_tests.support.in_process_service import in_process_service
from exporter_pipelines_tests.support.oidc_provider import (
    BROKEN,
    CLIENT,
    FAULTS,
    ODD_GROUPS,
    SECRET,
    oidc_provider,
)
from exporter_pipelines_tests.support.projects import ROOT

URL = "http://127.0.0.1:3000"
OWN = {"Origin": URL}
TLS = "https://exports.example.org"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with oidc_provider() as url:
        yield url


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceContext]:
    """Its tokens are in the working directory."""
    folder = tmp_path_factory.mktemp("login")
    with in_process_service(folder, "demo", code_location=False) as service:
        yield service.context


_APIS: dict[tuple[int, str, bool], FastAPI] = {}
"""Making one takes a second, for Dagster's GraphQL schema."""


def browser(context: ServiceContext, url: str = URL, prefix: str = "") -> TestClient:
    """A browser that shows what an answer is, and keeps cookies."""
    access = Access.of(port=3000, prefix=prefix)
    options = ServeOptions(prefix=prefix)
    served = ServiceContext(context.workspace, context.store, options, access=access)
    key = (id(context), prefix, access.provider is not None)
    api = _APIS.setdefault(key, _APIS.get(key) or create_api(served))
    api.state.access, api.state.open_id_login = access, None
    app = Guard(api, access)
    return TestClient(app, url, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def token(context: ServiceContext) -> str:
    """Of an operator."""
    return add_token(Path(".tokens").absolute(), "alice", frozenset({"operator"}), None)


def test_a_visitor_is_led_to_the_form_and_on_to_where_he_wanted_to_go(
    context: ServiceContext, token: str
) -> None:
    visitor = browser(context)
    deep = visitor.get("/assets/logs?view=checks&day=%22", headers={"Accept": "text/html"})
    shown = visitor.get(deep.headers["location"]).text
    assert 'value="/assets/logs?view=checks&amp;day=%22"' in shown
    visit = visitor.get("/runs/abc", headers={"Accept": "text/html"})
    assert (visit.status_code, visit.headers["location"]) == (303, "/login?next=/runs/abc")
    form = visitor.get(visit.headers["location"])
    assert 'name="next" value="/runs/abc"' in form.text
    assert "script" not in form.headers["content-security-policy"]
    wrong = visitor.post("/login", data={"token": "x", "next": "/runs/abc"}, headers=OWN)
    assert wrong.status_code == 401
    assert 'role="alert"' in wrong.text
    assert 'value="/runs/abc"' in wrong.text
    right = visitor.post("/login", data={"token": token, "next": "/runs/abc"}, headers=OWN)
    assert (right.status_code, right.headers["location"]) == (303, "/runs/abc")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly; SameSite=Lax; Max-Age=43200" in cookie
    assert token not in cookie
    me = visitor.get("/api/v1/me").json()
    assert (me["name"], me["via"]) == ("alice", "session")
    assert visitor.post("/logout", headers=OWN).headers["location"] == "/login"
    assert visitor.get("/api/v1/me").status_code == 401


def test_what_the_form_repeats_is_escaped(context: ServiceContext, token: str) -> None:
    page = browser(context).get('/login?next=/"><script>alert(1)</script>')
    assert "<script>" not in page.text


def test_a_program_can_log_in_with_json(context: ServiceContext, token: str) -> None:
    program = browser(context)
    assert program.post("/api/v1/login", json={"token": token}).status_code == 204
    assert program.get("/api/v1/me").json()["name"] == "alice"
    assert program.post("/api/v1/logout", headers=OWN).status_code == 204
    for body in ("{}", "[]", '{"token": 1}', "{", "[" * 10_000):
        json_type = {"Content-Type": "application/json"}
        answer = program.post("/api/v1/login", content=body, headers=json_type)
        assert answer.status_code in (400, 422), body


def test_over_tls_the_cookie_belongs_to_this_host_alone(
    context: ServiceContext, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_UI_URL", TLS)
    answer = browser(context, TLS).post("/login", data={"token": token}, headers={"Origin": TLS})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-exporter_session=")
    assert "Path=/;" in cookie
    assert cookie.endswith("; Secure")
    below = browser(context, TLS, prefix="/e")
    answer = below.post("/e/login", data={"token": token}, headers={"Origin": TLS})
    assert answer.headers["location"] == "/e/"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Secure-exporter_session=")
    assert "Path=/e;" in cookie


def test_a_session_ends_after_twelve_hours_and_with_another_key(
    context: ServiceContext, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = browser(context)
    with monkeypatch.context() as patch:
        past = int(time.time()) - 12 * 3600 - 5
        patch.setattr(TimestampSigner, "get_timestamp", lambda _: past)
        visitor.post("/login", data={"token": token}, headers=OWN)
    assert visitor.get("/api/v1/me").status_code == 401
    visitor = browser(context)
    visitor.post("/login", data={"token": token}, headers=OWN)
    assert visitor.get("/api/v1/me").status_code == 200
    monkeypatch.setenv("EXPORTER_SESSION_KEY", "k" * 32)
    other = browser(context)
    other.cookies.update(visitor.cookies)
    assert other.get("/api/v1/me").status_code == 401


def test_the_key_of_sessions_is_made_once_and_kept_to_this_user(
    context: ServiceContext, token: str
) -> None:
    browser(context).post("/login", data={"token": token}, headers=OWN)
    file = Path(".tokens.session_key")
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="rm "):
        _ = Access.of(port=3000).identity.sessions.signer
    file.chmod(0o600)


def test_who_needs_no_login_is_not_asked_for_one(
    context: ServiceContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EXPORTER_TOKENS_FILE", str(tmp_path / "none"))
    answer = browser(context).get("/login", headers={"X": "y"})
    assert answer.status_code == 200, "the peer of a test is not on this machine"
    local = browser(context)
    local._transport.client = ("127.0.0.1", 1)  # type: ignore[attr-defined]
    assert local.get("/login").headers["location"] == "/"


@pytest.fixture
def with_provider(provider: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The settings for the provider."""
    for name, value in {
        "ISSUER": provider, "CLIENT_ID": CLIENT, "CLIENT_SECRET": SECRET,
        "ROLES": "data-team:operator+quarantine, staff:viewer",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"EXPORTER_OIDC_{name}", value)
    return provider


class _Stay(urllib.request.HTTPRedirectHandler):
    """Does not follow a redirect."""

    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def through_the_provider(
    visitor: TestClient, user: str, next_path: str = "/runs/abc", prefix: str = ""
) -> str:
    """The address at which the provider sends a user back, as a path."""
    begun = visitor.get(f"{prefix}/login/oidc?next={next_path}")
    assert begun.status_code == 303, begun.text
    try:
        urllib.request.build_opener(_Stay).open(f"{begun.headers['location']}&user={user}")
    except urllib.error.HTTPError as answer:
        back = urlsplit(str(answer.headers["Location"]))
        return f"{back.path}?{back.query}"
    raise AssertionError("the provider did not send the user back")


CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("user", "roles"),
    [("alice", ["operator", "quarantine", "viewer"]), ("bob", ["viewer"]), ("solo", ["viewer"])],
)
def test_groups_at_the_provider_become_roles(
    context: ServiceContext, with_provider: str, user: str, roles: list[str]
) -> None:
    visitor = browser(context)
    assert "/login/oidc?next=" in visitor.get("/login").text
    back = through_the_provider(visitor, user)
    answer = visitor.get(back, headers=CROSS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/abc")
    me = visitor.get("/api/v1/me").json()
    assert (me["name"], me["roles"], me["via"]) == (user, roles, "oidc")
    # The same answer again, as from the history of the browser.
    assert visitor.get(back, headers=CROSS).status_code == 400


def test_who_has_no_group_with_a_role_is_not_let_in(
    context: ServiceContext, with_provider: str
) -> None:
    visitor = browser(context)
    answer = visitor.get(through_the_provider(visitor, "eve"), headers=CROSS)
    assert answer.status_code == 403
    assert "None of your groups has a role here" in answer.text
    assert visitor.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("user", ODD_GROUPS)
def test_groups_that_are_no_names_give_no_role(
    context: ServiceContext, with_provider: str, user: str
) -> None:
    visitor = browser(context)
    answer = visitor.get(through_the_provider(visitor, user), headers=CROSS)
    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize("user", [*FAULTS, "nonces", "unsigned", "shared-secret", "other-key"])
def test_an_answer_that_is_not_the_provider_s_for_this_login_is_refused(
    context: ServiceContext, with_provider: str, user: str
) -> None:
    visitor = browser(context)
    answer = visitor.get(through_the_provider(visitor, user), headers=CROSS)
    assert answer.status_code == 400, answer.text
    assert visitor.get("/api/v1/me").status_code == 401


def test_an_answer_to_another_browser_s_login_is_refused(
    context: ServiceContext, with_provider: str
) -> None:
    mallory, victim = browser(context), browser(context)
    back = through_the_provider(mallory, "alice")
    assert victim.get(back, headers=CROSS).status_code == 400, "no cookie of a login"
    through_the_provider(victim, "bob")
    assert victim.get(back, headers=CROSS).status_code == 400, "the cookie of another login"
    code = dict(parse_qsl(urlsplit(back).query))["code"]
    own = dict(parse_qsl(urlsplit(through_the_provider(victim, "bob")).query))
    forged = f"/login/oidc/callback?code={code}&state={own['state']}"
    assert victim.get(forged, headers=CROSS).status_code == 403, "the code needs its verifier"


def test_failed_logins_at_the_provider_count_as_wrong_tokens_do(
    context: ServiceContext, with_provider: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "_SECONDS_EACH", 1e6)  # however long the ten attempts take
    visitor = browser(context)
    refused = visitor.get(through_the_provider(visitor, "eve"), headers=CROSS)
    assert refused.status_code == 403
    for _ in range(4):
        assert visitor.get("/login/oidc/callback", headers=CROSS).status_code == 400
    for _ in range(5):
        wrong = visitor.post("/login", data={"token": "wrong"}, headers=OWN)
        assert wrong.status_code == 401
    answer = visitor.get(through_the_provider(visitor, "eve"), headers=CROSS)
    assert answer.status_code == 429
    seconds = int(answer.headers["retry-after"])
    assert 900_000 < seconds <= 1_000_000
    said = f"Too many failed logins came from this address. Try again in {seconds} s."
    assert said in answer.text
    assert visitor.post("/login", data={"token": "wrong"}, headers=OWN).status_code == 429
    # Who may log in is never made to wait.
    back = through_the_provider(visitor, "alice")
    assert visitor.get(back, headers=CROSS).headers["location"] == "/runs/abc"


def test_a_provider_that_is_away_counts_against_nobody(
    context: ServiceContext, with_provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_OIDC_ISSUER", f"{with_provider}/huge-token")
    visitor = browser(context)
    for _ in range(12):
        answer = visitor.get(through_the_provider(visitor, "alice"), headers=CROSS)
        assert answer.status_code == 502
    assert visitor.get("/login/oidc/callback", headers=CROSS).status_code == 400


def test_a_provider_that_does_not_answer_is_named(
    context: ServiceContext, with_provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_OIDC_ISSUER", "http://127.0.0.1:1")
    answer = browser(context).get("/login/oidc")
    assert answer.status_code == 502
    assert "The provider does not answer" in answer.text


@pytest.mark.parametrize("mode", BROKEN)
def test_whatever_a_broken_provider_answers_is_one_sentence(
    context: ServiceContext, with_provider: str, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("EXPORTER_OIDC_ISSUER", f"{with_provider}/{mode}")
    monkeypatch.setattr(provider_answers, "MOST_SECONDS", 1.0)
    visitor = browser(context)
    answer = visitor.get("/login/oidc")
    if answer.status_code == 303:
        answer = visitor.get(through_the_provider(visitor, "alice"), headers=CROSS)
    assert answer.status_code in (400, 502), answer.text
    assert 'role="alert"' in answer.text
    assert SECRET not in answer.text


def test_a_provider_whose_name_ends_with_a_slash_can_be_used(
    context: ServiceContext, with_provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of Auth0 does. With or without it in the settings."""
    for issuer in (f"{with_provider}/slash", f"{with_provider}/slash/"):
        monkeypatch.setenv("EXPORTER_OIDC_ISSUER", issuer)
        visitor = browser(context)
        visitor.get(through_the_provider(visitor, "alice"), headers=CROSS)
        assert visitor.get("/api/v1/me").json()["name"] == "alice"


def test_behind_a_prefix_the_provider_can_send_users_back(
    context: ServiceContext, with_provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_UI_URL", f"{URL}/e")
    visitor = browser(context, prefix="/e")
    back = through_the_provider(visitor, "alice", "/e/runs/abc", prefix="/e")
    answer = visitor.get(back, headers=CROSS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/e/runs/abc")
    link = visitor.get("/e/exports?dataset=logs", headers=CROSS)
    assert link.status_code != 403, link.text


def test_an_answer_that_names_another_provider_is_refused(
    context: ServiceContext, with_provider: str
) -> None:
    """https://www.rfc-editor.org/rfc/rfc9207."""
    visitor = browser(context)
    back = through_the_provider(visitor, "alice")
    answer = visitor.get(f"{back}&iss=https://login.other.example", headers=CROSS)
    assert answer.status_code == 400
    own = f"{through_the_provider(visitor, 'alice')}&iss={with_provider}"
    assert visitor.get(own, headers=CROSS).status_code == 303


def test_another_host_cannot_plant_a_login_that_it_has_begun(
    context: ServiceContext, with_provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host of the same domain may set cookies for all of it, but none with these names."""
    for prefix, name in (("", "__Host-exporter_login"), ("/e", "__Secure-exporter_login")):
        monkeypatch.setenv("EXPORTER_UI_URL", f"{TLS}{prefix}")
        mallory, victim = browser(context, TLS, prefix), browser(context, TLS, prefix)
        begun = mallory.get(f"{prefix}/login/oidc")
        cookie = begun.headers["set-cookie"]
        assert cookie.startswith(f"{name}=")
        assert "Secure" in cookie
        assert f"Path={prefix}/login/oidc;" in cookie or (not prefix and "Path=/;" in cookie)
        value = cookie.partition("=")[2].partition(";")[0]
        state = dict(parse_qsl(urlsplit(begun.headers["location"]).query))["state"]
        planted = victim.get(
            f"{prefix}/login/oidc/callback?code=x&state={state}",
            headers={**CROSS, "Cookie": f"exporter_login={value}"},
        )
        assert planted.status_code == 400
        assert "did not begin here" in planted.text


def test_roles_of_a_session_follow_the_settings(
    context: ServiceContext, with_provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start with other settings: a group loses its role, or the provider is another one."""
    visitor = browser(context)
    visitor.get(through_the_provider(visitor, "alice"), headers=CROSS)

    def roles_with(**settings: str) -> list[str] | None:
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(f"EXPORTER_OIDC_{name}", value)
            other = browser(context)
            other.cookies.update(visitor.cookies)
            answer = other.get("/api/v1/me")
        return answer.json()["roles"] if answer.status_code == 200 else None

    assert roles_with() == ["operator", "quarantine", "viewer"]
    assert roles_with(ROLES="staff:viewer") == ["viewer"]
    assert roles_with(ROLES="*:exporter, staff:viewer") == ["exporter", "viewer"]
    assert roles_with(ROLES="visitors:operator") is None
    assert roles_with(ISSUER="https://login.other.example") is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("EXPORTER_OIDC_ISSUER", "http://login.example.org", "https://"),
        ("EXPORTER_OIDC_ISSUER", "https://[", "not an address"),
        ("EXPORTER_SERVE_HOSTS", "[", "not an address"),
        ("EXPORTER_UI_URL", "https://ann:secret@exports.example.org", "with @, not shown"),
        ("EXPORTER_OIDC_ISSUER", "http://ann:secret@login.example.org", "with @, not shown"),
        ("EXPORTER_OIDC_ROLES", "data-team:admin", "does not exist"),
        ("EXPORTER_OIDC_ROLES", "data-team", "name:role"),
        ("EXPORTER_OIDC_CLIENT_ID", "", "EXPORTER_OIDC_CLIENT_ID"),
        ("EXPORTER_SERVE_HOSTS", "https://*.example.org", "not an address"),
        ("EXPORTER_PROXY_SECRET", "short", "16 characters"),
        ("EXPORTER_PROXY_PEERS", "10.0.0.5", "EXPORTER_PROXY_SECRET"),
        ("EXPORTER_SESSION_KEY", "short", "openssl rand"),
    ],
)
def test_a_wrong_setting_is_refused_at_the_start(
    with_provider: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        Access.of(port=3000)
    assert said in str(caught.value)
    assert value == "" or "SECRET" not in name or value not in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_tokens_have_names_roles_and_ends(context: ServiceContext, tmp_path: Path) -> None:
    file = tmp_path / "t"
    ended = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=2)
    add_token(file, "old", frozenset({"viewer"}), ended)
    [old] = read_tokens(file)
    assert not old.is_valid()
    for line, said in (
        ("x", "name:role"), ("a b:viewer:" + "0" * 64, "name with"), ("a:viewer:123", "SHA-256"),
        ("a:admin:" + "0" * 64, "role"), ("a:viewer:" + "0" * 64 + ":soon", "2027-01-31T0930Z"),
    ):  # fmt: skip
        file.write_text(f"# comment\n{line}\n")
        with pytest.raises(ConfigurationError, match=said):
            read_tokens(file)


def routes() -> list[tuple[str, str, str]]:
    """Method, path and role of each route of ours; `-` for everybody."""

    def roles(dependant: Any) -> Iterator[str]:
        if isinstance(dependant.call, Needs):
            yield dependant.call.role
        for each in dependant.dependencies:
            yield from roles(each)

    return [
        (method, route.path.replace(":path}", "}"), next(roles(route.dependant), "-"))
        for router in ROUTERS
        if router is not unknown.router
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods - {"HEAD"})
    ]


def test_without_credentials_every_route_but_those_for_everybody_answers_401(
    context: ServiceContext, token: str
) -> None:
    stranger = browser(context)
    found = {}
    for method, path, role in routes():
        filled = re.sub(r"{[^}]*}", "x", path)
        headers = {"Content-Type": "application/json", **OWN}
        answer = stranger.request(method, filled, headers=headers, content=b"{}")
        found[method, path] = (role, answer.status_code)
    assert len(found) > 30
    wrong = {key: status for key, (role, status) in found.items() if role != "-" and status != 401}
    assert wrong == {}
    assert {path for (_, path), (role, _) in found.items() if role == "-"} == {
        "/healthz", "/readyz", "/api/v1/healthz", "/api/v1/readyz", "/login", "/logout",
        "/api/v1/login", "/api/v1/logout",
    }  # fmt: skip
    for path in ("/", "/assets", "/server_info", "/logs/x", "/download_debug/x", "/notebook"):
        assert stranger.get(path).status_code == 401, path


def test_the_docs_name_every_endpoint_with_its_role() -> None:
    page = "".join((ROOT / "docs" / name).read_text() for name in ("service.md", "exports-page.md"))
    rows = re.findall(r"^\| ([A-Z, ]+) \| `(/\S*)` \| ([^|;]+)[|;]", page, re.MULTILINE)
    listed = {
        (method, path, role.strip())
        for methods, path, role in rows
        for method in methods.split(", ")
    }
    page = (ROOT / "docs" / "api.md").read_text()
    rows = re.findall(r"^\| `([A-Z]+) (/\S*)` \| `?(\w+)`? \|", page, re.MULTILINE)
    listed |= {(method, path, role.replace("none", "-")) for method, path, role in rows}
    ours = set(routes())
    assert listed <= ours
    for method, path, role in ours - listed:
        alias = (method, path.removeprefix("/api/v1"), role) in listed
        page_of_a_viewer = (method, role) == ("GET", "viewer")
        assert alias or page_of_a_viewer, f"{method} {path} is on no page"
