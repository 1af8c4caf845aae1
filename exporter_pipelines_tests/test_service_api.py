"""The REST API over real exports: roles, errors, exports, `/export`, metrics, health."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from exporter_pipelines import service_settings
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.service import throttle
from exporter_pipelines.service.app import create_api, create_app
from exporter_pipelines.service.export_metadata import joint_metrics
from exporter_pipelines.service.openapi import api_routes, role_of
from exporter_pipelines.service.tokens import add_token
from exporter_pipelines_tests.support.api_clients import asynchronous, client_of
from exporter_pipelines_tests.support.backends import ANOMALIES, IPS, LOGS, Backend, fresh_database
from exporter_pipelines_tests.support.openapi_cases import document_of, failures_of
from exporter_pipelines_tests.support.service import Service, service

ONE, TWO, THREE = "2026-11-01", "2026-11-02", "2026-11-03"
EXPORTS = "/api/v1/exports"
JSON = {"content-type": "application/json"}
WITHOUT_ROLE = {
    "/healthz", "/api/v1/healthz", "/readyz", "/api/v1/readyz", "/login", "/api/v1/login",
    "/logout", "/api/v1/logout", "/login/oidc", "/login/oidc/callback",
}  # fmt: skip


@pytest.fixture(scope="module")
def source(postgres_url: str) -> Iterator[Backend]:
    """Two days of logs that can be published, and one that is held."""
    with fresh_database(postgres_url) as backend:
        backend.run(";".join((LOGS, ANOMALIES, IPS)))
        backend.add_logs(ONE, 40)
        backend.add_logs(ONE, 1, first_id=900, level="odd")
        backend.add_logs(TWO, 60, first_id=1000)
        backend.add_logs(THREE, 200, first_id=2000, level="odd")
        yield backend


@pytest.fixture(scope="module")
def running(source: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service over that backend; its runs are executed by `executing`."""
    folder = tmp_path_factory.mktemp("api")
    settings = {
        "EXPORTER_START_DATE": ONE,
        "EXPORTER_END_DATE": "2026-11-15",
        "EXPORTER_TIMEZONE": "UTC",
        "EXPORTER_SOURCE_URL": source.url,
        "EXPORTER_OUTPUT_URL": str(folder / "exports"),
        "EXPORTER_TOKENS_FILE": str(folder / "tokens"),
        "EXPORTER_AUDIT_FILE": str(folder / "audit.jsonl"),
    }
    with service(folder / "home", settings) as found:
        yield found


@pytest.fixture(scope="module")
def api(running: Service) -> FastAPI:
    return create_api(running.context)


@pytest.fixture
def exporter(api: FastAPI) -> TestClient:
    return client_of(api, "exporter")


@pytest.fixture
def viewer(api: FastAPI) -> TestClient:
    return client_of(api, "viewer")


@contextmanager
def executing(running: Service) -> Iterator[None]:
    """Runs of the queue are executed meanwhile, as by the daemon."""
    stop = threading.Event()

    def execute() -> None:
        while not stop.wait(0.1):
            running.launch()

    thread = threading.Thread(target=execute)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def body(first: str = ONE, last: str = TWO, **more: Any) -> dict[str, Any]:
    return {"datasets": ["logs"], "start_date": first, "end_date": last, **more}


@pytest.fixture(scope="module")
def ended(running: Service, api: FastAPI) -> dict[str, Any]:
    """An export of three days, the last of which is held."""
    client = client_of(api, "exporter")
    started = client.post(EXPORTS, json=body(ONE, THREE, title="three days"))
    assert started.status_code == 202, started.text
    running.work_off()
    found: dict[str, Any] = client.get(started.headers["location"]).json()
    return found


# Roles


def test_each_route_names_its_role(api: FastAPI) -> None:
    routes = [*api_routes(api)]
    assert len(routes) > 25
    open_to_all = {route.path for route in routes if role_of(route) is None}
    assert open_to_all <= WITHOUT_ROLE
    # A route that takes every method answers that there is no such path.
    changing = {route.path: role_of(route) for route in routes if route.methods == {"POST"}}
    assert changing[EXPORTS] == changing["/export/{dataset}"] == "exporter"
    for path, role in changing.items():
        if not path.endswith("/preview") and path not in WITHOUT_ROLE:
            assert role in ("exporter", "operator"), path


def test_without_credentials_only_health_answers(api: FastAPI) -> None:
    nobody = client_of(api)
    for route in api_routes(api):
        if route.path in WITHOUT_ROLE:
            continue
        path = re.sub(r"\{day\}", ONE, route.path)
        path = re.sub(r"\{[^}]+\}", "logs", path)
        for method in route.methods or ():
            answer = nobody.request(method, path, json={})
            assert answer.status_code == 401, (method, path)
            if method != "HEAD":
                assert answer.json()["type"].endswith("#a-token-is-missing-or-not-valid")


def test_a_viewer_starts_nothing(viewer: TestClient, ended: Mapping[str, Any]) -> None:
    for path, sent in (
        (EXPORTS, body()),
        (f"{EXPORTS}/{ended['id']}/cancel", None),
        (f"{EXPORTS}/{ended['id']}/rerun", {}),
        ("/export/logs", {"startDate": ONE, "endDate": ONE}),
        ("/export", {"startDate": ONE, "endDate": ONE, "dataTypes": ["logs"]}),
    ):
        refused = viewer.post(path, json=sent)
        assert refused.status_code == 403, path
        assert refused.json()["type"] == "/docs/failures#a-role-is-missing"


# Errors


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"datasets": ["other"]}, "/datasets/0", "anomalies, ips, logs"),
        ({"datasets": []}, "/datasets", "at least 1"),
        ({"datasets": ["logs"] * 21}, "/datasets", "at most 20"),
        ({"datasets": ["../logs"]}, "/datasets/0", "is no dataset"),
        ({"start_date": "2026-11-05", "end_date": ONE}, "/end_date", "is before start_date"),
        ({"end_date": "2027-11-05"}, "/end_date", ""),
        ({"end_date": "2026-11-15"}, "/end_date", "EXPORTER_END_DATE"),
        ({"start_date": "2026-10-31"}, "/start_date", "EXPORTER_START_DATE"),
        ({"start_date": 0}, "/start_date", "Write a day as YYYY-MM-DD."),
        ({"start_date": "2026-11-01T00:00:00"}, "/start_date", "Write a day as YYYY-MM-DD."),
        ({"batch_rows": 5}, "/batch_rows", "1000"),
        ({"only": ["published"]}, "/only/0", "'missing', 'held' or 'failed'"),
        ({"other/field~": 1}, "/other~1field~0", "not known"),
        ({"title": "x" * 201}, "/title", "200"),
    ],
)
def test_each_wrong_field_has_a_pointer(
    exporter: TestClient, changes: dict[str, Any], pointer: str, words: str
) -> None:
    for path in (EXPORTS, f"{EXPORTS}/preview"):
        refused = exporter.post(path, json=body() | changes)
        assert refused.status_code == 422, refused.text
        problem = refused.json()
        assert refused.headers["content-type"] == "application/problem+json"
        assert pointer in [error["pointer"] for error in problem["errors"]]
        assert words in problem["detail"]
        assert problem["instance"] == path
        assert problem["title"]


def test_other_bad_requests(exporter: TestClient) -> None:
    for sent, status in (
        ({"content": b"{", "headers": JSON}, 400),
        ({"content": b"[" * 100_000, "headers": JSON}, 400),
        ({"content": b'{"title": "\\ud800", "\\ud800": NaN}', "headers": JSON}, 422),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ({"data": {"a": "b"}}, 415),
        ({"json": []}, 422),
        ({"json": None}, 422),
        ({"json": body(), "headers": {"Idempotency-Key": "k" * 129}}, 422),
        ({"json": body(), "headers": {"Idempotency-Key": "two words"}}, 422),
    ):
        refused = exporter.post(EXPORTS, **sent)  # type: ignore[arg-type]
        assert refused.status_code == status, (sent, refused.text)
        assert refused.json()["status"] == status
    assert exporter.get(f"{EXPORTS}/no-such-export").status_code == 404
    for path, methods in (
        (EXPORTS, "GET, POST"), (f"{EXPORTS}/preview", "POST"), ("/export/history", "GET"),
        ("/export", "POST"),
        ("/healthz", "GET"), ("/metrics", "GET"),
    ):  # fmt: skip
        wrong = exporter.delete(path)
        assert (wrong.status_code, wrong.headers["allow"]) == (405, methods)
    assert exporter.get("/api/v1/other").status_code == 404
    assert exporter.get("/api/v2/exports").status_code == 404
    assert exporter.get(EXPORTS, params={"limit": 0}).json()["errors"][0]["pointer"] == "/limit"
    assert exporter.get(EXPORTS, params={"from": TWO, "to": ONE}).status_code == 422
    assert exporter.get(EXPORTS, params={"cursor": "no cursor"}).status_code == 422


def test_an_unexpected_error_shows_nothing_but_a_reference(
    running: Service, caplog: pytest.LogCaptureFixture
) -> None:
    broken = create_api(running.context)

    @broken.get("/broken")
    def broken_route(text: str) -> None:
        raise RuntimeError(f"secret {text}")

    broken.router.routes.insert(0, broken.router.routes.pop())
    answer = client_of(broken, "viewer").get("/broken", params={"text": "a\nERROR forged\x1b[31m"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    [record] = [each for each in caplog.records if each.name == "exporter.service"]
    reference = re.search(r"error ([0-9a-f]{8})", answer.json()["detail"])
    assert reference
    assert reference[1] in record.message
    assert "secret a" in record.message
    assert not re.search("^ERROR forged|\x1b", record.message, re.MULTILINE)


# Exports


def test_an_export_is_started_followed_and_listed(
    exporter: TestClient, viewer: TestClient, ended: Mapping[str, Any]
) -> None:
    assert ended["status"] == "held"
    assert ended["progress_pct"] == 100
    assert (ended["user"], ended["source"], ended["title"]) == ("alice", "rest", "three days")
    assert [day["status"] for day in ended["results"]] == ["published", "published", "held"]
    assert ended["rows_exported"] == 100
    assert ended["links"]["self"] == f"{EXPORTS}/{ended['id']}"
    listed = viewer.get(EXPORTS, params={"dataset": "logs", "user": "alice", "limit": 200}).json()
    assert ended["id"] in [each["id"] for each in listed["items"]]
    assert viewer.get(EXPORTS, params={"user": "nobody"}).json()["items"] == []


def test_a_start_says_where_to_follow_it(running: Service, exporter: TestClient) -> None:
    started = exporter.post(EXPORTS, json=body(ONE, ONE))
    assert started.status_code == 202
    assert started.headers["location"] == f"{EXPORTS}/{started.json()['id']}"
    assert started.headers["retry-after"] == "2"
    assert started.json()["status"] == "pending"
    cancelled = exporter.post(f"{started.headers['location']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    again = exporter.post(f"{started.headers['location']}/cancel")
    assert again.status_code == 409
    assert running.queued() == []


def test_a_dry_run_and_a_preview_start_nothing(running: Service, exporter: TestClient) -> None:
    dry = exporter.post(EXPORTS, params={"dry_run": "true"}, json=body(ONE, THREE))
    assert dry.status_code == 200
    assert dry.json() == exporter.post(f"{EXPORTS}/preview", json=body(ONE, THREE)).json()
    assert [day["rows"] for day in dry.json()["days"]] == [41, 60, 200]
    assert running.queued() == []


def test_one_key_starts_one_export(running: Service, api: FastAPI) -> None:
    async def post_all() -> list[tuple[int, str, bool]]:
        async with asynchronous(api, "exporter", name="kim") as client:
            sent, headers = body(TWO, TWO), {"Idempotency-Key": "key"}
            answers = await asyncio.gather(
                *(client.post(EXPORTS, json=sent, headers=headers) for _ in range(50))
            )
        return [
            (a.status_code, a.json()["id"], "idempotent-replayed" in a.headers) for a in answers
        ]

    answers = asyncio.run(post_all())
    assert {status for status, _, _ in answers} == {202}
    assert len({export_id for _, export_id, _ in answers}) == 1
    assert sum(not replayed for _, _, replayed in answers) == 1
    client = client_of(api, "exporter", name="kim")
    other = client.post(EXPORTS, json=body(ONE, TWO), headers={"Idempotency-Key": "key"})
    assert other.status_code == 422
    assert len(running.queued()) == 1
    client.post(f"{EXPORTS}/{answers[0][1]}/cancel")


def test_a_held_day_is_exported_again(
    running: Service, exporter: TestClient, ended: Mapping[str, Any]
) -> None:
    url = ended["links"]["self"]
    assert exporter.post(f"{url}/rerun", json={"only": ["failed"]}).status_code == 409
    again = exporter.post(f"{url}/rerun", json={"only": ["held"]})
    assert again.status_code == 202
    assert again.json()["rerun_of"] == ended["id"]
    assert [day["day"] for day in again.json()["results"]] == [THREE]
    too_early = exporter.post(f"{again.headers['location']}/rerun")
    assert too_early.status_code == 409
    exporter.post(f"{again.headers['location']}/cancel")


def test_too_many_streams_of_events(
    running: Service, api: FastAPI, viewer: TestClient, ended: Mapping[str, Any]
) -> None:
    url, slots = f"{EXPORTS}/{ended['id']}/events", running.context.event_streams
    for _ in range(100):
        assert slots.take("others")
    try:
        refused = viewer.get(url)
    finally:
        for _ in range(100):
            slots.release("others")
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert viewer.get(url).status_code == 200
    assert slots.taken == 0


def test_four_exports_per_user_may_wait(running: Service, api: FastAPI) -> None:
    client = client_of(api, "exporter", name="busy")
    started = [client.post(EXPORTS, json=body(ONE, ONE)) for _ in range(5)]
    try:
        assert [each.status_code for each in started] == [202] * 4 + [429]
        assert started[-1].headers["retry-after"]
    finally:
        for each in started[:4]:
            client.post(f"{each.headers['location']}/cancel")


# /export


METADATA = {
    "export_timestamp", "data_version", "export_config", "record_count", "file_size",
    "data_quality_metrics",
}  # fmt: skip


def test_the_named_paths_start_and_follow_an_export(running: Service, exporter: TestClient) -> None:
    """One export: started, followed by events and by its status, and its metadata at the end."""
    query = {"start_date": f"{ONE}T00:00:00", "end_date": f"{THREE}T00:00:00"}
    key = {"Idempotency-Key": "named"}
    started = exporter.post("/export/logs", params=query, json={"batchSize": 5000}, headers=key)
    assert started.status_code == 202, started.text
    found = started.json()
    assert set(found) == {*METADATA, "export_id", "state"}
    assert found["export_config"] == {
        "startDate": ONE, "endDate": TWO, "dataTypes": ["logs"], "batchSize": 5000,
    }  # fmt: skip
    assert {found[name] for name in METADATA - {"export_config"}} == {None}
    url = f"/export/status/{found['export_id']}"
    status = exporter.get(url).json()
    assert (status["status"], status["progress"], status["errors"]) == ("pending", 0, [])
    assert {"currentBatch", "totalBatches"} <= set(status)
    early = exporter.get(started.headers["location"], headers={"Prefer": "wait=1"})
    assert early.json()["status"] == "pending"
    assert early.headers["preference-applied"] == "wait=1"
    with executing(running):
        events = exporter.get(f"{started.headers['location']}/events")
        waited = exporter.get(
            started.headers["location"], headers={"Prefer": "respond-async, wait=60"}
        )
    assert_events(events)
    assert waited.json()["status"] == "completed"
    status = exporter.get(url).json()
    assert (status["status"], status["progress"], status["errors"]) == ("completed", 100, [])
    again = exporter.post(
        "/export/logs", params=query, json={"batchSize": 5000},
        headers={**key, "Prefer": "wait=60"},
    )  # fmt: skip
    assert again.status_code == 200, again.text
    assert again.headers["idempotent-replayed"] == "true"
    assert_metadata(running, again.json())


def assert_events(answer: httpx.Response) -> None:
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    states = [json.loads(text) for text in data]
    assert states[0]["status"] == "pending"
    assert states[-1]["status"] == "completed"
    progress = [each["progress_pct"] for each in states]
    assert progress == sorted(progress)
    assert progress[-1] == 100


def assert_metadata(running: Service, found: dict[str, Any]) -> None:
    """Sums of the days, percentages weighted by rows."""
    manifests = [manifest_of(running, day) for day in (ONE, TWO)]
    versions = "\n".join(each.data_version for each in manifests)
    assert found["record_count"] == 100
    assert found["file_size"] == sum(each.file_size for each in manifests)
    assert found["data_version"] == hashlib.sha256(versions.encode()).hexdigest()
    assert dt.datetime.fromisoformat(found["export_timestamp"]) == max(
        each.export_timestamp for each in manifests
    )
    metrics = found["data_quality_metrics"]
    assert metrics["rejected_pct"] == pytest.approx(100 * 1 / 101, abs=1e-3)
    assert metrics["completeness_pct"] == 100


def manifest_of(running: Service, day: str) -> Manifest:
    content = running.context.store.read_manifest("logs", day)
    assert content
    return Manifest.from_json(content)


def test_metrics_of_several_days_are_weighted_or_added() -> None:
    one = {"rejected_pct": 50.0, "completeness_pct.level": 100.0, "filtered.x": 2}
    two = {"rejected_pct": 0.0, "completeness_pct.level": 50.0, "filtered.x": 3, "repeated_keys": 1}
    empty = {"rejected_pct": 0.0, "validity_pct": 100.0}
    assert joint_metrics([(one, 200, 100), (empty, 0, 0), (two, 300, 300)]) == {
        "rejected_pct": 20.0, "completeness_pct.level": 62.5, "filtered.x": 5, "repeated_keys": 1,
        "validity_pct": 100.0,
    }  # fmt: skip
    assert joint_metrics([]) == {}


def test_a_held_export_has_failed_in_the_words_of_the_user(
    viewer: TestClient, ended: Mapping[str, Any]
) -> None:
    status = viewer.get(f"/export/status/{ended['id']}").json()
    assert (status["status"], status["state"]) == ("failed", "held")
    assert "200 of 200 rows rejected" in status["errors"][0]


def test_the_history_with_the_names_of_the_user(
    exporter: TestClient, viewer: TestClient, ended: Mapping[str, Any]
) -> None:
    another = exporter.post(EXPORTS, json=body(ONE, ONE))
    exporter.post(f"{another.headers['location']}/cancel")
    page = viewer.get("/export/history", params={"limit": 50})
    item = next(each for each in page.json() if each["id"] == ended["id"])
    assert set(item) == {
        "id", "timestamp", "dataTypes", "recordCount", "status", *METADATA, "export_id", "state",
    }  # fmt: skip
    assert (item["dataTypes"], item["recordCount"], item["status"]) == (["logs"], 100, "failed")
    first = viewer.get("/export/history", params={"limit": 1})
    assert len(first.json()) == 1
    following = re.fullmatch(r'<(.*)>; rel="next"', first.headers["link"])
    assert following
    assert viewer.get(following[1]).json()[0]["id"] == page.json()[1]["id"]


def test_several_datasets_by_their_data_types(running: Service, exporter: TestClient) -> None:
    config = {"startDate": ONE, "endDate": ONE, "dataTypes": ["logs", "ips"]}
    started = exporter.post("/export", json=config)
    assert started.status_code == 202, started.text
    assert started.json()["export_config"]["dataTypes"] == ["logs", "ips"]
    assert exporter.post("/export/ips", json=config).status_code == 422
    assert exporter.post("/export", json={"startDate": ONE, "endDate": ONE}).status_code == 422
    exporter.post(f"{started.headers['location']}/cancel")


@pytest.mark.parametrize(
    ("query", "sent", "pointer"),
    [
        ({}, {}, "/start_date"),
        ({"start_date": ONE}, {}, "/end_date"),
        ({"start_date": f"{ONE}T12:00:00", "end_date": TWO}, {}, "/start_date"),
        ({"start_date": ONE}, {"endDate": f"{TWO}T12:00:00"}, "/endDate"),
        ({"start_date": ONE, "end_date": TWO}, {"endDate": ONE}, "/endDate"),
        ({"start_date": ONE, "end_date": f"{ONE}T00:00:00"}, {}, "/end_date"),
        ({"start_date": ONE, "end_date": TWO}, {"batchSize": 1}, "/batchSize"),
        ({"start_date": ONE, "end_date": TWO}, {"start_date": ONE}, "/start_date"),
    ],
)
def test_wrong_fields_of_the_named_paths(
    exporter: TestClient, query: dict[str, str], sent: dict[str, Any], pointer: str
) -> None:
    refused = exporter.post("/export/logs", params=query, json=sent)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer


def test_an_unknown_dataset_of_the_named_paths(exporter: TestClient) -> None:
    refused = exporter.post("/export/other", params={"start_date": ONE, "end_date": ONE})
    assert refused.status_code in (404, 422)
    assert "anomalies, ips, logs" in refused.json()["detail"]


# Metrics and health


def test_the_four_numbers(viewer: TestClient, ended: Mapping[str, Any]) -> None:
    found = viewer.get("/export/metrics").json()
    assert found == viewer.get("/api/v1/metrics/exports").json()
    assert set(found) == {"totalExports", "successRate", "averageRecords", "qualityMetrics"}
    assert found["totalExports"] >= 1
    assert 0 <= found["successRate"] <= 100
    assert found["averageRecords"] > 0
    assert 0 < found["qualityMetrics"]["valid_pct"] <= 100
    none = viewer.get("/export/metrics", params={"dataset": "anomalies"}).json()
    assert none["totalExports"] == 0


def test_metrics_for_prometheus(api: FastAPI, ended: Mapping[str, Any]) -> None:
    refused = client_of(api, "quarantine").get("/metrics")
    assert refused.status_code == 403
    answer = client_of(api, "metrics").get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    values = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if line[0] != "#")
    assert float(values['exporter_exports_total{dataset="logs",status="held"}']) >= 1
    assert float(values['exporter_rows_total{dataset="logs",kind="exported"}']) >= 100
    assert float(values['exporter_rows_total{dataset="logs",kind="rejected"}']) >= 1
    assert float(values['exporter_bytes_total{dataset="logs"}']) > 0
    assert float(values['exporter_day_duration_seconds_count{dataset="logs"}']) >= 2
    midnight = dt.datetime.fromisoformat(f"{TWO}T00:00:00+00:00").timestamp()
    assert float(
        values['exporter_last_published_day_timestamp_seconds{dataset="logs"}']
    ) == midnight  # fmt: skip
    assert float(values['exporter_completeness_ratio{dataset="logs"}']) == 1
    assert float(values["exporter_output_free_bytes"]) > 0
    assert float(values['exporter_daemon_up{daemon="scheduler"}']) == 0
    assert "exporter_http_requests_total" in answer.text
    again = client_of(api, "metrics").get("/metrics")
    same = [line for line in answer.text.splitlines() if line.startswith("exporter_rows_total")]
    assert same == [x for x in again.text.splitlines() if x.startswith("exporter_rows_total")]


def test_health_and_readiness(api: FastAPI) -> None:
    nobody = client_of(api)
    assert nobody.get("/healthz").json() == {"status": "alive"}
    ready = nobody.get("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {"status": "not ready", "checks": None}
    checks = client_of(api, "viewer").get("/readyz").json()["checks"]
    assert checks["code location exporter_pipelines"] == "ok"
    assert checks["storage"] == "ok"
    assert checks["output folder"] == "ok"
    assert checks["daemon scheduler"] == "is not running"


# OpenAPI


def test_the_documentation_needs_no_other_host(viewer: TestClient) -> None:
    page = viewer.get("/api/v1/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
    assert viewer.get("/api/v1/docs/style.css").headers["content-type"].startswith("text/css")
    assert "/api/v1/exports/{export_id}/events" in page.text


def test_the_openapi_document_says_role_and_errors(api: FastAPI, viewer: TestClient) -> None:
    document = viewer.get("/api/v1/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert "default" in operation["responses"], (method, path)
            assert "HTTPValidationError" not in json.dumps(operation), (method, path)
            assert operation["x-role"] or path in WITHOUT_ROLE, (method, path)
    references = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert references <= set(document["components"]["schemas"])


def test_many_requests_at_a_time(api: FastAPI, ended: Mapping[str, Any]) -> None:
    client = client_of(api, "viewer")
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda _: client.get(ended["links"]["self"]), range(40))]
    assert {answer.status_code for answer in answers} == {200}


def test_every_operation_answers_as_documented(
    running: Service, ended: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an operator through the guard; no error of the server but the 503 that is documented."""
    monkeypatch.setattr(throttle, "_ALLOWED", 10_000)  # wrong tokens are sent, too
    roles = frozenset({"operator", "quarantine"})
    token = add_token(service_settings.tokens_file(), "olga", roles, None)
    credentials = {"Authorization": f"Bearer {token}"}
    document = document_of(create_app(running.context), credentials)
    real = {"dataset": "logs", "day": ONE, "export_id": ended["id"]}
    running.context.answered.clear()
    assert list(failures_of(document, credentials, real, examples=4)) == []
    statuses = Counter[str]()
    for (_, status), number in running.context.answered.items():
        statuses[status] += number
    assert statuses["200"] > 30, statuses
    assert statuses["422"] > 40, statuses
    assert statuses["500"] == 0, statuses
