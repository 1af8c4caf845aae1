"""`exporter train-set` with a service: what it asks for, what it prints, how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from exporter_pipelines.cli import main
from exporter_pipelines.service.models import TrainingSet, TrainingSetBuild
from exporter_pipelines_tests.support.scripted_service import (
    Reply,
    ScriptedService,
    scripted_service,
)
from exporter_pipelines_tests.test_client import PROBLEM

SET = TrainingSet.model_validate({
    "name": "logins", "version": "5c30a940ce51", "left_out_days": {"2026-11-04": "not published"},
    "splits": {"train": {"examples": 5800, "positives": 133, "files": []}}, "warnings": ["Hm."],
}).model_dump(mode="json")  # fmt: skip


def build(**changes: Any) -> dict[str, Any]:
    """A build as the service sends it."""
    document = {
        "id": "b1", "training_set": "logins", "status": "completed", "user": "alice",
        "created_at": "2026-11-02T01:00:00Z", "started_at": None, "ended_at": None,
        "links": {"self": "/a", "training_set": "/b", "dagster": "/runs/b1"},
    }  # fmt: skip
    return TrainingSetBuild.model_validate({**document, **changes}).model_dump(mode="json")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedService]:
    """A service to which EXPORTER_API_URL leads, with a set that is built at once."""
    monkeypatch.chdir(tmp_path)
    for name in ("EXPORTER_API_TOKEN", "EXPORTER_API_ALLOW_HTTP"):
        monkeypatch.delenv(name, raising=False)
    replies = (Reply(202, build(status="pending")), Reply(200, build()), Reply(200, SET))
    with scripted_service(*replies) as scripted:
        monkeypatch.setenv("EXPORTER_API_URL", scripted.url)
        yield scripted


def run(*arguments: str) -> Result:
    """The command in this process."""
    return CliRunner().invoke(main, ["train-set", "logins", *arguments])


def test_the_service_builds_and_the_command_prints_the_set(service: ScriptedService) -> None:
    done = run()
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "  train             5,800 examples        133 positive",
        "  2026-11-04 is left out: not published.",
        "Version 5c30a940ce51",
    ]
    assert "a check warns: Hm." in done.stderr
    asked = [(each.method, each.path) for each in service.asked]
    assert asked == [
        ("POST", "/api/v1/training-sets/logins/builds"),
        ("GET", "/api/v1/training-sets/logins/builds/b1"),
        ("GET", "/api/v1/training-sets/logins"),
    ]
    assert service.asked[0].headers["Idempotency-Key"]


def test_nothing_that_the_service_sends_reaches_the_terminal_as_it_is(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = "\x1b[2J"
    found = {**SET, "version": bad, "warnings": [bad], "splits": {bad: SET["splits"]["train"]}}
    replies = (Reply(202, build(id=bad)), Reply(200, build(id=bad)), Reply(200, found))
    with scripted_service(*replies) as scripted:
        monkeypatch.setenv("EXPORTER_API_URL", scripted.url)
        done = run()
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output
    assert done.output.count("\\x1b[2J") == 4


@pytest.mark.parametrize(
    ("replies", "code", "says"),
    [
        ([Reply(202, build()), Reply(200, build(status="held", problem="It is held.\x1b[2J"))], 1,
         "Error: It is held.\\x1b[2J"),
        ([Reply(202, build()), Reply(200, build(status="cancelled"))], 1, "was cancelled"),
        ([Reply(409, {**PROBLEM, "detail": "Two epochs."})], 1, "Error: Two epochs."),
        ([Reply(404, {**PROBLEM, "detail": "There is no such set."})], 2, "no such set"),
        ([Reply(403, {**PROBLEM, "detail": "Needs the role exporter."})], 2, "role exporter"),
    ],
)  # fmt: skip
def test_it_ends_with_the_code_of_the_outcome(
    service: ScriptedService, replies: list[Reply], code: int, says: str
) -> None:
    left = list(replies)
    service.answer = lambda _: left.pop(0)
    done = run()
    assert (done.exit_code, says in done.output) == (code, True), done.output
    assert "Traceback" not in done.output


def test_options_that_do_not_fit_are_refused(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--threads is not available with --server" in run("--threads", "2").output
    monkeypatch.delenv("EXPORTER_API_URL")
    assert "--output needs --server" in run("-o", "x").output
    assert not service.asked
