"""The shipped `deploy/nginx.conf` in a real nginx: the UI works through it, attacks do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter_pipelines_tests.support.nginx import NGINX, OPENSSL, PASSWORD, USER, Proxy, nginx
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.servers import web_server

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


@pytest.fixture
def proxy(project: Project, tmp_path: Path) -> Iterator[Proxy]:
    with web_server(project) as server, nginx(tmp_path / "nginx", server.url) as running:
        yield running


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_the_ui_works_through_nginx(proxy: Proxy) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    answers: list[tuple[int, str]] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_context(
            ignore_https_errors=True, http_credentials={"username": USER, "password": PASSWORD}
        ).new_page()
        page.on("response", lambda answer: answers.append((answer.status, answer.url)))
        with page.expect_response(lambda answer: "/graphql" in answer.url) as first:
            page.goto(f"{proxy.url}/assets")
        assert first.value.status == 200, first.value.url
        for asset in ("logs", "anomalies", "ips"):
            page.get_by_text(asset, exact=True).first.wait_for(timeout=90_000)
        browser.close()
    graphql = [(status, url) for status, url in answers if "/graphql" in url]
    assert graphql, "the UI sent no GraphQL request"
    assert {status for status, _ in graphql} == {200}, graphql


def test_nginx_lets_the_ui_through_and_refuses_what_another_site_sends(proxy: Proxy) -> None:
    own, foreign = {"Origin": proxy.url}, {"Origin": "https://attacker.example"}

    def post(path: str, headers: dict[str, str]) -> int:
        return proxy.status("POST", path, body=BODY, headers={**JSON, **headers})

    # What the UI sends.
    assert post("/graphql", own) == 200
    assert post("/graphql?op=AssetsQuery", own) == 200
    assert proxy.status("GET", "/runs?q%5B0%5D=status%3AFAILURE") == 200
    assert proxy.web_socket_status(proxy.url) == 101
    # Who has no password, or a wrong one.
    assert proxy.status("GET", "/", password=None) == 401
    assert proxy.status("GET", "/", password="wrong") == 401
    assert proxy.status("POST", "/graphql?op=A", body=BODY, headers=JSON, password=None) == 401
    # Another site's page, which names its Origin.
    assert post("/graphql", foreign) == 403
    assert post("/graphql?op=AssetsQuery", foreign) == 403
    assert post("/graphql", {"Origin": "null"}) == 403
    assert post("/report_asset_materialization/logs", foreign) == 403
    assert proxy.web_socket_status(foreign["Origin"]) == 403
    # A link or an image, which names none: GraphQL reads the query from the address of a GET, and
    # of a POST whose body is neither JSON nor GraphQL.
    for path in (
        f"/graphql?query={QUERY}",
        f"/graphql/?query={QUERY}",
        f"/%67raphql?query={QUERY}",
        f"/graphql?op=A&query={QUERY}",
        f"/graphql?query={QUERY}&op=A",
        f"/graphql?op=A%26query={QUERY}",
    ):
        assert proxy.status("GET", path) == 403, path
        assert proxy.status("POST", path, body="") == 403, path
        assert proxy.status("POST", path, body=BODY, headers=JSON) == 403, path
    assert proxy.status("GET", "/graphql?op=AssetsQuery") == 403
    assert proxy.status("HEAD", f"/graphql?query={QUERY}") == 403
