"""Receivers that are down, slow, unknown or many: nothing is lost or sent twice, nothing secret."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from exporter_pipelines.notifications import outbox as outbox_module
from exporter_pipelines.notifications import receivers as receivers_module
from exporter_pipelines.notifications.message import Message
from exporter_pipelines.notifications.outbox import Outbox
from exporter_pipelines.notifications.receivers import Receiver, open_receivers
from exporter_pipelines.settings import lead_links_to
from exporter_pipelines_tests.support.alert_receivers import Inbox, inbox
from exporter_pipelines_tests.support.projects import ROOT, Project

CANARY = "s3cr3t-canary"


@pytest.fixture
def opened() -> Iterator[Callable[..., Inbox]]:
    """Makes receivers that end with the test; `port=` brings one back to where it was."""
    with ExitStack() as stack:
        yield lambda port=0: stack.enter_context(inbox(port))


def messages(count: int) -> list[Message]:
    return [Message(f"[exporter] {number}", "body", "warning") for number in range(count)]


def deliver(box: Outbox, receivers: list[Receiver]) -> tuple[Outbox, list[str]]:
    """One tick of a daemon that was started again, with its state from storage."""
    box = Outbox.from_json(box.to_json())
    assert box.drop_expired(receivers) == 0
    return box, box.deliver(receivers, lambda: None)


def test_a_receiver_that_is_down_loses_nothing_and_the_other_gets_it_once(
    opened: Callable[..., Inbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "FIRST_WAIT_S", 0.0)
    well = opened()
    with inbox() as gone:
        url, port = gone.url, gone.port
    receivers, box = open_receivers([well.url, url]), Outbox()
    for message in messages(3):
        box.add(message, receivers)
    monkeypatch.setattr(outbox_module, "_TICK_BUDGET_S", 0.5)
    for _ in range(3):
        box, problems = deliver(box, receivers)
        assert "receiver 2 (JSON) rejected the message or could not be reached" in problems[0]
    assert well.titles == ["0", "1", "2"]
    back = opened(port)
    box, problems = deliver(box, receivers)
    assert (problems, back.titles, well.titles) == ([], ["0", "1", "2"], ["0", "1", "2"])
    assert box.waits_since() is None


def test_the_delay_grows_while_a_receiver_is_down(
    opened: Callable[..., Inbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = opened()
    refusing.status = 503
    receivers, box = open_receivers([refusing.url]), Outbox()
    box.add(*messages(1), receivers)
    waits = []
    for _ in range(10):
        box, [problem] = deliver(box, receivers)
        assert "answered with HTTP status 503" in problem
        assert deliver(box, receivers)[1] == []  # not before its time
        waits.append(round(box.down[receivers[0].id][1] - time.time()))
        box.down[receivers[0].id][1] = 0.0  # its time has come
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    refusing.status = 200
    assert deliver(box, receivers)[1] == []
    assert refusing.titles == ["0"]


def test_a_receiver_that_hangs_does_not_delay_the_others(
    opened: Callable[..., Inbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receivers_module, "SEND_TIMEOUT_S", 0.3)
    hanging, well = opened(), opened()
    hanging.gate.clear()
    receivers, box = open_receivers([hanging.url, well.url]), Outbox()
    for message in messages(2):
        box.add(message, receivers)
    box, problems = deliver(box, receivers)
    assert well.titles == ["0", "1"]
    assert len(problems) == 1
    assert "receiver 1 (JSON) did not answer within 0.3 s; next attempt in 30 s" in problems[0]


def test_expired_messages_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    receivers, box = open_receivers(["json://127.0.0.1:9/"]), Outbox()
    for message in messages(502):
        box.add(message, receivers)
    assert box.drop_expired(receivers) == 2
    assert box.waiting[0].message.title == "[exporter] 2"
    box.waiting[0].since -= 8 * 86400
    assert box.drop_expired(receivers) == 1
    assert box.drop_expired([]) == 0  # the operator removed the receiver: nobody misses them
    assert box.waits_since() is None


def test_no_part_of_a_url_is_shown(
    opened: Callable[..., Inbox],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG, "apprise")
    refusing = opened()
    refusing.status = 404
    urls = [
        f"json://user:{CANARY}@127.0.0.1:{refusing.port}/{CANARY}",
        f"json://{CANARY}.invalid/",
        f"slack://{CANARY}",
        f"nosuchservice://{CANARY}",
        CANARY,
        f"mailto://127.0.0.1:9?user=u&pass={CANARY}&from=a@example.org&to=b@example.org",
    ]
    receivers, box = open_receivers(urls), Outbox()
    box.add(*messages(1), receivers)
    stored, problems = deliver(box, receivers)
    assert [r.label for r in receivers if not r.usable] == [
        "receiver 3",
        "receiver 4",
        "receiver 5",
    ]
    assert len(problems) == 3
    heard = capfd.readouterr()
    said = [repr(problems), str(stored.to_json()), heard.out, heard.err, caplog.text]
    assert CANARY not in "".join(said)


def test_the_command_prints_who_accepted_a_test_message(
    project: Project, opened: Callable[..., Inbox]
) -> None:
    none = project.exporter("alert-test")
    assert (none.code, "EXPORTER_ALERT_URLS is empty" in none.stderr) == (1, True)
    well = opened()
    project.set(EXPORTER_ALERT_URLS=f"{well.url} odd://{CANARY}")
    tried = project.exporter("alert-test")
    assert tried.stdout.splitlines() == [
        "receiver 1 (JSON)  accepted the message",
        "receiver 2  is not a valid Apprise URL",
        "1 of 2 receivers accepted the message.",
    ]
    assert tried.code == 1
    assert well.titles == ["test"]
    assert CANARY not in tried.stderr
    project.set(EXPORTER_ALERT_URLS=well.url)
    assert project.exporter("alert-test").code == 0


def test_links_lead_to_the_port_of_make_dev(
    project: Project, opened: Callable[..., Inbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / ".env.example", project.path / ".env")
    dry_run = subprocess.run(
        ["make", "--dry-run", "dev", "PORT=3456"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "exporter serve --daemon --port 3456" in dry_run.stdout
    monkeypatch.setenv("EXPORTER_UI_URL", "")
    lead_links_to("http://127.0.0.1:3456")  # as `exporter serve` does for its processes
    address = {"EXPORTER_UI_URL": os.environ["EXPORTER_UI_URL"]}
    received = opened()
    project.set(DAGSTER_HOME=str(project.path), EXPORTER_ALERT_URLS=received.url)
    assert project.exporter("alert-test", **address).code == 0
    assert "http://127.0.0.1:3456" in received.posts[0]["message"]
    project.set(EXPORTER_UI_URL="https://dagster.example.org")
    assert project.exporter("alert-test", **address).code == 0
    assert "https://dagster.example.org" in received.posts[1]["message"], ".env wins"
