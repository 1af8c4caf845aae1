"""Attacks on a real service, and on a stock web server as the control.

What the guard decides by itself is in test_service_guard; here are real sockets and processes.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import websockets.sync.client as ws
from websockets.exceptions import ConnectionClosed, InvalidStatus

from exporter_pipelines_tests.support.attacks import LAUNCH, PROBES, Target, wins
from exporter_pipelines_tests.support.dagster_history import history_of
from exporter_pipelines_tests.support.in_process_service import SETTINGS
from exporter_pipelines_tests.support.projects import Project, copy_project
from exporter_pipelines_tests.support.served import Served, served
from exporter_pipelines_tests.support.servers import free_port, web_server

CANARY = "canary-password-7f3a"


@dataclass(frozen=True)
class Attacked:
    """A service under attack, with runs in its queue.

    Attributes:
        service: It.
        won_without_tokens: The probes that won before it had a token.
        operator: A token.
        victim: A browser in which this operator has logged in.
    """

    service: Served
    won_without_tokens: list[str]
    operator: str
    victim: Target


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return project_in(tmp_path_factory.mktemp("attacks"))


def project_in(folder: Path) -> Project:
    """A project whose database does not exist."""
    source = f"postgresql://u:{CANARY}@127.0.0.1:1/none"
    values = {"EXPORTER_SOURCE_URL": source, "EXPORTER_OUTPUT_URL": str(folder / "exports")}
    return copy_project(folder / "project", {**SETTINGS, **values})


@pytest.fixture(scope="module")
def attacked(project: Project) -> Iterator[Attacked]:
    with served(project) as service:
        local = Target(service.port, run_ids=runs_of(project, service, 3))
        won = wins(local)
        token = service.token("alice", "operator")
        victim = Target(service.port, service.login(token), local.run_ids)
        yield Attacked(service, won, token, victim)


def runs_of(project: Project, service: Served, number: int) -> list[str]:
    """Ids of runs in the queue of a service without tokens, after `number` more were started."""
    for _ in range(number):
        assert Target(service.port).graphql(LAUNCH, {}).has("LaunchRunSuccess")
    with history_of(project) as instance:
        return [run.run_id for run in instance.get_runs()]


@pytest.fixture
def service(attacked: Attacked) -> Served:
    return attacked.service


@pytest.fixture
def operator(attacked: Attacked) -> str:
    return attacked.operator


@pytest.fixture
def victim(attacked: Attacked) -> Target:
    return attacked.victim


def test_the_probes_win_against_the_stock_web_server(project: Project, victim: Target) -> None:
    with web_server(project) as stock:
        won = wins(Target(int(stock.url.rpartition(":")[2]), run_ids=victim.run_ids[1:]))
    assert len(PROBES) == 27
    assert len(won) >= 20, sorted(set(PROBES) - set(won))


def test_without_tokens_only_a_program_on_this_machine_wins(attacked: Attacked) -> None:
    assert attacked.won_without_tokens == ["stranger reads"]


def test_with_tokens_no_probe_wins_with_or_without_the_cookie_of_an_operator(
    victim: Target,
) -> None:
    assert wins(Target(victim.port, run_ids=victim.run_ids)) == []
    # As if SameSite did not exist: the cookie is attached to every request.
    assert wins(victim) == []
    own = {"Origin": f"http://{victim.host}"}
    assert victim.graphql("{ version }", own).has("version"), "the cookie itself is good"


def head(target: Target, first: str, *more: str) -> bytes:
    """A request as bytes."""
    return "\r\n".join([first, f"Host: {target.host}", *more, "", ""]).encode("latin-1")


def statuses(answer: bytes) -> list[bytes]:
    """Of all answers on one connection."""
    return [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]


INNER = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SMUGGLED = {
    "two lengths": ["Content-Length: 4", "Transfer-Encoding: chunked"],
    "two different lengths": ["Content-Length: 4", f"Content-Length: {len(INNER)}"],
    "an unknown encoding": ["Transfer-Encoding: xchunked"],
    "two encodings": ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
    "a space before the colon": ["Content-Length : 4"],
    "a folded header": ["X: a", " Content-Length: 4"],
    "a bare line feed": ["X: a\nContent-Length: 4"],
    "a signed length": ["Content-Length: +4"],
}


@pytest.mark.parametrize("headers", SMUGGLED.values(), ids=SMUGGLED)
def test_a_request_with_two_ends_is_refused_and_nothing_after_it_is_read(
    victim: Target, headers: list[str]
) -> None:
    request = head(victim, "POST /graphql HTTP/1.1", f"Cookie: {victim.cookie}", *headers)
    body = f"0\r\n\r\n{INNER}".encode()
    answers = statuses(victim.raw(request + body))
    assert answers, "no answer"
    assert answers[0].startswith(b"4")
    assert len(answers) == 1, "a second request was read out of the first"


HEADS = {
    "another host in the first line": ("GET http://evil.example/ HTTP/1.1", []),
    "no host": ("GET / HTTP/1.0", None),
    "two hosts": ("GET / HTTP/1.1", ["Host: evil.example"]),
    "a line break in the path": ("GET /x%0d%0aSet-Cookie:a=b HTTP/1.1", []),
    "a null byte in a header": ("GET / HTTP/1.1", ["X: a\0b"]),
    "a huge header": ("GET / HTTP/1.1", ["X: " + "a" * 70_000]),
    "many headers": ("GET / HTTP/1.1", [f"X-{n}: {'a' * 60}" for n in range(1000)]),
    "a long address": (f"GET /{'a' * 70_000} HTTP/1.1", []),
    "TRACE": ("TRACE / HTTP/1.1", []),
    "CONNECT": ("CONNECT evil.example:443 HTTP/1.1", []),
    "an upgrade to HTTP/2": (
        "GET / HTTP/1.1",
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: A"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("given", HEADS.values(), ids=HEADS)
def test_a_head_that_no_browser_sends_gets_no_page(
    victim: Target, given: tuple[str, list[str] | None]
) -> None:
    first, more = given
    request = head(victim, first, *more) if more is not None else f"{first}\r\n\r\n".encode()
    answer = victim.raw(request)
    assert statuses(answer), answer
    assert statuses(answer)[0] in (b"400", b"401", b"405", b"421", b"431"), answer[:200]
    assert b"set-cookie" not in answer.lower()


def test_a_method_in_a_header_or_address_changes_nothing(victim: Target) -> None:
    run = victim.run_ids[0]
    for headers in ({"X-HTTP-Method-Override": "POST"}, {"X-Original-URL": "/graphql"}):
        assert victim.ask("GET", "/graphql?op=A", headers).status == 405
    assert victim.ask("POST", f"/api/v1/exports/{run}/cancel?_method=DELETE").status == 403


def test_a_page_cannot_log_its_visitor_in_or_out(service: Served, victim: Target) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    mallory = service.token("mallory", "viewer")
    for origin in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {}):
        sent = {**form, **origin}
        assert victim.ask("POST", "/login", sent, f"token={mallory}").status == 403
        assert victim.ask("POST", "/logout", sent).status == 403
    # A page of a sibling host can set a cookie of its own beside the victim's.
    both = f"{victim.cookie}; {service.login(mallory)}"
    assert victim.ask("GET", "/", {"Cookie": both}, victim=False).status == 400
    for forged in (
        "exporter_session=x",
        "exporter_session=" + "A" * 4000,
        "exporter_session=e30.x.y",
    ):
        assert victim.ask("GET", "/", {"Cookie": forged}, victim=False).status == 401


@pytest.mark.parametrize(
    "there",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/%0d%0aX:y", "javascript:1", ""],
)
def test_a_login_leads_to_pages_of_the_service_only(
    service: Served, operator: str, there: str
) -> None:
    sent = {"Origin": service.url, "Content-Type": "application/x-www-form-urlencoded"}
    body = f"token={operator}&next={there}"
    answer = Target(service.port).ask("POST", "/login", sent, body)
    assert answer.status == 303
    assert answer.headers["location"] in ("/", "/%0d%0aX:y"), "a path of this service"
    assert set(answer.headers) & {"x"} == set()


def test_slow_clients_keep_nobody_waiting(victim: Target) -> None:
    slow = head(
        victim, "POST /graphql HTTP/1.1", f"Cookie: {victim.cookie}",
        f"Origin: http://{victim.host}", "Content-Type: application/json", "Content-Length: 1000",
    )  # fmt: skip
    with ExitStack() as open_ones:
        for sent in (slow, slow[:40]) * 20:
            address = ("127.0.0.1", victim.port)
            open_ones.enter_context(socket.create_connection(address)).sendall(sent)
        started = time.monotonic()
        assert victim.ask("GET", "/healthz").status == 200
        assert time.monotonic() - started < 5


def test_a_compressed_body_is_not_unpacked(victim: Target) -> None:
    own = {"Origin": f"http://{victim.host}", "Content-Encoding": "gzip"}
    assert victim.graphql("{ version }", own).status == 415


def socket_of(service: Served, token: str) -> ws.ClientConnection:
    """A web socket of a program."""
    return ws.connect(
        f"ws://127.0.0.1:{service.port}/graphql",
        subprotocols=["graphql-ws"],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {token}"},
    )


@pytest.mark.parametrize(
    "messages",
    [
        ['{"type": "connection_init"}'] * 400,
        [
            json.dumps({"type": "start", "id": str(n), "payload": {"query": "subscription { x }"}})
            for n in range(150)
        ],
        ["x" * 70_000],
        ["not json"], ["[]"], ['{"type": "start", "id": "1"}'],
        ['{"type": "start", "id": {}, "payload": {"query": "{a}"}}'],
    ],
    ids=["flood", "subscriptions", "long", "text", "list", "no query", "odd id"],
)  # fmt: skip
def test_a_web_socket_that_breaks_a_limit_is_closed(
    service: Served, operator: str, messages: list[str]
) -> None:
    with socket_of(service, operator) as connection, pytest.raises(ConnectionClosed):  # noqa: PT012
        for message in messages:
            connection.send(message)
        while True:
            connection.recv(timeout=10)


def test_a_user_has_a_limited_number_of_web_sockets(service: Served) -> None:
    token = service.token("busy", "viewer")
    with ExitStack() as open_ones:
        for _ in range(50):
            open_ones.enter_context(socket_of(service, token))
        with pytest.raises(InvalidStatus, match="429"):
            open_ones.enter_context(socket_of(service, token))


def test_a_revoked_token_ends_its_sessions_at_once(service: Served) -> None:
    cookie = service.login(service.token("leaver", "operator"))
    target = Target(service.port, cookie)
    own = {"Origin": service.url}
    assert target.graphql("{ version }", own).status == 200
    assert service.project.exporter("token", "revoke", "leaver").code == 0
    assert target.graphql("{ version }", own).status == 401


def test_after_logging_out_a_copy_of_the_cookie_is_worth_nothing(
    service: Served, operator: str
) -> None:
    target = Target(service.port, service.login(operator))
    own = {"Origin": service.url}
    assert target.ask("POST", "/logout", own).status == 303
    assert target.graphql("{ version }", own).status == 401


def test_paths_that_hide_where_they_lead_are_refused(victim: Target) -> None:
    for path in (
        "//graphql",
        "/./../graphql",
        "/x/..;/graphql",
        "/%2e/%2e%2e/graphql",
        "/a%5c..%5cb",
    ):
        assert victim.ask("GET", path).status == 400, path


def test_a_proxy_that_nobody_configured_is_not_believed(victim: Target) -> None:
    forged = {
        "X-Forwarded-User": "root", "X-Remote-User": "root", "X-Exporter-Proxy-Secret": "guess",
        "X-Exporter-User": "root", "X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1",
    }  # fmt: skip
    assert victim.ask("GET", "/", forged, victim=False).status == 401


def test_many_wrong_tokens_are_slowed_down_and_the_right_one_passes(
    service: Served, operator: str
) -> None:
    target = Target(service.port)
    wrong = [
        target.ask("GET", "/server_info", {"Authorization": f"Bearer {n}"}).status
        for n in range(14)
    ]
    assert wrong.count(429) >= 3
    assert set(wrong) <= {401, 429}
    right = {"Authorization": f"Bearer {operator}"}
    assert target.ask("GET", "/server_info", right).status == 200


def test_a_second_service_of_the_project_says_where_the_first_is(
    service: Served, project: Project
) -> None:
    refused = project.exporter("serve", "--port", str(free_port()))
    assert refused.code == 1
    assert f"already running on {service.url} (process {service.process.pid})" in refused.stderr


def test_without_a_token_it_does_not_listen_on_all_interfaces(
    project: Project, tmp_path: Path
) -> None:
    none = str(tmp_path / "none")
    refused = project.exporter("serve", "--host", "0.0.0.0", EXPORTER_TOKENS_FILE=none)
    assert (refused.code, refused.stderr.count("\n")) == (1, 1)
    assert "exporter token add NAME --role operator" in refused.stderr


def test_the_token_command(project: Project, tmp_path: Path) -> None:
    file = str(tmp_path / "tokens")

    def token(*arguments: str) -> tuple[int, str]:
        done = project.exporter("token", *arguments, EXPORTER_TOKENS_FILE=file)
        return done.code, done.stdout + done.stderr

    assert token("list")[1].startswith("No tokens in ")
    code, said = token(
        "add", "job", "--role", "exporter", "--role", "quarantine", "--expires", "90d"
    )
    assert code == 0
    assert "exporter_" in said
    assert "job  exporter+quarantine  expires 20" in token("list")[1]
    for wrong in (
        ("add", "job", "--role", "viewer"), ("add", "a b", "--role", "viewer"),
        ("add", "x", "--role", "viewer", "--expires", "soon"),
        ("add", "x", "--role", "viewer", "--expires", "2020-01-01"), ("revoke", "nobody"),
    ):  # fmt: skip
        code, said = token(*wrong)
        assert code == 1, wrong
        assert said.startswith("Error: "), said
    assert token("revoke", "job") == (0, "Revoked the token of job.\n")


def test_no_secret_is_in_the_logs_the_audit_file_or_the_tags(
    service: Served, project: Project, operator: str, victim: Target
) -> None:
    victim.ask("GET", f"/?token={operator}")
    victim.ask("GET", f"/runs/{operator}")
    victim.ask("GET", "/x%1b[31m", {"User-Agent": "\x1b[31m", "Authorization": f"Basic {operator}"})
    session = victim.cookie.partition("=")[2]
    written = [service.log, *project.path.glob(".dagster/**/*"), project.path / ".tokens"]
    texts = [file.read_bytes() for file in written if file.is_file()]
    with history_of(project) as instance:
        texts.append(json.dumps([dict(run.tags) for run in instance.get_runs()]).encode())
    bearer = {"Authorization": f"Bearer {operator}"}
    openapi = Target(service.port).ask("GET", "/api/v1/openapi.json", bearer)
    assert openapi.status == 200
    texts.append(openapi.text.encode())
    for secret in (operator, session, CANARY):
        assert [text for text in texts if secret.encode() in text] == []
    assert all(json.loads(line) for line in service.audit().splitlines())


def test_the_service_is_still_well_after_all_of_this(service: Served, victim: Target) -> None:
    assert service.process.poll() is None
    assert "Traceback" not in service.log.read_text(), service.log.read_text()
    assert victim.graphql("{ version }", {"Origin": service.url}).has("version")
    assert len(list(Path(f"/proc/{service.process.pid}/fd").iterdir())) < 100


def test_sigterm_ends_it_with_open_streams_and_web_sockets_and_no_run(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    with served(project) as service, ExitStack() as open_ones:
        [run_id] = runs_of(project, service, 1)
        assert "No daemon is running, so exports wait." in service.log.read_text()
        token = service.token("alice", "operator")
        address, target = ("127.0.0.1", service.port), Target(service.port)
        path = f"/api/v1/exports/{run_id}/events"
        request = head(target, f"GET {path} HTTP/1.1", f"Authorization: Bearer {token}")
        for _ in range(10):
            open_ones.enter_context(socket_of(service, token))
            stream = open_ones.enter_context(socket.create_connection(address, timeout=60))
            stream.sendall(request)
            assert b"200 OK" in stream.recv(65536)
        service.process.terminate()
        assert service.process.wait(timeout=60) == 0  # 6 s on a quiet machine
    with history_of(project) as instance:
        assert [run.status.value for run in instance.get_runs()] == ["QUEUED"]
