"""The service behind the shipped `deploy/nginx.conf` in a real nginx, over TLS."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exporter_pipelines_tests.support.in_process_service import SETTINGS
from exporter_pipelines_tests.support.nginx import NGINX, OPENSSL, Proxy, nginx
from exporter_pipelines_tests.support.projects import copy_project
from exporter_pipelines_tests.support.served import Served, served
from exporter_pipelines_tests.support.servers import free_port

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
JSON = {"Content-Type": "application/json"}
QUERY = "{__typename}"
BODY = json.dumps({"query": QUERY})

pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed"),
]


@dataclass(frozen=True)
class Behind:
    """The service behind nginx, and its tokens by role."""

    service: Served
    proxy: Proxy
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    values = {"EXPORTER_SOURCE_URL": "demo", "EXPORTER_OUTPUT_URL": str(folder / "exports")}
    ui = {"EXPORTER_UI_URL": f"https://localhost:{port}"}
    project = copy_project(folder / "project", {**SETTINGS, **values, **ui})
    with served(project) as service, nginx(folder / "nginx", service.url, port) as proxy:
        # Before there is a token: the peer of every request is this machine.
        assert proxy.status("GET", "/") == 403
        roles = ("viewer", "operator")
        yield Behind(service, proxy, {role: service.token(f"a-{role}", role) for role in roles})


def log_in(page: Any, behind: Behind, role: str) -> None:
    """Fill in the form that the first visit shows."""
    page.goto(f"{behind.proxy.url}/assets")
    page.get_by_label("Token").fill(behind.tokens[role])
    page.get_by_role("button", name="Log in").click()


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_the_ui_works_through_nginx_for_each_role(behind: Behind, role: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    answers: list[tuple[int, str]] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        context = browser.new_context(ignore_https_errors=True)
        page = context.new_page()
        page.on("response", lambda answer: answers.append((answer.status, answer.url)))
        log_in(page, behind, role)
        for asset in ("logs", "anomalies", "ips"):
            page.get_by_text(asset, exact=True).first.wait_for(timeout=90_000)
        [cookie] = context.cookies()
        assert cookie["name"] == "__Host-exporter_session"
        assert cookie["secure"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Lax"
        page.goto(f"{behind.proxy.url}/locations/exporter_pipelines/asset-groups/exports")
        start = page.get_by_role("button", name="Materialize all").first
        start.wait_for(timeout=90_000)
        assert start.is_enabled() == (role == "operator")
        browser.close()
    assert [answer for answer in answers if answer[0] >= 400] == []
    assert [url for _, url in answers if "/graphql" in url], "the UI sent no GraphQL request"


def test_a_token_passes_and_everybody_else_is_refused(behind: Behind) -> None:
    proxy, own = behind.proxy, {"Origin": behind.proxy.url}
    token = {"Authorization": f"Bearer {behind.tokens['operator']}"}

    def post(path: str, **headers: str) -> int:
        return proxy.status("POST", path, body=BODY, headers={**JSON, **headers})

    assert post("/graphql", **token) == 200
    assert post("/graphql?op=AssetsQuery", **token, **own) == 200
    assert proxy.status("GET", "/runs?q%5B0%5D=status%3AFAILURE", headers=token) == 200
    assert proxy.web_socket_status(proxy.url, **token) == 101
    assert proxy.status("GET", "/") == 401
    assert post("/graphql", Authorization="Bearer wrong") == 401
    # What only a proxy with users may say.
    forged = {"X-Forwarded-User": "root", "X-Exporter-Proxy-Secret": "x" * 20}
    assert proxy.status("GET", "/", headers=forged) == 401


def test_a_page_of_another_site_is_refused_with_the_cookie_of_an_operator(behind: Behind) -> None:
    proxy = behind.proxy
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": proxy.url}
    answer = proxy.answer("POST", "/login", body=f"token={behind.tokens['operator']}", headers=form)
    assert answer.status == 303
    victim = {"Cookie": str(answer.headers["Set-Cookie"]).partition(";")[0]}
    assert "max-age" in str(answer.headers["Strict-Transport-Security"])

    def post(path: str, origin: str) -> int:
        sent = {**JSON, **victim, "Origin": origin}
        return proxy.status("POST", path, body=BODY, headers=sent)

    assert post("/graphql", proxy.url) == 200
    for origin in ("https://attacker.example", "null", proxy.url.replace("https", "http")):
        assert post("/graphql", origin) == 403
        assert post("/report_asset_materialization/logs", origin) == 403
        assert proxy.web_socket_status(origin, **victim) == 403
    for path in (
        f"/graphql?query={QUERY}",
        f"/%67raphql?query={QUERY}",
        f"/graphql?op=A&query={QUERY}",
    ):
        assert proxy.status("GET", path, headers=victim) == 405, path
        assert proxy.status("HEAD", path, headers=victim) == 405, path
        assert post(path, proxy.url) == 403, path


def test_the_audit_file_has_one_line_per_refusal(behind: Behind) -> None:
    behind.proxy.status("POST", "/graphql", body=BODY, headers={**JSON, "Host": "evil.example"})
    last = json.loads(behind.service.audit().splitlines()[-1])
    assert (last["refused"], last["result"]) == ("host", "421")
    assert Path(behind.service.project.path / ".tokens").stat().st_mode & 0o777 == 0o600
