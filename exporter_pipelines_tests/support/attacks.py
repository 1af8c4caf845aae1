"""Requests that a page of another site, or a stranger, sends to a Dagster web server.

Each probe wins when the server did what it should not. A stock `dagster-webserver` is the control:
it shows that the probes work.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

EVIL = "http://evil.example"
LAUNCH = """mutation { launchRun(executionParams: {selector: {
  repositoryLocationName: "exporter_pipelines", repositoryName: "__repository__",
  jobName: "logs_job"}, executionMetadata: {tags: [
  {key: "dagster/partition", value: "2026-11-01"}]}, runConfigData: {}}) { __typename } }"""
LIMIT = 'mutation { setConcurrencyLimit(concurrencyKey: "exporter_source_url", limit: 0) }'
RUNS = "{ runsOrError { ... on Runs { results { runId } } } }"
IMAGE = {
    "Accept": "image/avif,image/webp,*/*;q=0.8", "Referer": f"{EVIL}/",
    "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image",
}  # fmt: skip
OLD_IMAGE = {"Accept": "image/*", "Referer": f"{EVIL}/"}
FORM = {
    "Origin": EVIL, "Content-Type": "application/x-www-form-urlencoded",
    "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
}  # fmt: skip
WEB_SOCKET = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "graphql-ws",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    def has(self, text: str) -> bool:
        """Whether it is an answer of 200 with a text in it."""
        return self.status == 200 and text in self.text.replace(" ", "")


@dataclass(frozen=True)
class Target:
    """A server under attack.

    Attributes:
        port: On 127.0.0.1.
        cookie: What the victim's browser adds to every request, whatever SameSite says.
        run_ids: Runs that exist; a probe deletes the first.
    """

    port: int
    cookie: str = ""
    run_ids: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Its own name."""
        return f"127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        *,
        victim: bool = True,
    ) -> Answer:
        """Send a request, with the path as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = dict(headers or {})
        connection.putrequest(method, path, skip_host="Host" in sent, skip_accept_encoding=True)
        if victim and self.cookie:
            sent["Cookie"] = self.cookie
        if body is not None:
            sent["Content-Length"] = str(len(body))
        elif method == "POST":
            sent["Content-Length"] = "0"
        for name, value in sent.items():
            connection.putheader(name, value)
        try:
            connection.endheaders(body.encode() if body else None)
            answer = connection.getresponse()
            text = "" if answer.status == 101 else answer.read().decode("utf-8", "replace")
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, text)
        finally:
            connection.close()

    def graphql(self, query: str, headers: Mapping[str, str], **options: bool) -> Answer:
        """Send a query in the body."""
        sent = {"Content-Type": "application/json", **headers}
        return self.ask("POST", "/graphql", sent, json.dumps({"query": query}), **options)

    def raw(self, data: bytes, seconds: float = 5) -> bytes:
        """Send bytes, and return all that comes back until the server closes or is silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(data)
            received = b""
            try:
                while part := connection.recv(65536):
                    received += part
            except (TimeoutError, ConnectionResetError):
                pass
            return received


def _in_address(query: str, **more: str) -> str:
    return f"/graphql?{urlencode({'query': query, **more})}"


def _delete(target: Target) -> bool:
    query = f'mutation {{ deletePipelineRun(runId: "{target.run_ids[0]}") {{ __typename }} }}'
    answer = target.ask("GET", _in_address(query), IMAGE)
    return answer.has('"DeletePipelineRunSuccess"')


def _forged(path: str) -> Callable[[Target], bool]:
    sent = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    return lambda target: target.ask("POST", path, sent).status == 200


def _limit(
    method: str, path: str, headers: Mapping[str, str], body: str | None = None
) -> Callable[[Target], bool]:
    return lambda target: target.ask(method, path, headers, body).has('"setConcurrencyLimit":true')


def _opens(origin: str) -> Callable[[Target], bool]:
    return lambda t: t.ask("GET", "/graphql", {**WEB_SOCKET, "Origin": origin}).status == 101


def _debug(headers: Mapping[str, str]) -> Callable[[Target], bool]:
    return lambda t: t.ask("GET", f"/download_debug/{t.run_ids[-1]}", headers).status == 200


def _framed(target: Target) -> bool:
    headers = target.ask("GET", "/").headers
    policy = headers.get("content-security-policy", "")
    return "x-frame-options" not in headers and "frame-ancestors" not in policy


_BODY = json.dumps({"query": LIMIT})
_REBOUND = {"Host": "rebind.attacker.example"}
_CHECK = "/report_asset_check/logs?check_name=rejected_rows&passed=true"
PROBES: dict[str, Callable[[Target], bool]] = {
    "image starts a run": (
        lambda t: t.ask("GET", _in_address(LAUNCH), IMAGE).has("LaunchRunSuccess")
    ),
    "image of an old browser starts a run": (
        lambda t: t.ask("GET", _in_address(LAUNCH), OLD_IMAGE).has("LaunchRunSuccess")
    ),
    "image sets a limit": _limit("GET", _in_address(LIMIT), IMAGE),
    "image of an old browser sets a limit": _limit("GET", _in_address(LIMIT), OLD_IMAGE),
    "image with an operation name sets a limit": _limit(
        "GET", _in_address(LIMIT, op="A"), OLD_IMAGE
    ),
    "form sets a limit": _limit("POST", _in_address(LIMIT), FORM, "a=b"),
    "form with JSON as text sets a limit": _limit(
        "POST", "/graphql", {**FORM, "Content-Type": "text/plain;application/json"}, _BODY
    ),
    "page without an origin sets a limit": _limit(
        "POST", "/graphql", {"Origin": "null", "Content-Type": "application/json"}, _BODY
    ),
    "page on another port sets a limit": _limit(
        "POST", "/graphql",
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site",
         "Content-Type": "application/json"}, _BODY,
    ),
    "image reloads the definitions": (
        lambda t: t.ask("GET", _in_address("mutation { reloadWorkspace { __typename } }"), IMAGE)
        .has('"reloadWorkspace":{"__typename":"Workspace"')
    ),
    "image deletes a run": _delete,
    "page forges a materialization": _forged("/report_asset_materialization/logs"),
    "page forges a check": _forged(_CHECK),
    "rebound name reads in the address": (
        lambda t: t.ask("GET", _in_address(RUNS), _REBOUND).has("runId")
    ),
    "rebound name reads": lambda t: t.graphql(RUNS, _REBOUND).has("runId"),
    "rebound name downloads a debug file": _debug(_REBOUND),
    "page loads a debug file": _debug({**IMAGE, "Sec-Fetch-Dest": "iframe"}),
    "page opens a web socket": _opens(EVIL),
    "page without an origin opens a web socket": _opens("null"),
    "page frames the UI": _framed,
    "stranger reads": lambda t: t.graphql(RUNS, {}, victim=False).has("runId"),
    "stranger behind a proxy on this machine reads": (
        lambda t: t.graphql(RUNS, {"X-Forwarded-For": "203.0.113.7"}, victim=False).has("runId")
    ),
    "parent folder of the logs": lambda t: t.ask("GET", "/logs/../../.env").has("EXPORTER_"),
    "encoded parent folder of the logs": (
        lambda t: t.ask("GET", f"/logs/{quote('../../', safe='')}.env").has("EXPORTER_")
    ),
    "encoded dots": lambda t: t.ask("GET", "/logs/%2e%2e/%2e%2e/.env").has("EXPORTER_"),
    "a null byte in the logs": lambda t: t.ask("GET", "/logs/x%00y").status == 200,
    "a notebook of another folder": (
        lambda t: t.ask("GET", "/notebook?path=/etc/x.ipynb&repoLocName=x").has("cells")
    ),
}  # fmt: skip


def wins(target: Target) -> list[str]:
    """Names of the probes that win."""
    return [name for name, probe in PROBES.items() if probe(target)]
