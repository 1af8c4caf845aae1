"""Commands that ask a service: what they print, how they end, and where their token comes from."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from exporter_pipelines.cli import main
from exporter_pipelines.cli.export_results import look_at
from exporter_pipelines.service.models import Export
from exporter_pipelines_tests.support.scripted_service import (
    Asked,
    Reply,
    ScriptedService,
    scripted_service,
)
from exporter_pipelines_tests.test_client import (
    DATASET,
    DAY,
    PROBLEM,
    TOKEN,
    PublishedDay,
    export_document,
)

TWO, LAST = "2026-11-02", "2026-11-03"
HELD_DAY = {
    "dataset": "ips", "day": TWO, "status": "held", "docs_entry": "a-day-is-held",
    "problem": "held; this day has no published export.\x1b[2J",
}  # fmt: skip
RESULTS = [
    {"dataset": "logs", "day": DAY, "status": "published", "rows_exported": 1989,
     "rows_rejected": 11, "size_bytes": 1_250_000},
    {"dataset": "logs", "day": TWO, "status": "cancelled"},
    {"dataset": "ips", "day": DAY, "status": "published", "rows_exported": 10, "rows_rejected": 0,
     "size_bytes": 100},
    HELD_DAY,
]  # fmt: skip
HELD = export_document(
    status="held", datasets=["logs", "ips"], end_date=TWO, results=RESULTS, errors=["x"],
    days={"published": 2, "held": 1, "cancelled": 1}, rows_exported=1999,
)  # fmt: skip
RUNNING = export_document(
    status="running", days={"published": 1, "running": 1, "pending": 2}, rows_exported=1989,
    progress_pct=37.5, rows_per_s=1200.0, eta_s=150.0, current_batch=2, total_batches_estimate=4,
    current_dataset="logs", current_day=TWO, ended_at=None,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of a developer's own settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("EXPORTER_API_URL", "EXPORTER_API_TOKEN", "EXPORTER_API_ALLOW_HTTP"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedService]:
    """A service to which EXPORTER_API_URL leads."""
    with scripted_service(Reply(202, HELD)) as scripted:
        monkeypatch.setenv("EXPORTER_API_URL", scripted.url)
        yield scripted


def run(*arguments: str) -> Result:
    """A command in this process."""
    return CliRunner().invoke(main, arguments)


def test_export_prints_what_the_same_export_here_would_print(service: ScriptedService) -> None:
    done = run("export", "logs", "ips", DAY, TWO)
    assert done.exit_code == 1
    *lines, last = done.stdout.splitlines()
    assert lines == [
        "logs  1 of 2 days published, 1 not tried; 1,989 rows, 11 rejected, 1.2 MB",
        "ips   1 of 2 days published, 1 held; 10 rows, 0 rejected, 0.0 MB",
        f"ips {TWO}: held; this day has no published export.\\x1b[2J",
        "See docs/failures.md#a-day-is-held",
        f"To export these days again: exporter export logs ips {DAY} {TWO} --only missing,held",
    ]
    assert last.startswith("2 of 4 days published in ")
    began, started = done.stderr.splitlines()
    assert began == f"Exporting logs, ips, {DAY} to {TWO} at {service.url}"
    assert started == "Export e1"
    sent = json.loads(service.asked[0].body)
    assert (sent["datasets"], sent["only"]) == (["logs", "ips"], [])
    first, *_ = run("export", "ips", "logs", DAY, TWO).stdout.splitlines()
    assert first.startswith("ips   1 of 2 days"), "in the order of the command, as here"


def test_no_id_and_no_refusal_of_the_service_reaches_the_terminal_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = "\x1b[2J"
    none_left = Reply(409, {**PROBLEM, "detail": bad, "errors": 5})
    for replies, options in (
        ([Reply(202, {**HELD, "id": bad}), Reply(200, {**HELD, "id": bad})], []),
        ([none_left], ["--only", "missing"]),
    ):
        with scripted_service(*replies) as scripted:
            monkeypatch.setenv("EXPORTER_API_URL", scripted.url)
            done = run("export", "logs", "ips", DAY, TWO, *options)
        assert "\x1b" not in done.output
        assert "\\x1b[2J" in done.output
    _, line = look_at(Export.model_validate({**RUNNING, "current_dataset": bad}))
    assert "\x1b" not in line


def test_export_names_the_service_again_only_when_it_is_not_the_usual_one(
    service: ScriptedService,
) -> None:
    with scripted_service(Reply(202, HELD)) as other:
        done = run("export", "ips", TWO, "--only", "held", "--server", other.url)
    assert f"exporter export ips {TWO} --only missing,held --server {other.url}" in done.stdout
    assert not service.asked
    assert json.loads(other.asked[0].body)["only"] == ["held"]


def unreachable_source() -> dict[str, Any]:
    result = {"dataset": "logs", "day": DAY, "status": "failed", "problem": "No connection.",
              "docs_entry": "the-database-cannot-be-reached"}  # fmt: skip
    return export_document(status="failed", days={"failed": 1}, results=[result])


@pytest.mark.parametrize(
    ("reply", "code", "says"),
    [
        (Reply(202, export_document()), 0, "1 of 1 days published"),
        (Reply(202, export_document(status="cancelled", days={"cancelled": 1})), 1, "0 of 1 days"),
        (Reply(202, unreachable_source()), 3, f"logs {DAY}: No connection."),
        (Reply(409, {**PROBLEM, "detail": "Not now."}), 1, "Error: Not now."),
        (Reply(422, {**PROBLEM, "detail": "/datasets/0: 'x' is no dataset.", "errors": [
            {"pointer": "/datasets/0", "message": "'x' is no dataset."}]}), 2,
         "Error: 'x' is no dataset."),
        (Reply(401, {**PROBLEM, "detail": "No valid token."}), 2, "set EXPORTER_API_TOKEN"),
        (Reply(403, {**PROBLEM, "detail": "Needs the role exporter."}), 2, "role exporter"),
        (Reply(429, {**PROBLEM, "detail": "Too many."}, {"Retry-After": "99"}), 3, "Too many."),
        (Reply(500, {**PROBLEM, "detail": "It failed."}), 3, "It failed."),
        (Reply(200, b"<html>"), 3, "does not fit Export"),
    ],
)  # fmt: skip
def test_export_ends_with_the_code_of_the_outcome(
    service: ScriptedService, reply: Reply, code: int, says: str
) -> None:
    service.answer = lambda _: reply
    done = run("export", "logs", DAY)
    assert (done.exit_code, says in done.output) == (code, True), done.output
    assert "Traceback" not in done.output


def test_no_day_in_the_wanted_state_is_no_failure(service: ScriptedService) -> None:
    service.answer = lambda _: Reply(409, {**PROBLEM, "detail": "No day is held."})
    done = run("export", "logs", DAY, "--only", "held")
    assert (done.exit_code, done.stdout) == (0, "No day is held.\n")


def test_an_argument_of_bytes_that_are_no_text_is_a_usage_error() -> None:
    for command in ("init", "status", "export"):
        refused = run(command, "\udcff\udcfe")
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 4)
        assert "An argument is not UTF-8." in refused.stderr


def test_a_service_that_is_away_exits_with_3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("exporter_pipelines.client.connection.sleep", lambda _: None)
    with scripted_service(Reply()) as gone:
        url = gone.url
    monkeypatch.setenv("EXPORTER_API_TOKEN", TOKEN)
    for arguments in (
        ("export", "logs", DAY), ("status", "e1"), ("history",), ("download", "logs", DAY),
    ):  # fmt: skip
        done = run(*arguments, "--server", url)
        assert (done.exit_code, done.stdout) == (3, "")
        last = done.stderr.splitlines()[-1]
        assert last.startswith(f"Error: The service at {url} cannot be reached: ")
        assert TOKEN not in done.output
    assert not list(tmp_path.iterdir())


class Interrupted:
    """Answers about a running export, and presses Ctrl-C whenever it is asked about it."""

    def __init__(self, presses: int) -> None:
        self.presses, self.left, self.cancels = presses, presses, 0

    def __call__(self, asked: Asked) -> Reply:
        """The reply to a request."""
        if asked.path.endswith("/cancel"):
            self.cancels += 1
        elif asked.method == "GET" and self.left:
            self.left -= 1
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
        elif self.cancels:
            days = {"published": 1, "cancelled": 1}
            return Reply(200, export_document(status="cancelled", days=days))
        return Reply(202, RUNNING)


@pytest.mark.parametrize(("presses", "published"), [(1, "1 of 2"), (2, "1 of 4")])
def test_ctrl_c_cancels_the_export_and_a_second_one_ends_the_command(
    service: ScriptedService, presses: int, published: str
) -> None:
    service.answer = answer = Interrupted(presses)
    done = run("export", "logs", DAY, TWO)
    assert (done.exit_code, answer.cancels) == (130, 1), done.output
    assert "Cancelling the export; finished days stay published." in done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"Interrupted: {published} days published in ")
    assert "Traceback" not in done.output


def test_ctrl_c_ends_what_only_reads(service: ScriptedService) -> None:
    def answer(_asked: Asked) -> Reply:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        return Reply(200, RUNNING)

    service.answer = answer
    for arguments in (("status", "e1", "--wait"), ("history",)):
        done = run(*arguments)
        assert (done.exit_code, done.stderr) == (130, "\nInterrupted.\n"), done.output


@pytest.mark.parametrize("option", ["--check-only", "--days-with-rows", "--accept-loss"])
def test_what_needs_the_database_is_refused(service: ScriptedService, option: str) -> None:
    done = run("export", "logs", DAY, option)
    assert done.exit_code == 2
    assert f"{option} needs the database" in done.stderr
    assert "Run the command on the machine of the service" in done.stderr
    assert not service.asked


def test_days_are_judged_by_the_settings_of_the_service(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_START_DATE", "2026-11-01")
    assert run("export", "logs", "2020-01-01").exit_code == 1
    assert run("export", "logs", "2020-13-01").exit_code == 2
    assert run("download", "logs", TWO, DAY).exit_code == 2
    assert len(service.asked) == 1 + 1, "the start, and one look at its end"


def test_the_progress_line_has_the_numbers_of_the_service() -> None:
    share, line = look_at(Export.model_validate(RUNNING))
    assert share == 0.375
    assert line == (
        f"1 of 4 days, export 37 %, logs {TWO}, batch 2 of about 4, 1,989 rows, 1,200 rows/s, "
        "2 min left"
    )
    waiting = {"status": "pending", "days": {"pending": 1}, "progress_pct": 0, "rows_exported": 0}
    _, line = look_at(Export.model_validate(export_document(**waiting)))
    assert line == "0 of 1 days, export 0 %, waiting to run, 0 rows"


def test_status_shows_an_export_and_its_days(service: ScriptedService) -> None:
    done = run("status", "e1")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "Export e1: held, 100 %"
    assert lines[1] == (
        f"logs, ips, {DAY} to {TWO}, started 2026-11-02 01:00:00 UTC by alice (rest)"
    )
    assert lines[2].startswith("logs  1 of 2 days published")
    assert lines[-1] == "2 of 4 days published in 2 s."
    shown = run("status", "e1", "--json")
    assert Export.model_validate_json(shown.stdout).id == "e1"
    service.answer = lambda _: Reply(200, RUNNING)
    assert run("status", "e1").exit_code == 0
    service.answer = lambda _: Reply(404, {**PROBLEM, "detail": "There is no export 'e2'."})
    missing = run("status", "e2")
    assert (missing.exit_code, missing.stderr) == (2, "Error: There is no export 'e2'.\n")


def test_status_waits_for_the_end(service: ScriptedService) -> None:
    states = [RUNNING, RUNNING, HELD]
    service.answer = lambda _: Reply(200, states.pop(0))
    done = run("status", "e1", "--wait")
    assert (done.exit_code, states) == (1, [])
    assert done.stdout.startswith("Export e1: held, 100 %\n")


def test_history_lists_exports(service: ScriptedService) -> None:
    summary = {**HELD, "problem": "ips: held; \x1b[2J"}
    pages = [
        {"items": [summary, summary], "next_cursor": "c"},
        {"items": [summary], "next_cursor": None},
    ]
    service.answer = lambda _: Reply(200, pages.pop(0))
    done = run("history", "--limit", "3", "--dataset", "ips", "--from", DAY, "--status", "held")
    assert done.exit_code == 0
    head, line, reason, *others = done.stdout.splitlines()
    assert head.split() == ["id", "created", "(UTC)", "status", "days", "rows", "who", "what"]
    assert line.split(maxsplit=1)[1].split("  ")[0] == "2026-11-02 01:00"
    assert line.endswith(
        f"held           2/4        1,999  alice (rest)        logs, ips, {DAY} to {TWO}"
    )
    assert reason == "  ips: held; \\x1b[2J"
    assert len(others) == 4
    assert service.asked[0].path == (f"/api/v1/exports?dataset=ips&status=held&from={DAY}&limit=3")
    service.answer = lambda _: Reply(200, {"items": [], "next_cursor": None})
    assert run("history").stdout == "There is no such export.\n"
    assert run("history", "--json").stdout == ""


@pytest.mark.parametrize(
    ("option", "values"),
    [("--dataset", ("logs", "ips")), ("--status", ("held", "failed")), ("--user", ("a", "b"))],
)
def test_history_refuses_several_values_of_a_filter(
    service: ScriptedService, option: str, values: tuple[str, str]
) -> None:
    first, last = values
    done = run("history", option, first, option, last)
    assert done.exit_code == 2
    assert f"'{option}': Name one, not 2." in done.stderr
    assert not service.asked


def test_download_stores_the_days_and_names_those_that_are_not_published(
    service: ScriptedService, tmp_path: Path
) -> None:
    day = PublishedDay()
    listed = [
        {"day": TWO, "state": "held", "problem": "x"},
        {"day": DAY, "state": "published", "size_bytes": len(day.data),
         "published_at": "2026-11-02T01:00:00Z"},
    ]  # fmt: skip

    def answer(asked: Asked) -> Reply:
        if "/days?" in asked.path:
            return Reply(200, {"items": listed, "next_cursor": None})
        return day(asked) if "/days/" in asked.path else Reply(200, DATASET)

    service.answer = answer
    first = run("download", "logs", DAY, LAST, "-o", "there")
    assert first.exit_code == 1
    assert first.stdout.splitlines() == [
        f"logs {TWO}: not published (held).",
        f"logs {LAST}: not published (missing).",
        "1 of 3 days of logs are in there/logs/data; 0.5 MB.",
    ]
    assert (tmp_path / f"there/logs/data/date={DAY}/logs.jsonl").read_bytes() == day.data
    second = run("download", "logs", DAY, "-o", "there")
    assert second.exit_code == 0
    assert second.stdout == (
        "1 of 1 days of logs are in there/logs/data, 1 of them were there; 0.5 MB.\n"
    )


def test_a_day_that_is_removed_during_a_download_does_not_end_it(
    service: ScriptedService, tmp_path: Path
) -> None:
    removed, day = "2026-10-31", PublishedDay()
    at = {"size_bytes": len(day.data), "published_at": "2026-11-04T01:00:00Z"}
    listed = [{"day": each, "state": "published", **at} for each in (DAY, removed)]

    def answer(asked: Asked) -> Reply:
        if "/days?" in asked.path:
            return Reply(200, {"items": listed, "next_cursor": None})
        if f"/days/{removed}/" in asked.path:  # pruned since it was listed
            return Reply(404, PROBLEM)
        return day(asked) if "/days/" in asked.path else Reply(200, DATASET)

    service.answer = answer
    done = run("download", "logs", removed, DAY, "-o", "there")
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        f"logs {removed}: not published (removed during the download).",
        "1 of 2 days of logs are in there/logs/data; 0.5 MB.",
    ]
    assert (tmp_path / f"there/logs/data/date={DAY}/logs.jsonl").read_bytes() == day.data


def test_download_needs_a_service(tmp_path: Path) -> None:
    done = run("download", "logs", DAY)
    assert done.exit_code == 2
    assert "Name the service with --server or EXPORTER_API_URL." in done.stderr


def test_a_token_comes_from_the_environment_or_a_file(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("EXPORTER_API_TOKEN", TOKEN)
    done = run("status", "e1")
    assert service.asked[-1].headers["Authorization"] == f"Bearer {TOKEN}"
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("another-token\n")
    done = run("status", "e1", "--token-file", "token")
    assert service.asked[-1].headers["Authorization"] == "Bearer another-token"
    assert "token" not in done.output
    assert TOKEN not in caplog.text
    assert "another-token" not in caplog.text


def test_a_token_file_that_others_may_read_or_that_is_empty_is_refused(
    service: ScriptedService, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    for text, mode, says in (
        (TOKEN, 0o644, "can be read by all users of this machine. Run: chmod 600 token"),
        (" \n", 0o600, "is empty"),
        (f"{TOKEN} and more", 0o600, "has spaces"),
    ):
        file.write_text(text)
        file.chmod(mode)
        done = run("status", "e1", "--token-file", "token")
        assert (done.exit_code, says in done.stderr) == (2, True), done.output
        assert TOKEN not in done.output
    missing = run("status", "e1", "--token-file", "none")
    assert (missing.exit_code, "no such file" in missing.stderr) == (2, True)
    assert not service.asked


@pytest.mark.parametrize("place", ["argument", "setting"])
def test_a_token_in_the_address_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    caplog.set_level(logging.DEBUG)
    for url in (f"https://alice:{TOKEN}@h.example", f"https://h.example/?token={TOKEN}"):
        monkeypatch.setenv("EXPORTER_API_URL", url)
        server = ["--server", url] if place == "argument" else []
        for arguments in (
            ("export", "logs", DAY), ("status", "e1"), ("history",), ("download", "logs", DAY),
        ):  # fmt: skip
            done = run(*arguments, *server)
            assert done.exit_code == 2
            assert "A token belongs in" in done.stderr or "set EXPORTER_API_TOKEN" in done.stderr
            assert TOKEN not in done.output
    assert TOKEN not in caplog.text


def test_no_command_takes_a_token_as_an_argument() -> None:
    for command in ("export", "status", "history", "download"):
        done = run(command, "--token", TOKEN, "x")
        assert done.exit_code == 2
        assert TOKEN not in done.output


def test_a_token_goes_over_plain_http_only_when_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EXPORTER_API_TOKEN", TOKEN)
    done = run("history", "--server", "http://exports.example.org")
    assert done.exit_code == 2
    assert "over an unencrypted connection" in done.stderr
    monkeypatch.setenv("EXPORTER_API_ALLOW_HTTP", "yes")
    done = run("history", "--server", "http://exports.example.org")
    assert "EXPORTER_API_ALLOW_HTTP='yes' is neither 0 nor 1." in done.stderr
