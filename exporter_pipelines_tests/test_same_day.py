"""The service as a process: however a day is exported, its file has the same bytes."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from dotenv import dotenv_values

from exporter_pipelines.cli import main
from exporter_pipelines.client import Client, RoleMissingError
from exporter_pipelines.service.models import Export, ExportSummary
from exporter_pipelines.service.tokens import add_token
from exporter_pipelines_tests.support.backends import ANOMALIES, IPS, LOGS, fresh_database
from exporter_pipelines_tests.support.doc_examples import example
from exporter_pipelines_tests.support.projects import ROOT, Project
from exporter_pipelines_tests.support.servers import WebServer, daemon, served
from exporter_pipelines_tests.test_command_line import project_of

DAY, HELD, MISSING = "2026-11-01", "2026-11-04", "2026-11-05"
THREE_DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]
ROWS = 500

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Service:
    """A service and a daemon over a project with rows on two days, one of which is held.

    Attributes:
        project: Its project.
        server: Where it is, with the token of an operator.
        viewer: A token.
    """

    project: Project
    server: WebServer
    viewer: str

    def here(self, *arguments: str) -> Result:
        """A command without the service."""
        return CliRunner().invoke(main, arguments)

    def there(self, *arguments: str) -> Result:
        """The same command, which asks the service."""
        file = str(self.project.path / "token")
        return self.here(*arguments, "--server", self.server.url, "--token-file", file)

    def published(self) -> tuple[str, str]:
        """The SHA-256 of the published file, and the run that published it."""
        manifest = self.project.manifest("logs", DAY)
        assert manifest
        [file] = manifest.files
        content = (self.project.output / "logs/data" / f"date={DAY}" / file.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256
        return file.sha256, manifest.run.run_id


@pytest.fixture(scope="module")
def service(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with fresh_database(postgres_url) as backend:
        for statement in (LOGS, ANOMALIES, IPS):
            backend.run(statement)
        backend.add_logs(DAY, ROWS)
        backend.add_logs(HELD, ROWS, first_id=10_000)
        backend.run("UPDATE logs SET level = 'odd' WHERE id > 10000")
        project = project_of(backend, tmp_path_factory.mktemp("service"))
        tokens = project.path / ".tokens"
        operator = add_token(tokens, "olga", frozenset({"operator"}), None)
        viewer = add_token(tokens, "vera", frozenset({"viewer"}), None)
        (project.path / "token").touch(0o600)
        (project.path / "token").write_text(operator)
        with (
            pytest.MonkeyPatch.context() as patch,
            served(project, operator) as server,
            daemon(project, seconds=2),
        ):
            patch.chdir(project.path)
            for name, value in dotenv_values(project.path / ".env").items():
                patch.setenv(name, value or "")  # as the commands set it, but undone afterwards
            yield Service(project, server, viewer)


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.server.url, service.server.token) as opened:
        yield opened


def by_curl(service: Service) -> None:
    """The five lines of the README; the one that follows is repeated as long as it takes."""
    lines, folder = example("curl").strip(), service.project.path / "curl"
    assert f"```bash\n{lines}\n```" in (ROOT / "README.md").read_text()
    *start, follow, fetch = lines.replace("http://127.0.0.1:3000", service.server.url).splitlines()
    assert len(start) == 3
    ended = f"{follow} > shown && jq -e '.progress_pct == 100' shown > /dev/null"
    until = f"until {ended}; do sleep 0.3; done"
    folder.mkdir()
    header = f'header = "Authorization: Bearer {service.server.token}"\n'
    (folder / ".curlrc").write_text(header)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join([*start, until, "cat shown", fetch])],
        cwd=folder, env={**os.environ, "CURL_HOME": str(folder)}, capture_output=True,
        text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done
    shown = json.loads(done.stdout)
    assert (shown["status"], shown["progress_pct"], shown["errors"]) == ("completed", 100, [])
    assert shown["days"]["published"] == 3
    with gzip.open(folder / "logs-2026-11-01_2026-11-03.jsonl.gz") as rows:
        assert len(rows.readlines()) == ROWS


def test_curl_shows_which_days_of_a_range_are_not_published(service: Service) -> None:
    lines, folder = example("curl-409").strip(), service.project.path / "curl-409"
    folder.mkdir()
    header = f'header = "Authorization: Bearer {service.server.token}"\n'
    (folder / ".curlrc").write_text(header)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"API={service.server.url}/api/v1\n{lines}"],
        cwd=folder, env={**os.environ, "CURL_HOME": str(folder)}, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done
    assert "logs is not published on " in done.stdout
    assert "missing=skip" in done.stdout
    assert [file.name.partition(".")[0] for file in folder.glob("logs*")] == [
        "logs-2026-11-01_2026-12-31"
    ]


def by_client(service: Service) -> None:
    """The example of docs/api.md, as written."""
    known: dict[str, Any] = {"url": service.server.url, "token": service.server.token}
    printed, folder = io.StringIO(), service.project.path / "client"
    folder.mkdir()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(example("client"), known)
    ended: Export = known["ended"]
    assert (ended.status, ended.title, ended.user) == ("completed", "training data", "olga")
    percents = [int(line.removesuffix(" %")) for line in printed.getvalue().splitlines()]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert max(percents[:-1], default=0) < 100
    assert [day.day for day in known["days"]] == THREE_DAYS
    assert known["first_bytes"][:2] == b"\x1f\x8b"


def by_page(service: Service) -> None:
    """The form of the exports page, sent as a browser without a script sends it."""
    url, origin = service.server.url, {"Origin": service.server.url}
    sent = {"base_url": url, "headers": origin, "follow_redirects": True, "timeout": 120}
    with httpx.Client(**sent) as browser:
        page = browser.post("/login", data={"token": service.server.token, "next": "/exports"})
        key = re.findall(r'name="key" value="([^"]+)"', page.text)[0]
        form = {"key": key, "datasets": "logs", "start_date": DAY, "end_date": DAY}
        started = browser.post("/exports", data=form)
    assert started.status_code == 200, started.text
    with Client(url, service.server.token) as client:
        ended = client.get(started.url.path.rpartition("/")[2]).wait(timeout_s=600)
    assert (ended.status, ended.source, ended.user) == ("completed", "page", "olga")


def by_command_there(service: Service) -> Result:
    done = service.there("export", "logs", DAY, HELD)
    assert done.exit_code == 1, done.output
    assert f"at {service.server.url}" in done.stderr
    return done


def by_command_here(service: Service) -> Result:
    done = service.here("export", "logs", DAY, HELD)
    assert done.exit_code == 1, done.output
    return done


def by_backfill(service: Service) -> None:
    backfill = service.server.launch_backfill(["logs"], [DAY])
    assert service.server.finished_backfill(backfill)["status"] == "COMPLETED_SUCCESS"


def by_dagster(service: Service) -> None:
    done = service.project.materialize("logs", partition=DAY)
    assert done.code == 0, done.stderr


WAYS = [by_curl, by_client, by_page, by_command_there, by_command_here, by_backfill, by_dagster]


@dataclass
class Story:
    """What became of one day that was exported in all ways.

    Attributes:
        service: Which has exported it.
        published: Way -> SHA-256 and run of the published file after it.
        said: What a way has returned.
    """

    service: Service
    published: dict[str, tuple[str, str]] = field(default_factory=dict)
    said: dict[str, Result | None] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(service: Service) -> Story:
    story = Story(service)
    for way in WAYS:
        story.said[way.__name__] = way(service)
        story.published[way.__name__] = service.published()
    return story


def test_every_way_publishes_the_same_bytes(story: Story) -> None:
    assert len({sha256 for sha256, _ in story.published.values()}) == 1
    assert len({run for _, run in story.published.values()}) == len(WAYS), "each has exported"


def test_a_command_says_the_same_here_and_there(story: Story) -> None:
    there, here = (story.said[way] for way in ("by_command_there", "by_command_here"))
    assert there
    assert here
    assert comparable(there.stdout, f" --server {story.service.server.url}") == comparable(
        here.stdout, ""
    )
    assert here.stdout.startswith(f"logs  3 of 4 days published, 1 held; {ROWS} rows, 0 rejected, ")


def comparable(output: str, server: str) -> list[str]:
    """Lines without the name of the quarantine file of the run, and without the time it took."""
    return [
        line.removesuffix(server).partition(" Rejected rows: ")[0].partition(" published in ")[0]
        for line in output.splitlines()
    ]


def test_every_way_is_in_the_history_with_and_without_the_service(
    story: Story, client: Client
) -> None:
    service = story.service
    started = [(each.source, each.user, each.status) for each in client.history(page_size=2)]
    assert started[::-1] == [
        ("rest", "olga", "completed"), ("rest", "olga", "completed"), ("page", "olga", "completed"),
        ("rest", "olga", "held"),
        ("cli", None, "held"), ("ui", "olga", "completed"), ("cli", None, "completed"),
    ]  # fmt: skip
    asked, read = service.there("history", "--json"), service.here("history", "--json")
    assert asked.stdout == read.stdout
    first = ExportSummary.model_validate_json(asked.stdout.splitlines()[0])
    for command in (service.there, service.here):
        shown = command("status", first.id)
        assert shown.exit_code == 0, shown.output
        assert shown.stdout.splitlines()[-1].startswith("1 of 1 days published in ")
        assert command("history", "--limit", "3").stdout.count("\n") >= 4
        unknown = command("status", "no-such-export")
        assert unknown.exit_code == 2
        assert "no-such-export" in unknown.stderr
        nope = command("history", "--dataset", "nope")
        assert (nope.exit_code, nope.stdout) == (2, "")
        assert "dataset 'nope' does not exist (there are: anomalies, ips, logs" in nope.stderr
        none_held = command("history", "--dataset", "logs_light", "--status", "held")
        assert (none_held.exit_code, none_held.stdout) == (0, "There is no such export.\n")


def test_nothing_to_export_is_no_failure(story: Story) -> None:
    nothing = story.service.there("export", "logs", DAY, "--only", "missing")
    assert (nothing.exit_code, nothing.stderr.count("\n")) == (0, 1), nothing.output


def test_days_are_downloaded_as_they_were_published(
    story: Story, client: Client, tmp_path: Path
) -> None:
    done = story.service.there("download", "logs", DAY, MISSING, "-o", str(tmp_path))
    assert done.exit_code == 1
    assert f"logs {MISSING}: not published (missing)." in done.stdout
    ours = tmp_path / "logs/data" / f"date={DAY}"
    published = story.service.project.output / "logs/data" / f"date={DAY}"
    assert {path.name: path.read_bytes() for path in ours.iterdir()} == {
        path.name: path.read_bytes() for path in published.iterdir()
    }
    [file] = client.manifest("logs", DAY).files
    with client.open_rows("logs", DAY, MISSING, missing="skip") as rows:
        assert hashlib.sha256(rows.read()).hexdigest() == file.sha256
    [day] = client.days("logs", DAY, DAY)
    assert (day.state, day.rows) == ("published", ROWS)
    preview = client.preview(["logs"], DAY)
    assert [(day.rows, day.published_rows) for day in preview.days] == [(ROWS, ROWS)]
    assert client.metrics().totalExports >= len(WAYS)
    assert "logs" in [each.name for each in client.datasets()]


def test_a_viewer_reads_and_starts_nothing(story: Story, client: Client) -> None:
    with Client(client.url, story.service.viewer) as viewer:
        assert viewer.me().roles == ["viewer"]
        with pytest.raises(RoleMissingError, match="exporter"):
            viewer.export(["logs"], DAY)
        assert len(list(viewer.history(source="cli"))) == 2
