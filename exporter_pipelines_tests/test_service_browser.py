"""Sessions of an operator and of a viewer on the exports page, in Chromium.

Directly and through nginx. Skipped without Chromium.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from exporter_pipelines_tests.support.backends import (
    ANOMALIES,
    IPS,
    LOGS,
    Backend,
    fresh_database,
)
from exporter_pipelines_tests.support.browsers import (
    CHROMIUM,
    chromium,
    contrast_problems,
    is_wider_than_the_window,
)
from exporter_pipelines_tests.support.in_process_service import SETTINGS
from exporter_pipelines_tests.support.nginx import NGINX, OPENSSL, nginx
from exporter_pipelines_tests.support.projects import copy_project
from exporter_pipelines_tests.support.served import served
from exporter_pipelines_tests.support.servers import free_port
from exporter_pipelines_tests.support.waiting import wait_until

ONE, TWO, THREE = (f"2026-11-{day:02}" for day in range(1, 4))
ROWS = 100_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@dataclass(frozen=True)
class Site:
    """The service, where it can be reached, and its tokens by role.

    Attributes:
        urls: `direct` and, if nginx is installed, `nginx`.
        tokens: By role.
        browser: One for all tests.
    """

    urls: dict[str, str]
    tokens: dict[str, str]
    browser: Any

    def log_in(self, via: str, role: str, page: str = "/exports") -> Any:
        """A page of a new session, after the login that the first visit asks for."""
        context = self.browser.new_context(ignore_https_errors=True)
        tab = context.new_page()
        tab.set_default_timeout(90_000)
        tab.goto(f"{self.urls[via]}{page}")
        tab.get_by_label("Token").fill(self.tokens[role])
        tab.get_by_role("button", name="Log in").click()
        tab.get_by_role("heading", name="Exports", level=1).wait_for()
        return tab


@pytest.fixture(scope="module")
def backend(postgres_url: str) -> Iterator[Backend]:
    """A large day and a day that is held."""
    with fresh_database(postgres_url) as backend:
        backend.run(";".join((LOGS, ANOMALIES, IPS)))
        backend.add_logs(ONE, ROWS)
        backend.add_logs(TWO, 100, first_id=1_000_000, level="odd")
        yield backend


@pytest.fixture(scope="module")
def site(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    folder, port = tmp_path_factory.mktemp("browser"), free_port()
    settings = {
        **SETTINGS,
        "EXPORTER_SOURCE_URL": backend.url,
        "EXPORTER_OUTPUT_URL": str(folder / "exports"),
        "EXPORTER_UI_URL": f"https://localhost:{port}",
    }
    project = copy_project(folder / "project", settings)
    config = yaml.safe_load((project.path / "dagster.yaml").read_text())
    # Runs begin at once: the queue waits for the daemon.
    config["run_coordinator"] = {
        "module": "dagster.core.run_coordinator",
        "class": "DefaultRunCoordinator",
    }
    (project.path / "dagster.yaml").write_text(yaml.safe_dump(config))
    with ExitStack() as opened:
        service = opened.enter_context(served(project))
        urls = {"direct": service.url}
        if NGINX and OPENSSL:
            proxy = opened.enter_context(nginx(folder / "nginx", service.url, port))
            urls["nginx"] = proxy.url
        tokens = {role: service.token(role, role) for role in ("operator", "viewer")}
        yield Site(urls, tokens, opened.enter_context(chromium()))


def start(tab: Any, last: str) -> None:
    """Fill in the form and send it; small batches make the export last."""
    tab.get_by_label("logs", exact=True).check()
    tab.get_by_label("First day").fill(ONE)
    tab.get_by_label("Last day, included").fill(last)
    tab.get_by_text("More", exact=True).click()
    tab.get_by_label("Rows per batch").fill("1000")
    tab.get_by_role("button", name="Start").click()
    tab.wait_for_url("**/exports/*-*")


def percent(tab: Any) -> float:
    return float(tab.locator("progress").get_attribute("value") or 0)


def watched(tab: Any) -> list[str]:
    """What is refused or reported as an error from now on."""
    refused: list[str] = []
    tab.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    tab.on("console", lambda said: refused.append(said.text) if said.type == "error" else None)
    return refused


@pytest.mark.parametrize("via", ["direct", "nginx"])
def test_an_operator_starts_watches_opens_downloads_and_logs_out(site: Site, via: str) -> None:
    if via not in site.urls:
        pytest.skip("nginx or openssl is not installed")
    tab = site.log_in(via, "operator")
    refused = watched(tab)
    start(tab, TWO)
    seen = {percent(tab)}
    wait_until(
        lambda: seen.add(tab.locator("progress").evaluate("bar => bar.value")) or max(seen),
        "the bar moves without loading the page again",
        until=lambda most: most > 0,
    )
    tab.get_by_text("Not published: 1 day").wait_for()
    assert tab.locator("[data-is=state]").inner_text().strip() == "held"
    assert f"{ROWS:,}" in tab.locator(".live").inner_text()

    tab.get_by_label(f"logs {TWO}: held, why").click()
    reason = tab.locator("li:target").inner_text()
    assert "100 of 100 rows rejected" in reason
    assert "What to do:" in reason

    with tab.expect_download() as download:
        tab.get_by_label("Download logs").click()
    content = gzip.decompress(download.value.path().read_bytes())
    assert content.count(b"\n") == ROWS

    assert refused == []
    tab.get_by_role("button", name="Log out").click()
    tab.get_by_label("Token").wait_for()
    tab.goto(f"{site.urls[via]}/exports")
    assert tab.get_by_label("Token").is_visible()
    tab.context.close()


def test_an_operator_cancels_an_export(site: Site) -> None:
    tab = site.log_in("nginx" if "nginx" in site.urls else "direct", "operator")
    refused = watched(tab)
    start(tab, ONE)
    wait_until(
        lambda: tab.locator("[data-is=state]").inner_text(), "it runs", until="running".__eq__
    )
    tab.get_by_role("button", name="Cancel").click()
    tab.get_by_text("The export is being cancelled.").wait_for()
    tab.locator("[data-is=state] .cancelled").wait_for()
    assert refused == []
    tab.context.close()


def test_a_viewer_can_start_nothing(site: Site) -> None:
    tab = site.log_in("direct", "viewer")
    assert tab.get_by_role("button", name="Start").is_disabled()
    assert "needs the role exporter" in tab.locator("#may-not-start").inner_text()
    form = {"datasets": "logs", "start_date": ONE, "end_date": ONE}
    status = tab.evaluate(
        "form => fetch('/exports', {method: 'POST', body: new URLSearchParams(form)})"
        ".then(answer => answer.status)",
        form,
    )
    assert status == 403
    tab.context.close()


def test_a_keyboard_is_enough(site: Site) -> None:
    tab = site.log_in("direct", "operator")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    tab.keyboard.press("Enter")
    for _ in range(20):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.value") == "logs":
            break
    tab.keyboard.press("Space")
    for _ in range(20):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.textContent") == "Preview":
            break
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Preview: 1 day").wait_for()
    tab.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_and_fits_a_narrow_window(site: Site, scheme: str) -> None:
    tab = site.log_in("direct", "viewer")
    tab.emulate_media(color_scheme=scheme)
    newest = tab.locator("#history tbody a").first.get_attribute("href")
    for path in ("/exports", newest):
        for width in (1280, 400):
            tab.set_viewport_size({"width": width, "height": 900})
            tab.goto(f"{site.urls['direct']}{path}")
            assert not is_wider_than_the_window(tab), (path, width)
            assert contrast_problems(tab) == [], (path, width)
    tab.context.close()
