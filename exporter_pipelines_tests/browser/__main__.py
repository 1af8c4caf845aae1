"""An operator's first session: start a backfill, find the held day, mend it, run it again.

    make dev                                   # in a fresh clone, with the demo's data
    python -m exporter_pipelines_tests.browser --chromium "$(command -v chromium)"

Drives Chromium through the Dagster UI as it stands and fails where a step cannot be done. The
pictures are there to be looked at: what is on them is not checked.
"""

from __future__ import annotations

import argparse
import json
import re
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from exporter_pipelines_tests.support.waiting import wait_until

_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_RUNS = "{ runsOrError(limit: 50) { ... on Runs { results { runId status jobName } } } }"
_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
_LIMIT = re.compile(r"^(  max_rejected_pct: ).*$", re.MULTILINE)


class Session:
    """A browser's page on one deployment, and what the deployment says of its runs."""

    def __init__(self, page: Any, url: str, project: Path, pictures: Path, token: str) -> None:
        self._page, self._url, self._project, self._pictures = page, url, project, pictures
        self._token = token
        self._number = 0

    def play(self) -> None:
        """All steps, in order."""
        if self._token:
            self.log_in()
        held = self.start_and_watch()
        self.find_the_reason(held)
        self.mend()
        run = self.run_failed_and_missing(held)
        self.read_the_report(run)

    def log_in(self) -> None:
        """With the form that a service with tokens shows."""
        self._open("/login", "login")
        self._page.get_by_label("Token").fill(self._token)
        self._press("Log in")

    def start_and_watch(self) -> str:
        """Backfill every day of every dataset; returns the day that is held."""
        self._open("/locations/exporter_pipelines/asset-groups/exports", "graph")
        self._press("Materialize all")
        self._press("All", exact=True)
        self._picture("backfill dialog")
        run = self._launch("Launch backfill")
        self._wait(lambda: self._status(run) in {"STARTED", *_ENDED}, "the run starts")
        self._open(f"/runs/{run}", "run, going on")
        self._wait(self._all_ended, "the run ends")
        self._open(f"/runs/{run}", "run, ended")
        # The web server counts the days of a run a moment after the run has ended.
        self._wait(lambda: len(self._failed_days("logs")) == 1, "one day of logs is red")
        return self._failed_days("logs")[0]

    def find_the_reason(self, held: str) -> None:
        """The held day's own page, its checks, and the other pages of the asset."""
        self._open(f"/assets/logs?view=partitions&partition={held}", "held day")
        self._press("View all historical events")
        self._page.get_by_role("dialog").get_by_text(held, exact=True).first.click()
        time.sleep(1)
        self._picture("held day, why")
        shown = self._page.content()
        assert "held; " in shown, "the page of the day does not say why"
        assert "/quarantine/date=" in shown, "the page of the day does not say where its rows lie"
        self._open("/assets/logs?view=checks&checkDetail=rejected_rows", "checks")
        self._open("/assets/logs?view=overview", "overview")
        self._open("/deployment/concurrency", "concurrency")
        self._open("/automation", "automation")

    def mend(self) -> None:
        """Raise the limit of the dataset and reload the definitions."""
        file = self._project / "exporter_pipelines/defs/logs/defs.yaml"
        text, count = _LIMIT.subn(r"\g<1>50.0", file.read_text())
        assert count == 1, f"no max_rejected_pct in {file}"
        file.write_text(text)
        self._open("/locations/exporter_pipelines/asset-groups/exports", "graph, one day red")
        self._press("Reload definitions")
        button = self._page.get_by_role("button", name="Reload definitions").first
        self._wait(button.is_enabled, "the definitions are loaded again")
        time.sleep(10)

    def run_failed_and_missing(self, held: str) -> str:
        """From the graph: what is not green, and nothing else; returns the run that does it."""
        self._press("Materialize all")
        self._press("Failed and missing", exact=True)
        self._picture("failed and missing")
        run = self._launch("Launch", last=True)
        self._wait(self._all_ended, "the second run ends")
        self._wait(lambda: self._failed_days("logs") == [], "no day of logs is red")
        self._open(f"/assets/logs?view=partitions&partition={held}", "day, green")
        self._open("/runs", "runs")
        return run

    def read_the_report(self, run: str) -> None:
        """With the run in it; as a file, wide and narrow, light and dark."""
        report = self._project / "exports/report/index.html"
        self._wait(lambda: report.exists() and run[:8] in report.read_text(), "the report has it")
        self._wait(lambda: self._ended(self._runs()), "the report's run ends")
        self._open("/assets/export_report", "report's asset")
        for width in (1280, 400):
            for scheme in ("light", "dark"):
                self._page.set_viewport_size({"width": width, "height": 900})
                self._page.emulate_media(color_scheme=scheme)
                self._page.goto(report.absolute().as_uri())
                self._picture(f"report {width} {scheme}", full_page=True)

    def _launch(self, text: str, *, last: bool = False) -> str:
        """Press it; returns the run that was not there before. The demo's own run was."""
        before = {run["runId"] for run in self._exports()}

        def new() -> list[str]:
            return [run["runId"] for run in self._exports() if run["runId"] not in before]

        self._press(text, last=last)
        self._wait(lambda: len(new()) == 1, "the run is there")
        return new()[0]

    def _exports(self) -> list[dict[str, str]]:
        return [run for run in self._runs() if run["jobName"] == "__ASSET_JOB"]

    def _all_ended(self) -> bool:
        return self._ended(self._exports())

    @staticmethod
    def _ended(runs: list[dict[str, str]]) -> bool:
        return all(run["status"] in _ENDED for run in runs)

    def _runs(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self._ask(_RUNS)["runsOrError"]["results"]
        return found

    def _status(self, run: str) -> str:
        return next(found["status"] for found in self._runs() if found["runId"] == run)

    def _failed_days(self, asset: str) -> list[str]:
        node = self._ask(
            f'{{ assetNodeOrError(assetKey: {{path: ["{asset}"]}}) {{ ... on AssetNode {{ '
            "assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey status } } }"
            " } } }"
        )["assetNodeOrError"]
        ranges = node["assetPartitionStatuses"]["ranges"]
        return [found["startKey"] for found in ranges if found["status"] == "FAILED"]

    def _ask(self, query: str) -> Any:
        body = json.dumps({"query": query}).encode()
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(f"{self._url}/graphql", body, headers)
        # A proxy on this machine has a certificate that it made itself.
        unchecked = ssl._create_unverified_context()
        with urllib.request.urlopen(request, timeout=60, context=unchecked) as response:
            return json.load(response)["data"]

    def _wait(self, true: Callable[[], bool], what: str, seconds: float = 240) -> None:
        wait_until(true, what, seconds=seconds, every=1)

    def _open(self, path: str, name: str) -> None:
        self._page.goto(self._url + path)
        time.sleep(6)  # the UI goes on loading after the page has loaded
        self._picture(name)

    def _press(self, text: str, *, exact: bool = False, last: bool = False) -> None:
        found = self._page.get_by_role("button", name=text, exact=exact)
        (found.last if last else found.first).click()
        time.sleep(3)

    def _picture(self, name: str, *, full_page: bool = False) -> None:
        self._number += 1
        kept = re.sub("[,']", "", name).replace(" ", "-")
        file = self._pictures / f"{self._number:02}-{kept}.png"
        self._page.screenshot(path=file, full_page=full_page)
        sys.stdout.write(f"{file}\n")


def main() -> None:
    """Play the session."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--pictures", type=Path, default=Path("build/session"))
    parser.add_argument("--token", default="", help="of an operator, if the service has tokens")
    parser.add_argument("--chromium", help="path of the browser; Playwright's own if left out")
    given = parser.parse_args()
    given.pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.chromium, args=_FLAGS)
        size = {"width": 1400, "height": 900}
        page = browser.new_page(viewport=size, ignore_https_errors=True)
        page.set_default_timeout(40_000)
        Session(page, given.url, given.project, given.pictures, given.token).play()
        browser.close()


if __name__ == "__main__":
    main()
