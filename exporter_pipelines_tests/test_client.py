"""The client: what it sends to whom, what it repeats, what it raises, what it leaves on disk."""

from __future__ import annotations

import hashlib
import io
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from exporter_pipelines.client import (
    Client,
    DownloadError,
    InvalidRequestError,
    RequestRefusedError,
    ServiceFailedError,
    ServiceUnreachableError,
    TokenRefusedError,
    TooManyRequestsError,
    UnexpectedAnswerError,
    UnknownResourceError,
    waiting,
)
from exporter_pipelines.client.connection import Connection
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.errors import ConfigurationError, ExporterError
from exporter_pipelines.service.models import Dataset, Export, ExportRequest
from exporter_pipelines_tests.support.scripted_service import (
    CUT,
    Asked,
    Reply,
    ScriptedService,
    scripted_service,
)

TOKEN = "canary-0123456789abcdef"
DAY = "2026-11-01"
ME = Reply(body={"name": "alice", "roles": ["viewer"], "via": "bearer", "read_only": False})
PROBLEM: dict[str, Any] = {"type": "/docs/failures#x", "title": "t", "status": 0, "detail": "No."}


def export_document(**changes: Any) -> dict[str, Any]:
    """An export as the service sends it."""
    document = {
        "id": "e1", "title": None, "status": "completed", "datasets": ["logs"],
        "start_date": DAY, "end_date": DAY, "days": {"published": 1}, "rows_exported": 10,
        "rows_rejected": 0, "size_bytes": 100, "created_at": "2026-11-02T01:00:00Z",
        "started_at": "2026-11-02T01:00:01Z", "ended_at": "2026-11-02T01:00:03Z", "user": "alice",
        "source": "rest", "links": {"self": "/a", "events": "/b", "dagster": "/c"},
        "progress_pct": 100.0, "rows_per_s": None, "eta_s": None, "current_batch": None,
        "total_batches_estimate": None, "current_dataset": None, "current_day": None,
        "results": [], "errors": [], "runs": [],
    }  # fmt: skip
    return Export.model_validate({**document, **changes}).model_dump(mode="json")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses take no time; returns them."""
    pauses: list[float] = []
    monkeypatch.setattr("exporter_pipelines.client.connection.sleep", pauses.append)
    return pauses


def test_the_client_imports_neither_dagster_nor_pandas_nor_arrow() -> None:
    code = (
        "import sys, exporter_pipelines.client; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"dagster", "pandas", "pyarrow", "numpy", "fastapi", "starlette", "psycopg", "pandera"}
    assert not heavy & set(done.stdout.split())


def test_a_token_is_sent_as_a_bearer_token_and_is_in_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted_service(ME) as service, Client(service.url, f" {TOKEN}\n") as client:
        assert client.me().name == "alice"
        assert service.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
        assert service.asked[0].path == "/api/v1/me"
        assert TOKEN not in repr(client)
    assert "api/v1/me" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"https://exports.example.org/?token={TOKEN}", "has a password or token in it"),
        (f"https://alice:{TOKEN}@exports.example.org", "has a password or token in it"),
        ("https://user@exports.example.org", "has a password or token in it"),
        ("https://exports.example.org/?token=another", "has a query or a fragment"),
        ("https://exports.example.org/#x", "has a query or a fragment"),
        ("http://exports.example.org", "over an unencrypted connection"),
        ("http://127.1", "over an unencrypted connection"),
        ("exports.example.org", "is not a URL with a host"),
        ("ftp://exports.example.org", "is not a URL with a host"),
        ("https://", "is not a URL with a host"),
        ("https://h:99999", "is not a URL with a host"),
        ("https://h\\@evil.example.org", "is not a URL with a host"),
        ("https://h\r\nHost: evil", "is not a URL with a host"),
        ("https://a..b", "is not a URL with a host"),
        (f"https://{'a' * 64}.example.org", "is not a URL with a host"),
        ("https://xn--zzzz--.example.org", "is not a URL with a host"),
        ("https://127.0.0.1%00.example.org", "is not a URL with a host"),
    ],
)
def test_an_address_that_would_give_the_token_away_is_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)) as refused:
        Client(url, TOKEN)
    assert TOKEN not in str(refused.value)
    assert "another" not in str(refused.value)


def test_a_token_that_no_header_may_have_is_refused_and_not_shown() -> None:
    for token in (f"{TOKEN}\nX-Evil: 1", f"{TOKEN} x", f"{TOKEN}ü"):
        with pytest.raises(ConfigurationError, match="Copy it again") as refused:
            Client("https://exports.example.org", token)
        assert TOKEN not in str(refused.value)


def test_plain_http_is_for_this_machine_and_for_those_who_allow_it() -> None:
    for url in ("http://localhost:3000", "http://127.0.0.1", "http://[::1]:3000/exporter/"):
        Client(url, TOKEN).close()
    Client("http://exports.example.org", None).close()
    Client("http://exports.example.org", TOKEN, allow_http=True).close()


def test_no_redirect_is_followed() -> None:
    moved = "http://localhost:1/other?with=query"
    with scripted_service(Reply(307, headers={"Location": moved})) as service:
        with Client(service.url, TOKEN) as client:
            for ask in (client.me, lambda: client.export(["logs"], DAY)):
                with pytest.raises(UnexpectedAnswerError, match="redirects to") as refused:
                    ask()
                assert "with=query" not in str(refused.value)
        assert len(service.asked) == 2


def test_a_proxy_of_the_environment_gets_nothing_that_is_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted_service(ME) as proxy, scripted_service(ME) as service:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        with Client(service.url, TOKEN) as client:
            client.me()
        assert (len(proxy.asked), len(service.asked)) == (0, 1)


def test_reading_is_repeated_after_a_lost_connection(quick: list[float]) -> None:
    half = Reply(body=ME.body, cut_after=5)
    with scripted_service(CUT, Reply(502), ME) as service, Client(service.url) as client:
        assert client.me().name == "alice"
        assert len(service.asked) == 3
    assert quick == [0.5, 1.0]
    with scripted_service(half, ME) as service, Client(service.url) as client:
        assert client.me().name == "alice"
    lost = pytest.raises(ServiceUnreachableError, match="cannot be reached")
    with scripted_service(half) as service, Client(service.url) as client, lost:
        client.me()


def test_a_start_is_repeated_with_the_same_key_and_each_start_has_another(
    quick: list[float],
) -> None:
    answers = (CUT, Reply(202, export_document()))
    with scripted_service(*answers) as service, Client(service.url) as client:
        started = client.export(["logs"], DAY, only=["held"])
        client.export(["logs"], DAY, idempotency_key="mine")
        started.rerun()
    keys = [asked.headers["Idempotency-Key"] for asked in service.asked]
    assert keys[0] == keys[1]
    assert keys[2] == "mine"
    assert len(set(keys)) == 3
    sent = ExportRequest.model_validate_json(service.asked[0].body)
    assert (sent.datasets, str(sent.start_date), sent.only) == (["logs"], DAY, ["held"])


def test_a_cancel_is_sent_once(quick: list[float]) -> None:
    with scripted_service(Reply(200, export_document()), CUT) as service:
        with Client(service.url) as client:
            export = client.get("e1")
            with pytest.raises(ServiceUnreachableError):
                export.cancel()
        assert [asked.method for asked in service.asked] == ["GET", "POST"]


def test_retry_after_is_respected_as_seconds_and_as_a_date(quick: list[float]) -> None:
    past = "Sat, 01 Nov 2025 00:00:00 GMT"
    busy = {**PROBLEM, "detail": "Too many exports."}
    for after, paused in (("3", 3.0), ("0", 0.5), (past, 0.5)):
        quick.clear()
        first = Reply(429, busy, {"Retry-After": after})
        with scripted_service(first, ME) as service, Client(service.url) as client:
            client.me()
        assert quick == [paused]
    with scripted_service(Reply(429, busy, {"Retry-After": "3600"})) as service:
        with Client(service.url) as client, pytest.raises(TooManyRequestsError) as refused:
            client.export(["logs"], DAY)
        assert len(service.asked) == 1
    assert (refused.value.status, refused.value.retry_after_s) == (429, 3600.0)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, TokenRefusedError),
        (404, UnknownResourceError),
        (418, RequestRefusedError),
        (422, InvalidRequestError),
        (500, ServiceFailedError),
    ],
)
def test_a_refusal_carries_the_problem_document(
    status: int, kind: type[RequestRefusedError]
) -> None:
    errors = [{"pointer": "/end_date", "message": "is before\x1b[2J the first"}]
    reply = Reply(status, {**PROBLEM, "detail": "Not so.", "errors": errors})
    refuses = pytest.raises(kind)
    with scripted_service(reply) as service, Client(service.url) as client, refuses as refused:
        client.export(["logs"], DAY)
    problem = refused.value.problem
    assert type(refused.value) is kind
    assert (problem.status, problem.type) == (status, f"{service.url}/docs/failures#x")
    assert problem.errors == {"/end_date": "is before\x1b[2J the first"}
    assert str(refused.value) == "Not so. /end_date: is before\\x1b[2J the first"


def test_what_is_no_service_is_named() -> None:
    page = Reply(200, b"<html>", {"Content-Type": "text/html"})
    other = Reply(200, {"status": "ok"})
    refused = Reply(404, b"<html>", {"Content-Type": "text/html"})
    for reply, says in (
        (page, "does not fit Me"),
        (other, "does not fit Me: name: Field required"),
        (refused, "answers 404 Not Found. The answer is not that of the service."),
    ):
        for end in ("/x/", "/x/api/v1"):
            with scripted_service(reply) as service, Client(service.url + end) as client:
                with pytest.raises(ExporterError, match=says):
                    client.me()
                assert service.asked[0].path == "/x/api/v1/me"


def test_a_service_that_is_away_is_named_without_the_token(quick: list[float]) -> None:
    with scripted_service(ME) as service:
        url = service.url
    with Client(url, TOKEN) as client, pytest.raises(ServiceUnreachableError) as away:
        client.export(["logs"], DAY)
    assert url in str(away.value)
    assert TOKEN not in str(away.value)
    assert len(quick) == 3, "it was never sent, so it is tried again"


def test_wait_shows_the_progress_and_survives_a_restart_of_the_service(
    quick: list[float],
) -> None:
    steps = [
        Reply(200, export_document(status="running", progress_pct=pct, ended_at=None))
        for pct in (10.0, 60.0)
    ]
    replies = (Reply(202, export_document(status="pending")), steps[0], CUT, CUT, CUT, steps[1],
               Reply(200, export_document(status="held")))  # fmt: skip
    seen: list[float] = []
    with scripted_service(*replies) as service, Client(service.url) as client:
        ended = client.export(["logs"], DAY).wait(
            lambda now: seen.append(now.progress_pct), every_s=0.01
        )
    assert ended.status == "held"
    assert seen == [10.0, 60.0, 100.0]


def test_wait_without_progress_asks_the_service_to_wait_and_gives_up_when_told_to() -> None:
    running = Reply(200, export_document(status="running"))
    with scripted_service(running) as service, Client(service.url) as client:
        with pytest.raises(TimeoutError, match="export e1 is running after 2 s"):
            client.get("e1").wait(timeout_s=2)
        assert service.asked[1].headers["Prefer"] == "wait=2"
    assert {"completed", "held", "failed", "cancelled"} == waiting.ENDED


def test_pages_are_read_as_they_are_needed() -> None:
    summary = {
        key: value
        for key, value in export_document().items()
        if key in ("id", "title", "status", "datasets", "start_date", "end_date", "days",
                   "rows_exported", "rows_rejected", "size_bytes", "created_at", "started_at",
                   "ended_at", "user", "source", "links")
    }  # fmt: skip
    first = Reply(200, {"items": [summary, summary], "next_cursor": "c1"})
    last = Reply(200, {"items": [summary], "next_cursor": None})
    with scripted_service(first, last) as service, Client(service.url) as client:
        found = client.history(dataset="logs", first=DAY, page_size=2)
        next(found)
        assert len(service.asked) == 1
        assert len(list(found)) == 2
    assert service.asked[0].path == f"/api/v1/exports?dataset=logs&from={DAY}&limit=2"
    assert service.asked[1].path.endswith("&cursor=c1")


def test_names_cannot_leave_their_place_in_a_path() -> None:
    with scripted_service(Reply(404, PROBLEM)) as service, Client(service.url) as client:
        for ask in (lambda: client.dataset("a/b?c"), lambda: client.get("x/y#z")):
            with pytest.raises(UnknownResourceError):
                ask()
    paths = [asked.path for asked in service.asked]
    assert paths == ["/api/v1/datasets/a%2Fb%3Fc", "/api/v1/exports/x%2Fy%23z"]


DATA = bytes(range(256)) * 2000
SHA = hashlib.sha256(DATA).hexdigest()
"""A file that is larger than what arrives at once."""


def sealed_manifest(name: str = "logs.jsonl", data: bytes = DATA, **changes: Any) -> bytes:
    """The bytes of a manifest with one file."""
    from exporter_pipelines.contracts.manifest import sealed_json

    counts = {"read": 1, "exported": 1, "rejected": 0, "filtered": 0}
    file = {
        "path": name, "format": "jsonl", "compression": "none", "record_count": 1,
        "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
        "min_timestamp": None, "max_timestamp": None,
    }  # fmt: skip
    return sealed_json({
        "manifest_version": 1, "dataset": "logs", "partition": DAY, "status": "published",
        "window": {"start": f"{DAY}T00:00:00Z", "end": "2026-11-02T00:00:00Z", "timezone": "UTC"},
        "export_timestamp": "2026-11-02T01:00:00Z", "data_version": "v", "record_count": 1,
        "file_size": len(data), "files": [file], "counts": counts, "quarantine": None,
        "data_quality_metrics": {}, "validation": {"level": "strict", "rules": []},
        "transformations": [], "schema": [], "export_config": {},
        "source": {"kind": "sqlite", "table": "t", "snapshot": "s", "server_version": "3"},
        "run": {"run_id": "r", "code_version": "1", "started_at": "2026-11-02T01:00:00Z",
                "duration_s": 1}, **changes,
    })  # fmt: skip


class PublishedDay:
    """Answers as the service does for one published day; `cuts` shorten the answers in turn."""

    def __init__(self, *cuts: int | None, name: str = "logs.jsonl", data: bytes = DATA) -> None:
        self.cuts, self.data, self.manifest = list(cuts), data, sealed_manifest(name)
        self.ranges: list[str | None] = []

    def __call__(self, asked: Asked) -> Reply:
        """The reply to a request."""
        if asked.path.endswith("/manifest"):
            return Reply(200, self.manifest)
        if "/files/" not in asked.path:
            return Reply(200, DATASET)
        self.ranges.append(asked.headers["Range"])
        start = int(re.findall(r"\d+", asked.headers["Range"] or "0")[0])
        etag = f'"{hashlib.sha256(self.data).hexdigest()}"'
        headers = {"ETag": etag}
        if start and asked.headers["If-Range"] == etag:
            headers["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        body = self.data[start if "Content-Range" in headers else 0 :]
        cut = self.cuts.pop(0) if self.cuts else None
        return Reply(206 if "Content-Range" in headers else 200, body, headers, cut)


DATASET = Dataset(
    name="logs", first_day=DAY, last_day=None, published_days=1  # type: ignore[arg-type]
).model_dump(mode="json")  # fmt: skip


@pytest.fixture
def service() -> Any:
    with scripted_service(Reply()) as scripted:
        yield scripted


def download(service: ScriptedService, folder: Path, **options: Any) -> Any:
    """Download the day."""
    with Client(service.url) as client:
        [day] = client.download("logs", DAY, None, folder, **options)
    return day


def test_a_download_is_resumed_and_appears_when_it_is_complete(
    service: ScriptedService, tmp_path: Path, quick: list[float]
) -> None:
    service.answer = answer = PublishedDay(100_000, 1_000)
    arrived: list[int] = []
    day = download(service, tmp_path, on_progress=arrived.append)
    assert answer.ranges == [None, "bytes=100000-", "bytes=101000-"]
    assert sum(arrived) == len(DATA)
    folder = tmp_path / "logs/data" / f"date={DAY}"
    assert (day.folder, day.files, day.was_there) == (folder, (folder / "logs.jsonl",), False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "logs.jsonl": DATA, MANIFEST_NAME: answer.manifest,
    }  # fmt: skip
    assert download(service, tmp_path).was_there
    assert len(answer.ranges) == 3, "nothing is downloaded twice"


def test_an_interrupted_download_leaves_a_hidden_part_that_the_next_one_continues(
    service: ScriptedService, tmp_path: Path, quick: list[float]
) -> None:
    service.answer = PublishedDay(1_000, *[0] * 50)
    with pytest.raises(ServiceUnreachableError):
        download(service, tmp_path)
    folder = tmp_path / "logs/data" / f"date={DAY}"
    [part] = folder.iterdir()
    assert part.name == f".logs.jsonl.{SHA[:16]}.part"
    assert part.stat().st_size == 1_000
    service.answer = answer = PublishedDay()
    assert download(service, tmp_path).files[0].read_bytes() == DATA
    assert answer.ranges == ["bytes=1000-"]


@pytest.mark.parametrize("part", [b"x" * 1_000, b"x" * len(DATA), b"x" * (len(DATA) + 1)])
def test_a_damaged_part_is_begun_again(
    service: ScriptedService, tmp_path: Path, part: bytes
) -> None:
    folder = tmp_path / "logs/data" / f"date={DAY}"
    folder.mkdir(parents=True)
    (folder / f".logs.jsonl.{SHA[:16]}.part").write_bytes(part)
    service.answer = PublishedDay()
    assert download(service, tmp_path).files[0].read_bytes() == DATA
    assert {path.name for path in folder.iterdir()} == {"logs.jsonl", MANIFEST_NAME}


def test_another_content_than_the_manifest_says_gets_no_name(
    service: ScriptedService, tmp_path: Path
) -> None:
    answer = PublishedDay()

    def damaged(asked: Asked) -> Reply:
        reply = answer(asked)
        if "/files/" not in asked.path:
            return reply
        return Reply(200, b"x" * len(DATA), {"ETag": f'"{SHA}"'})

    service.answer = damaged
    with pytest.raises(DownloadError, match="is not the published file"):
        download(service, tmp_path)
    assert not list((tmp_path / "logs/data" / f"date={DAY}").iterdir())


def test_a_day_that_is_published_again_meanwhile_is_taken_as_it_is_now(
    service: ScriptedService, tmp_path: Path
) -> None:
    service.answer = PublishedDay()
    download(service, tmp_path)
    answer = PublishedDay(data=b"new")
    old, new = sealed_manifest(data=b"between"), sealed_manifest("other.jsonl", b"new")
    answer.manifest = old

    def republished(asked: Asked) -> Reply:
        reply = answer(asked)
        if asked.path.endswith("/manifest"):
            answer.manifest = new
        return reply

    service.answer = republished
    day = download(service, tmp_path)
    assert {path.name: path.read_bytes() for path in day.folder.iterdir()} == {
        "other.jsonl": b"new", MANIFEST_NAME: new,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["../x", "/etc/x", ".x", "a\\b", MANIFEST_NAME, "a\nb"])
def test_the_service_cannot_choose_where_a_file_is_written(
    service: ScriptedService, tmp_path: Path, name: str
) -> None:
    service.answer = PublishedDay(name=name)
    with pytest.raises(UnexpectedAnswerError, match="is not a plain file name"):
        download(service, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_manifest_of_another_day_is_refused(service: ScriptedService, tmp_path: Path) -> None:
    service.answer = PublishedDay()
    refused = pytest.raises(UnexpectedAnswerError, match=f"of logs {DAY} for logs 2026-11-02")
    with Client(service.url) as client, refused:
        client.download("logs", "2026-11-02", None, tmp_path)


def test_a_changed_manifest_is_refused(service: ScriptedService, tmp_path: Path) -> None:
    service.answer = answer = PublishedDay()
    answer.manifest = answer.manifest.replace(b'"data_version": "v"', b'"data_version": "w"')
    with pytest.raises(UnexpectedAnswerError, match="manifest_sha256 does not match"):
        download(service, tmp_path)


def test_a_day_that_is_not_published_fails_or_is_left_out(
    service: ScriptedService, tmp_path: Path
) -> None:
    day = PublishedDay()
    service.answer = lambda asked: Reply(404, PROBLEM) if "2026-11-02" in asked.path else day(asked)
    with Client(service.url) as client:
        with pytest.raises(UnknownResourceError):
            client.download("logs", DAY, "2026-11-02", tmp_path)
        found = client.download("logs", DAY, "2026-11-02", tmp_path, missing="skip")
    assert [each.day for each in found] == [DAY]


def test_two_downloads_of_one_file_do_not_mix(service: ScriptedService, tmp_path: Path) -> None:
    import fcntl

    folder = tmp_path / "logs/data" / f"date={DAY}"
    folder.mkdir(parents=True)
    service.answer = PublishedDay()
    with (folder / f".logs.jsonl.{SHA[:16]}.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DownloadError, match="Another process is downloading"):
            download(service, tmp_path)


def test_a_folder_that_cannot_be_written_is_named(service: ScriptedService, tmp_path: Path) -> None:
    service.answer = PublishedDay()
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(DownloadError, match=r"cannot be written: (not a directory|file exists)"):
        download(service, tmp_path)


def test_rows_are_a_file_object(service: ScriptedService) -> None:
    absent = {"Missing-Days-Count": "3", "Missing-Days": "2026-11-02, 2026-11-04/2026-11-05"}
    service.answer = lambda _: Reply(200, DATA, absent)
    with Client(service.url) as client:
        with client.open_rows("logs", DAY, "2026-11-02", missing="skip") as rows:
            assert isinstance(rows, io.BufferedReader)
            assert rows.missing_days == ("2026-11-02", "2026-11-04", "2026-11-05")
            assert rows.missing_count == 3
            assert rows.read(10) == DATA[:10]
            assert rows.read() == DATA[10:]
        service.answer = lambda _: Reply(200, DATA, cut_after=1_000)
        with client.open_rows("logs", DAY) as rows:
            assert (rows.missing_days, rows.missing_count) == ((), None)
        lost = pytest.raises(ServiceUnreachableError, match="lost within the rows")
        with lost, client.open_rows("logs", DAY) as rows:
            rows.read()
    query = f"start_date={DAY}&end_date=2026-11-02&missing=skip"
    assert service.asked[0].path == f"/api/v1/datasets/logs/rows?{query}"
    assert service.asked[0].headers["Accept-Encoding"] == "identity"


def test_another_transport_can_carry_the_requests() -> None:
    mock = httpx.MockTransport(lambda _: httpx.Response(200, json=ME.body))
    with Connection("https://h", None, timeout_s=1, allow_http=False, transport=mock) as connection:
        assert connection.request("GET", "/me").json() == ME.body
