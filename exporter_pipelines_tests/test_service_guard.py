"""The guard of the service: which requests pass it, and as whom."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.service import bodies, guard, server, throttle, web_sockets
from exporter_pipelines.service.access import Access
from exporter_pipelines.service.heads import Head
from exporter_pipelines.service.refusals import Refusal
from exporter_pipelines.service.tokens import revoke_token
from exporter_pipelines_tests.support.guarded import EVIL, OWN, Guarded, guarded_in
from exporter_pipelines_tests.support.servers import free_port

JSON = {"Content-Type": "application/json"}
VISIT = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"}
CROSS = {"Sec-Fetch-Site": "cross-site"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("EXPORTER_", "DAGSTER_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guarded:
    """Without a token: what `make dev` is."""
    found = guarded_in(tmp_path, monkeypatch)
    found.begin()
    return found


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guarded:
    """With tokens."""
    found = guarded_in(tmp_path, monkeypatch)
    found.begin()
    return found


def test_on_this_machine_nobody_logs_in_until_there_is_a_token(local: Guarded) -> None:
    answer = local.ask("GET", "/assets")
    assert (answer.json()["user"], answer.json()["via"]) == ("local", "loopback")
    for peer in ("10.0.0.9", "::ffff:10.0.0.9", "testclient", ""):
        assert local.ask("GET", "/assets", peer=peer).status_code == 401, peer
    for peer in ("127.0.0.5", "::1", "::ffff:127.0.0.1"):
        assert local.ask("GET", "/assets", peer=peer).status_code == 200, peer
    token = local.token("alice", "operator")
    assert local.ask("GET", "/assets").status_code == 401
    assert local.ask("GET", "/assets", token=token).json()["user"] == "alice"
    revoke_token(local.folder / ".tokens", "alice")
    assert local.ask("GET", "/assets").status_code == 401, "still: no token is not everybody"
    (local.folder / ".tokens").unlink()
    assert local.ask("GET", "/assets").status_code == 401


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host"]
)
def test_what_a_proxy_passes_on_is_not_from_this_machine(local: Guarded, header: str) -> None:
    answer = local.ask("GET", "/assets", {header: "203.0.113.7"})
    assert answer.status_code == 403
    assert "exporter token add" in answer.json()["detail"]


def test_it_does_not_answer_to_other_host_names(local: Guarded) -> None:
    for host in ("rebind.attacker.example", "127.0.0.1", "127.0.0.1:3001", "localhost.", ""):
        assert local.ask("GET", "/", {"Host": host}).status_code == 421, host
    assert local.ask("GET", "/", {"Host": "LOCALHOST:3000"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "ui", "own"),
    [
        ("10.0.0.5", "", {"http://10.0.0.5:3000"}),
        ("0.0.0.0", "https://e.example:443/x", {"https://e.example"}),
        ("::", "http://E.example:80", {"http://e.example"}),
        ("fe80::1", "", {"http://[fe80::1]:3000"}),
    ],
)
def test_own_addresses_are_those_of_settings_loopback_and_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, ui: str, own: set[str]
) -> None:
    found = guarded_in(tmp_path, monkeypatch, **({"EXPORTER_UI_URL": ui} if ui else {}))
    found.begin(host=host)
    local = {f"http://{name}:3000" for name in ("localhost", "127.0.0.1", "[::1]")}
    assert found.access.addresses.origins == own | local


@pytest.mark.parametrize(
    "path",
    [
        "/logs/../x",
        "/logs/%2e%2e/x",
        "/a%2fb",
        "/a%5Cb",
        "/a%00b",
        "/a%0d%0aSet-Cookie:x",
        "//evil",
    ],
)
def test_paths_that_can_be_read_in_two_ways_are_refused(local: Guarded, path: str) -> None:
    # httpx would tidy these paths up, so the scope is made by hand.
    assert asyncio.run(status_of_raw_path(local, path)) == 400


async def status_of_raw_path(guarded: Guarded, path: str) -> int:
    """The status of the answer to a GET whose path is sent as it is."""
    statuses = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message: dict[str, object]) -> None:
        statuses.append(message.get("status"))

    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [(b"host", b"127.0.0.1:3000")],
        "client": ("127.0.0.1", 1), "asgi": {"version": "3.0"},
    }  # fmt: skip
    await guarded._app(scope, receive, send)  # type: ignore[arg-type]
    return int(str(statuses[0]))


def test_a_page_of_another_site_can_only_link_here(local: Guarded) -> None:
    link = {**VISIT, **CROSS}
    assert local.ask("GET", "/runs/abc", link).status_code == 200
    assert local.ask("GET", "/assets/logs?view=partitions", link).status_code == 200
    assert local.ask("GET", "/assetsx?view=partitions", link).status_code == 403
    assert local.ask("GET", "/api/v1/exports?limit=1", link).status_code == 403
    assert local.ask("GET", "/", CROSS).status_code == 403, "an image"
    assert local.ask("GET", "/", {"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert local.ask("GET", "/", {**link, "Sec-Fetch-Dest": "iframe"}).status_code == 403
    assert local.ask("POST", "/api/v1/exports", {**link, **JSON}).status_code == 403
    for origin in (EVIL, "null", "http://127.0.0.1:3001", "http://localhost:3000"):
        assert local.ask("GET", "/", {"Origin": origin}).status_code == 403, origin


def test_graphql_takes_what_the_ui_sends_and_nothing_else(local: Guarded) -> None:
    own = {**JSON, "Origin": OWN, "Sec-Fetch-Site": "same-origin"}

    def status(method: str, path: str, **headers: str) -> int:
        return local.ask(method, path, {**own, **headers}, body=b"{}").status_code

    assert status("POST", "/graphql") == 200
    assert status("POST", "/graphql?op=AssetsQuery") == 200
    assert status("GET", "/graphql?op=AssetsQuery") == 405
    assert status("POST", "/graphql/?op=A&query=x") == 403
    assert status("POST", "/%67raphql?query=x") == 403
    assert status("POST", "/graphql", **{"Content-Type": "text/plain;application/json"}) == 415
    assert status("POST", "/graphql", **{"Content-Type": "application/graphql"}) == 415


def test_a_cookie_is_no_intention_and_a_token_is(shared: Guarded) -> None:
    token = shared.token("bob", "exporter")
    found = shared.access.identity.tokens.find(token)
    assert found
    cookie = shared.access.identity.sessions.cookie(
        shared.access.identity.sessions.of_token(found), https=False
    ).partition(";")[0]

    def status(**headers: str) -> int:
        sent = {"Cookie": cookie, **JSON, **{k.replace("_", "-"): v for k, v in headers.items()}}
        return shared.ask("POST", "/api/v1/exports", sent, body=b"{}").status_code

    assert status() == 403
    assert status(Origin=OWN) == 200
    assert status(Sec_Fetch_Site="same-origin") == 200
    assert status(Origin=EVIL) == 403
    assert shared.ask("POST", "/api/v1/exports", JSON, token=token).status_code == 200


def test_programs_on_this_machine_may_send_json_without_a_page(local: Guarded) -> None:
    assert local.ask("POST", "/graphql", JSON, body=b"{}").status_code == 200
    assert local.ask("POST", "/api/v1/exports", JSON, body=b"{}").status_code == 200
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert local.ask("POST", "/api/v1/exports", form, body=b"a=b").status_code == 403
    assert local.ask("POST", "/api/v1/exports/x/cancel", JSON).status_code == 200
    refused = local.ask("POST", "/api/v1/exports/x/cancel", {})
    assert refused.status_code == 403
    assert "Content-Type: application/json" in refused.json()["detail"]


def test_a_role_sees_no_more_than_it_is_for(shared: Guarded) -> None:
    tokens = {role: shared.token(role, role) for role in ("viewer", "operator", "metrics")}
    tokens["quarantine"] = shared.token("q", "quarantine")
    quarantine = "/api/v1/datasets/logs/days/2026-11-01/quarantine"

    def statuses(path: str) -> dict[str, int]:
        return {role: shared.ask("GET", path, token=t).status_code for role, t in tokens.items()}

    assert statuses("/assets") == {
        "viewer": 200, "operator": 200, "metrics": 403, "quarantine": 403,
    }  # fmt: skip
    assert statuses("/metrics")["metrics"] == 200
    assert statuses(quarantine)["quarantine"] == 200
    for path in ("/download_debug/x", "/notebook?path=a", "/dagit/notebook"):
        assert statuses(path)["viewer"] == 403
        assert statuses(path)["operator"] == 200
    assert statuses("/report_asset_materialization/logs")["operator"] == 404


def test_read_only_makes_everybody_a_viewer(shared: Guarded) -> None:
    token = shared.token("alice", "operator", "quarantine")
    shared.begin(read_only=True)
    assert shared.ask("GET", "/", token=token).json()["roles"] == ["quarantine", "viewer"]


def test_below_a_prefix_there_is_everything_and_outside_nothing(local: Guarded) -> None:
    local.begin(prefix="/exporter")
    assert local.ask("GET", "/exporter/assets").json()["path"] == "/exporter/assets"
    for path in ("/", "/assets", "/exporterx", "/exporter%2fassets"):
        assert local.ask("GET", path).status_code in (400, 404), path
    local.token("alice", "viewer")
    moved = local.ask("GET", "/exporter/runs/abc", VISIT)
    assert moved.status_code == 303
    assert moved.headers["location"] == "/exporter/login?next=/exporter/runs/abc"
    moved = local.ask("GET", "/exporter/assets/logs?view=checks&a=%22", VISIT)
    there = "/exporter/assets/logs%3Fview%3Dchecks%26a%3D%2522"
    assert moved.headers["location"] == f"/exporter/login?next={there}"


def test_headers_that_occur_twice_and_two_lengths_are_refused(local: Guarded) -> None:
    for name in ("Origin", "Content-Type", "Authorization"):
        twice = [(name, "a"), (name, "b")]
        assert local.ask("GET", "/", twice).status_code == 400, name
    hosts = [("Host", "127.0.0.1:3000"), ("Host", "evil")]
    assert local.ask("GET", "/", hosts).status_code == 400
    both = {"Content-Length": "3", "Transfer-Encoding": "chunked"}
    assert local.ask("POST", "/", both).status_code == 400


def test_a_token_in_an_address_is_refused_and_not_recorded(shared: Guarded) -> None:
    token = shared.token("alice", "operator")
    for path in (f"/?token={token}", "/?access_token=abc", f"/runs/{token}", f"/?x={token}"):
        answer = shared.ask("GET", path)
        assert answer.status_code == 400
        assert "Revoke it" in answer.json()["detail"]
    assert token not in (shared.folder / "audit.jsonl").read_text()


def test_guessing_tokens_is_slow_and_locks_nobody_out(shared: Guarded) -> None:
    token = shared.token("alice", "viewer")
    statuses = [shared.ask("GET", "/", token=f"wrong{n}").status_code for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert int(shared.ask("GET", "/", token="wrong").headers["retry-after"]) <= 6
    assert shared.ask("GET", "/", token=token).status_code == 200
    assert shared.ask("GET", "/", token="wrong", peer="10.0.0.9").status_code == 401
    basic = {"Authorization": "Basic YTpi"}
    assert shared.ask("GET", "/", basic, peer="10.0.0.8").status_code == 401


def test_the_throttle_counts_networks_and_forgets_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    counted = throttle.Throttle(lambda: now[0])
    for host in range(10):
        assert counted.wait_after_wrong(f"2001:db8::{host:x}") == 0
    assert counted.wait_after_wrong("2001:db8::ffff") == 6
    now[0] += 6
    assert counted.wait_after_wrong("2001:db8::1") == 0
    monkeypatch.setattr(throttle, "_PEERS", 3)
    for host in range(9):
        counted.wait_after_wrong(f"10.0.0.{host}")
    assert len(counted._last) == 3


PROXY = {
    "EXPORTER_PROXY_PEERS": "10.0.0.0/24",
    "EXPORTER_PROXY_SECRET": "a-secret-of-the-proxy",
    "EXPORTER_PROXY_USER_HEADER": "X-Forwarded-User",
    "EXPORTER_PROXY_ROLES": "alice:operator+quarantine, *:viewer",
}
SECRET = {"X-Exporter-Proxy-Secret": PROXY["EXPORTER_PROXY_SECRET"]}


def test_a_proxy_names_users_with_its_secret_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = guarded_in(tmp_path, monkeypatch, **PROXY)
    behind.begin()
    alice = {"X-Forwarded-User": "alice"}
    answer = behind.ask("GET", "/", {**alice, **SECRET}, peer="10.0.0.5")
    assert answer.json()["user"] == "alice"
    assert answer.json()["roles"] == ["operator", "quarantine"]
    assert "x-exporter-proxy-secret" not in answer.json()["headers"]
    assert "x-forwarded-user" not in answer.json()["headers"]
    bob = behind.ask("GET", "/", {"X-Forwarded-User": "bob", **SECRET}, peer="10.0.0.5")
    assert bob.json()["roles"] == ["viewer"]
    for headers, peer in (
        (alice, "10.0.0.5"),
        ({**alice, **SECRET}, "10.0.1.5"),
        ({**alice, **SECRET}, "127.0.0.1"),
        ({**alice, "X-Exporter-Proxy-Secret": "wrong"}, "10.0.0.5"),
        ({"X-Forwarded-User": "*", **SECRET}, "10.0.0.5"),
        ({"X-Forwarded-User": "", **SECRET}, "10.0.0.5"),
        ({}, "127.0.0.1"),
    ):
        assert behind.ask("GET", "/", headers, peer=peer).status_code == 401, headers
    twice = [("X-Forwarded-User", "alice"), ("X-Forwarded-User", "bob"), *SECRET.items()]
    assert behind.ask("GET", "/", twice, peer="10.0.0.5").status_code == 401
    # What it adds by itself is no intention of the user.
    plain = behind.ask("POST", "/api/v1/exports", {**alice, **SECRET, **JSON}, peer="10.0.0.5")
    assert plain.status_code == 403


def test_the_audit_file_names_the_client_behind_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = guarded_in(tmp_path, monkeypatch, **PROXY)
    behind.begin()
    sent = {"X-Forwarded-For": "1.1.1.1, 203.0.113.7", "X-Forwarded-User": "alice", "Origin": OWN}
    behind.ask("POST", "/api/v1/exports", {**sent, **SECRET}, peer="10.0.0.5")
    behind.ask("POST", "/api/v1/exports", sent, peer="10.0.0.5")
    assert [line["peer"] for line in behind.audit()] == ["203.0.113.7", "10.0.0.5"]


def test_bodies_are_limited_in_size_time_and_form(local: Guarded) -> None:
    def status(body: bytes, **headers: str) -> int:
        sent = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return local.ask("POST", "/api/v1/exports", sent, body=body).status_code

    assert status(b"x" * 1024 * 1024) == 200
    assert status(b"x" * (1024 * 1024 + 1)) == 413
    assert status(b"x", Content_Length="9999999999999999999") == 413
    assert status(b"x", Content_Length="-1") == 400
    assert status(b"x", Content_Encoding="gzip") == 415


def test_a_head_is_limited_in_size(local: Guarded) -> None:
    def status(length: int) -> int:
        return local.ask("GET", "/assets", {"X-Long": "x" * length}).status_code

    assert status(30 * 1024) == 200
    assert status(32 * 1024) == 431
    assert [line["refused"] for line in local.audit()] == ["long_head"]


def test_a_slow_or_endless_body_is_given_up() -> None:
    async def endless() -> dict[str, object]:
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def never() -> dict[str, object]:
        await asyncio.sleep(60)
        return {}

    head = Head("http", "POST", "/", "", {"transfer-encoding": ("chunked",)}, "")
    for receive, status in ((endless, 413), (never, 408)):
        with pytest.raises(Refusal) as caught:
            asyncio.run(bodies.whole_body(head, receive, seconds=0.2))  # type: ignore[arg-type]
        assert caught.value.status == status


def test_every_answer_has_the_protecting_headers(local: Guarded) -> None:
    for answer in (local.ask("GET", "/"), local.ask("GET", "/", {"Host": "evil"})):
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers


def test_behind_tls_the_answers_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ui = "https://exporter.example.org"
    behind = guarded_in(tmp_path, monkeypatch, EXPORTER_UI_URL=ui)
    behind.begin()
    host = {"Host": "exporter.example.org"}
    assert "strict-transport-security" in behind.ask("GET", "/", host).headers
    assert behind.ask("POST", "/api/v1/exports", {**host, "Origin": ui}).status_code == 200
    token = behind.token("alice", "operator")
    found = behind.access.identity.tokens.find(token)
    assert found
    sessions = behind.access.identity.sessions
    value = sessions.of_token(found)
    for cookie, status in (
        (sessions.cookie(value, https=True), 200),
        # An insecure page of the same host can set this one.
        (sessions.cookie(value, https=False), 401),
    ):
        sent = {**host, "Cookie": cookie.partition(";")[0]}
        assert behind.ask("GET", "/", sent).status_code == status
    insecure = {**host, "Origin": "http://exporter.example.org"}
    assert behind.ask("POST", "/api/v1/exports", insecure).status_code == 403


def test_changes_and_refusals_are_recorded_in_one_line_each(shared: Guarded) -> None:
    token = shared.token("alice", "operator")
    shared.ask("GET", "/api/v1/exports", token=token)
    shared.ask("POST", "/api/v1/exports/preview", JSON, token=token)
    shared.ask("POST", "/api/v1/exports", JSON, token=token)
    shared.ask("GET", "/x%c2%85y\u202e?password=hunter2", token=token)
    shared.ask("GET", "/api/v1/datasets/logs/days/2026-11-01/quarantine", token=token)
    raw = (shared.folder / "audit.jsonl").read_text()
    assert raw.isascii()
    assert "hunter2" not in raw
    assert (shared.folder / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    lines = shared.audit()
    assert [(line["verb"], line["path"][:16], line["result"]) for line in lines] == [
        ("POST", "/api/v1/exports", "200"),
        ("GET", "/x\u0085y\u202e", "400"),
        ("GET", "/api/v1/datasets", "200"),
    ]
    assert {line["user"] for line in lines} == {"alice", ""}
    assert lines[0]["via"] == "bearer"
    assert lines[1]["refused"] == "secret_in_address"


def test_a_flood_of_refusals_does_not_fill_the_disk(local: Guarded) -> None:
    for _ in range(125):
        local.ask("GET", "/", peer="10.0.0.9")
    assert len(local.audit()) == 120
    assert local.access.audit.refused["no_credentials"] == 125


def test_without_a_token_it_refuses_to_be_reached_from_elsewhere(local: Guarded) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        local.access.refuse_to_listen_openly(host)
    for host in ("0.0.0.0", "::", "10.0.0.1", ""):
        with pytest.raises(ConfigurationError, match="exporter token add"):
            local.access.refuse_to_listen_openly(host)
    local.token("alice", "viewer")
    local.access.refuse_to_listen_openly("0.0.0.0")


def test_a_file_of_tokens_that_others_may_read_is_refused(
    shared: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = shared.token("alice", "viewer")
    (shared.folder / ".tokens").chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Access.of(port=3000)
    assert shared.ask("GET", "/", token=token).status_code == 401


def test_what_the_guard_hides_from_endpoints(shared: Guarded) -> None:
    token = shared.token("alice", "viewer")
    seen = shared.ask("GET", "/", {"X-Exporter-User": "mallory"}, token=token).json()
    assert seen["user"] == "alice"
    assert token not in json.dumps(seen)


def test_a_web_socket_and_a_stream_end_when_their_token_is_revoked(
    shared: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_sockets, "_LOOK_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(guard, "_LOOK_AGAIN_SECONDS", 0.05)
    sent: list[dict[str, object]] = []

    async def silent() -> dict[str, object]:
        await asyncio.sleep(60)
        return {}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def until_closed() -> dict[str, object]:
        limited = web_sockets.LimitedSocket(silent, send, lambda: False)  # type: ignore[arg-type]
        return dict(await limited.receive())

    assert asyncio.run(until_closed())["type"] == "websocket.disconnect"
    assert sent == [{"type": "websocket.close", "code": 1008}]
    sent.clear()

    async def events() -> None:
        stream = guard._Stream(send, lambda: False)  # type: ignore[arg-type]
        types = [(b"content-type", b"text/event-stream")]
        await stream.send({"type": "http.response.start", "status": 200, "headers": types})
        for _ in range(5):
            await asyncio.sleep(0.03)
            await stream.send({"type": "http.response.body", "body": b"x", "more_body": True})

    asyncio.run(events())
    assert sent[-1] == {"type": "http.response.body", "body": b""}
    assert len(sent) < 5


def test_a_connection_that_sends_no_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HEAD_SECONDS", 0.5)
    port, up = free_port(), threading.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(application, port=port, http="h11", lifespan="off", log_level="error")
    running = server.Server(config, up.set)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve()))
    monkeypatch.setattr(server, "_SIGNALS", ())  # not in the main thread
    thread.start()
    try:
        assert up.wait(20)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nX: ")
            assert slow.recv(10) == b""
    finally:
        running.should_exit = True
        thread.join()
