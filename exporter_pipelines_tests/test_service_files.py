"""Downloads: bytes, ranges, conditions, archives, rejected rows; what is refused."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from exporter_pipelines import api
from exporter_pipelines.contracts.left_out_days import headers_of, read_headers
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.errors import DayHeldError
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.api_clients import asynchronous, client_of
from exporter_pipelines_tests.support.backends import ANOMALIES, IPS, LOGS, Backend, fresh_database
from exporter_pipelines_tests.support.published_days import open_descriptors
from exporter_pipelines_tests.support.reading_service import reading_service

DAY, EMPTY, LAST, MISSING = "2026-11-01", "2026-11-02", "2026-11-03", "2026-11-05"
DAYS = "/api/v1/datasets/logs/days"
ROWS = "/api/v1/datasets/logs/rows"


@pytest.fixture(scope="module")
def source(postgres_url: str) -> Iterator[Backend]:
    """Two days with rows, one of them with two rows that are rejected, and an empty one."""
    with fresh_database(postgres_url) as backend:
        backend.run(";".join((LOGS, ANOMALIES, IPS)))
        backend.add_logs(DAY, 400)
        backend.add_logs(DAY, 2, first_id=900, level="odd")
        backend.add_logs(LAST, 300, first_id=1000)
        yield backend


@pytest.fixture(scope="module")
def service(source: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """A service with three published days of `logs` and one of `logs_parquet`."""
    with reading_service(tmp_path_factory.mktemp("service"), source.url) as found:
        assert len([*api.export_days("logs", DAY, LAST)]) == 3
        api.export_day("logs_parquet", DAY)
        yield found


@pytest.fixture
def viewer(service: FastAPI) -> TestClient:
    return client_of(service, "viewer")


def context_of(service: FastAPI) -> ServiceContext:
    context: ServiceContext = service.state.context
    return context


def store_of(service: FastAPI) -> LocalStore:
    return context_of(service).store


def manifest_of(service: FastAPI, day: str = DAY) -> Manifest:
    content = store_of(service).read_manifest("logs", day)
    assert content
    return Manifest.from_json(content)


def file_url(service: FastAPI, day: str = DAY) -> str:
    return f"{DAYS}/{day}/files/{manifest_of(service, day).files[0].path}"


def test_a_file_arrives_as_it_is_published(service: FastAPI, viewer: TestClient) -> None:
    [file] = manifest_of(service).files
    answer = viewer.get(file_url(service))
    digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == file.sha256
    assert answer.headers["etag"] == f'"{file.sha256}"'
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["content-length"] == str(file.size_bytes)
    assert answer.headers["content-type"] == "application/gzip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{file.path}"'
    assert len(gzip.decompress(answer.content).splitlines()) == 400


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=10-", 10, None), ("bytes=-7", -7, None),
     ("bytes=5-999999999", 5, None)],
)  # fmt: skip
def test_a_range_of_bytes(
    service: FastAPI, viewer: TestClient, asked: str, start: int, end: int | None
) -> None:
    whole = viewer.get(file_url(service)).content
    answer = viewer.get(file_url(service), headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == whole[start:end]
    first = start % len(whole)
    last = first + len(answer.content) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"


@pytest.mark.parametrize(
    "ignored", ["bytes=0-1,5-6", "bytes=9-3", "rows=0-1", "bytes=a-b", "bytes=--1", "x"]
)
def test_what_is_not_one_range_is_ignored(
    service: FastAPI, viewer: TestClient, ignored: str
) -> None:
    answer = viewer.get(file_url(service), headers={"Range": ignored})
    assert answer.status_code == 200
    assert len(answer.content) == manifest_of(service).file_size


def test_a_range_after_the_end_is_refused(service: FastAPI, viewer: TestClient) -> None:
    answer = viewer.get(file_url(service), headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{manifest_of(service).file_size}"
    assert answer.headers["content-type"] == "application/problem+json"


def test_conditions(service: FastAPI, viewer: TestClient) -> None:
    url, [file] = file_url(service), manifest_of(service).files
    etag = f'"{file.sha256}"'

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return viewer.get(url, headers=named).status_code

    assert status(If_None_Match=etag) == 304
    assert status(If_None_Match=f'"other", W/{etag}') == 304
    assert status(If_None_Match="*") == 304
    assert status(If_None_Match='"other"') == 200
    assert status(Range="bytes=0-1", If_Range=etag) == 206
    assert status(Range="bytes=0-1", If_Range='"other"') == 200
    assert status(Range="bytes=0-1", If_Range="Sat, 28 Nov 2026 00:00:00 GMT") == 200


def test_a_head_request_has_no_body(service: FastAPI, viewer: TestClient) -> None:
    answer = viewer.head(file_url(service))
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-length"] == str(manifest_of(service).file_size)


def test_the_manifest(service: FastAPI, viewer: TestClient) -> None:
    answer = viewer.get(f"{DAYS}/{DAY}/manifest")
    assert answer.content == store_of(service).read_manifest("logs", DAY)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["etag"] == f'"{store_of(service).generation("logs", DAY)}"'


def test_card_and_schema(service: FastAPI, viewer: TestClient) -> None:
    card = viewer.get("/api/v1/datasets/logs/card")
    assert card.text == (store_of(service).home("logs") / "README.md").read_text()
    assert card.headers["content-type"] == "text/markdown; charset=utf-8"
    assert viewer.get("/api/v1/datasets/logs/schema").json()["title"] == "logs"
    assert viewer.get("/api/v1/datasets/ips/card").status_code == 404


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        (f"{DAYS}/{MISSING}/manifest", 404, "is not published"),
        (f"{DAYS}/{DAY}/files/other.jsonl.gz", 404, "there are: logs-2026-11-01.jsonl.gz"),
        (f"{DAYS}/{DAY}/files/_manifest.json", 404, "does not exist"),
        (f"{DAYS}/{DAY}/files/..%2f..%2f..%2fetc%2fpasswd", 404, ""),
        (f"{DAYS}/{DAY}/files/..", 404, ""),
        (f"{DAYS}/{DAY}/files/%00", 422, "/name"),
        (f"{DAYS}/2026-13-01/manifest", 422, "/day"),
        (f"{DAYS}/20261101/manifest", 422, "Write a day as YYYY-MM-DD."),
        (f"{DAYS}/0/manifest", 422, "Write a day as YYYY-MM-DD."),
        ("/api/v1/datasets/other/days", 404, "anomalies, ips, logs"),
        ("/api/v1/datasets/..%2fexports/card", 404, ""),
        ("/api/v1/datasets/.ledger/card", 422, "/dataset"),
    ],
)
def test_what_does_not_exist(viewer: TestClient, url: str, status: int, words: str) -> None:
    answer = viewer.get(url)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


def test_a_range_of_days_is_one_gzip_file(service: FastAPI, viewer: TestClient) -> None:
    answer = viewer.get(ROWS, params={"start_date": DAY, "end_date": LAST})
    assert answer.status_code == 200
    assert len(gzip.decompress(answer.content).splitlines()) == 700
    assert answer.headers["content-length"] == str(len(answer.content))
    name = f"logs-{DAY}_{LAST}.jsonl.gz"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    half = len(answer.content) // 2
    rest = viewer.get(
        ROWS,
        params={"start_date": DAY, "end_date": LAST},
        headers={"Range": f"bytes={half}-", "If-Range": answer.headers["etag"]},
    )
    assert rest.status_code == 206
    assert rest.content == answer.content[half:]


def test_a_range_of_days_as_an_archive(service: FastAPI, viewer: TestClient) -> None:
    answer = viewer.get(ROWS, params={"start_date": DAY, "end_date": LAST, "as": "tar"})
    assert answer.headers["content-length"] == str(len(answer.content))
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        content = {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    root = store_of(service).root
    assert content == {name: (root / name).read_bytes() for name in content}
    assert len(content) == 5  # the empty day has only a manifest


def test_parquet_comes_as_an_archive_only(viewer: TestClient) -> None:
    url, days = "/api/v1/datasets/logs_parquet/rows", {"start_date": DAY, "end_date": DAY}
    refused = viewer.get(url, params=days)
    assert refused.status_code == 409
    assert "as=tar" in refused.json()["detail"]
    assert viewer.get(url, params={**days, "as": "tar"}).status_code == 200


def test_missing_days_of_a_range(service: FastAPI, viewer: TestClient, source: Backend) -> None:
    source.add_logs("2026-11-04", 100, first_id=5000, level="odd")
    with pytest.raises(DayHeldError):
        api.export_day("logs", "2026-11-04")
    days = {"start_date": DAY, "end_date": "2026-12-31"}
    refused = viewer.get(ROWS, params=days)
    assert refused.status_code == 409
    assert refused.json()["detail"] == (
        "logs is not published on 58 of 61 days: 2026-11-04 (held); 2026-11-05 to 2026-12-31 "
        "(not exported). Export these days, or leave them out with missing=skip. An export with "
        "--days-with-rows publishes no day without rows."
    )
    assert refused.json()["type"].endswith("#a-day-is-not-published")
    left = viewer.get(ROWS, params={**days, "missing": "skip"})
    assert left.status_code == 200
    assert len(gzip.decompress(left.content).splitlines()) == 700
    assert left.headers["missing-days-count"] == "58"
    assert left.headers["missing-days"] == "2026-11-04/2026-12-31"
    again = viewer.get(
        ROWS, params={**days, "missing": "skip"}, headers={"If-None-Match": left.headers["etag"]}
    )
    assert (again.status_code, again.headers["missing-days-count"]) == (304, "58")
    complete = viewer.get(ROWS, params={"start_date": DAY, "end_date": DAY, "missing": "skip"})
    assert complete.headers["missing-days-count"] == "0"
    assert "missing-days" not in complete.headers


def test_the_header_with_missing_days_is_bounded() -> None:
    every = [str(dt.date(2026, 1, 1) + dt.timedelta(n)) for n in range(366)]
    for absent in ([], every[3:4], every[:2] + every[5:9] + every[20:21], every):
        assert read_headers(headers_of(absent)) == (tuple(absent), len(absent))
    pairs = [day for number, day in enumerate(every) if number % 3]
    headers = headers_of(pairs)
    assert len(headers["Missing-Days"]) < 2_400
    assert read_headers(headers) == (tuple(pairs[:200]), 244)
    for odd in ("2026-13-01", "x", "2026-11-02/2026-11-01", "2026-11-01/2026-11-99"):
        assert read_headers({"Missing-Days": odd, "Missing-Days-Count": "-1"}) == ((), None)


def test_a_day_that_is_published_without_rows_is_not_missing(viewer: TestClient) -> None:
    answer = viewer.get(ROWS, params={"start_date": EMPTY, "end_date": EMPTY})
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_range_has_limits(viewer: TestClient) -> None:
    for first, last in ((DAY, "2027-11-02"), (LAST, DAY)):
        answer = viewer.get(ROWS, params={"start_date": first, "end_date": last})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/end_date"


def test_two_ranges_per_user_at_a_time(service: FastAPI, viewer: TestClient) -> None:
    url, days = ROWS, {"start_date": DAY, "end_date": LAST}
    streams = context_of(service).range_streams
    with streams.place("alice"), streams.place("alice"):
        refused = viewer.get(url, params=days)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "10"
        other = client_of(service, "viewer", name="bob")
        assert other.get(url, params=days).status_code == 200
    assert viewer.get(url, params=days).status_code == 200
    assert viewer.get(url, params=days, headers={"If-None-Match": "*"}).status_code == 304
    assert streams.taken == 0


def test_rejected_rows_need_a_role_of_their_own(service: FastAPI) -> None:
    url, quarantine = f"{DAYS}/{DAY}/quarantine", manifest_of(service).quarantine
    assert quarantine
    for roles in (("viewer",), ("exporter",), ("operator",)):
        refused = client_of(service, *roles).get(url)  # type: ignore[arg-type]
        assert refused.status_code == 403, roles
        assert refused.json()["type"].endswith("#a-role-is-missing")
    answer = client_of(service, "quarantine").get(url)
    assert hashlib.sha256(answer.content).hexdigest() == quarantine.sha256
    rejected = [json.loads(line) for line in gzip.decompress(answer.content).splitlines()]
    assert len(rejected) == 2
    named = client_of(service, "quarantine").get(url, params={"name": Path(quarantine.path).name})
    assert named.content == answer.content
    for name in ("other", "../../data/x", "."):
        assert client_of(service, "quarantine").get(url, params={"name": name}).status_code == 404
    assert client_of(service, "quarantine").get(f"{DAYS}/{LAST}/quarantine").status_code == 404
    strange = store_of(service).quarantine_folder("logs", DAY) / "evil\n.txt"
    strange.write_text("x")
    try:
        answer = client_of(service, "quarantine").get(url, params={"name": strange.name})
    finally:
        strange.unlink()
    assert (answer.status_code, answer.content) == (200, b"x")
    assert all(value.isprintable() for value in answer.headers.values()), answer.headers


def test_a_symbolic_link_is_not_followed(service: FastAPI, tmp_path: Path) -> None:
    folder = store_of(service).day_folder("logs", EMPTY)
    (tmp_path / "secret").write_text("secret")
    aside = folder.rename(folder.with_name("aside"))
    folder.symlink_to(tmp_path)
    try:
        answer = client_of(service, "viewer").get(f"{DAYS}/{EMPTY}/manifest")
    finally:
        folder.unlink()
        aside.rename(folder)
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("#the-output-folder-cannot-be-written")


def test_a_file_that_was_changed_is_not_sent(service: FastAPI, viewer: TestClient) -> None:
    [file] = manifest_of(service, LAST).files
    path = store_of(service).day_folder("logs", LAST) / file.path
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    try:
        answer = viewer.get(file_url(service, LAST))
    finally:
        path.write_bytes(content)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("#a-published-day-is-damaged")


def test_no_file_stays_open(service: FastAPI, viewer: TestClient) -> None:
    def ask_all() -> None:
        days: dict[str, Any] = {"start_date": DAY, "end_date": LAST}
        viewer.get(file_url(service))
        viewer.head(file_url(service))
        viewer.get(file_url(service), headers={"If-None-Match": "*"})
        viewer.get(file_url(service), headers={"Range": "bytes=99999999-"})
        viewer.get(ROWS, params=days)
        viewer.get(ROWS, params={**days, "as": "tar"})
        viewer.get(ROWS, params={**days, "end_date": MISSING})
        client_of(service, "quarantine").get(f"{DAYS}/{DAY}/quarantine")

    ask_all()
    before = len(open_descriptors())
    for _ in range(5):
        ask_all()
    assert len(open_descriptors()) <= before


def test_days_that_are_published_during_downloads(service: FastAPI, source: Backend) -> None:
    """Each body matches its ETag, and each archive its manifests."""
    stop = threading.Event()
    published = 0

    def publish() -> None:
        nonlocal published
        while not stop.is_set():
            source.run("UPDATE logs SET message = %s WHERE id < 50", [f"version {published}"])
            api.export_day("logs", DAY)
            published += 1

    async def download(count: int) -> set[str]:
        seen = set[str]()
        async with asynchronous(service, "viewer") as client:
            while count > 0 or published < 3:
                count -= 1
                answer = await client.get(file_url(service))
                assert answer.status_code == 200
                sha256 = hashlib.sha256(answer.content).hexdigest()
                assert answer.headers["etag"] == f'"{sha256}"'
                seen.add(sha256)
        return seen

    async def downloads() -> set[str]:
        return set().union(*await asyncio.gather(*(download(125) for _ in range(8))))

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        versions = asyncio.run(downloads())
    finally:
        stop.set()
        publisher.join()
    assert len(versions) >= 2
