"""A small OpenID provider as a process of its own, which can also be dishonest.

    python -m exporter_pipelines_tests.support.oidc_provider PORT

`/authorize` lets in the user of the parameter `user` without asking. Some users get an answer that
a client has to refuse; `FAULTS` says how. The provider itself is broken at the issuers `/MODE`,
with the modes of `BROKEN`, and ends its name with a slash at the issuer `/slash/`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from exporter_pipelines_tests.support.projects import ROOT
from exporter_pipelines_tests.support.servers import free_port
from exporter_pipelines_tests.support.waiting import wait_until

CLIENT, SECRET = "exporter", "the-secret-of-the-client"
USERS = {"alice": ["data-team", "staff"], "bob": ["staff"], "eve": ["visitors"], "solo": "staff"}
FAULTS: dict[str, dict[str, object]] = {
    "wrong-nonce": {"nonce": "another"},
    "no-nonce": {"nonce": None},
    "wrong-audience": {"aud": "another-client"},
    "wrong-issuer": {"iss": "http://127.0.0.1:1"},
    "for-another": {"aud": [CLIENT, "other"], "azp": "other"},
    "for-two": {"aud": [CLIENT, "other"]},
    "expired": {"exp": 1},
    "no-end": {"exp": None},
}
ODD_GROUPS: dict[str, object] = {
    "number": 7, "truth": True, "fraction": 1.5, "mapping": {"data-team": True},
    "nested": [["data-team"]], "star": ["*"],
}  # fmt: skip
_KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
_OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
_CODES: dict[str, dict[str, str]] = {}
_METADATA, _KEYS, _TOKEN = "/.well-known/openid-configuration", "/keys", "/token"
_HUGE = {"padding": "x" * 3_000_000}
BROKEN: dict[str, tuple[str, Any]] = {
    "no-address": (_METADATA, {"token_endpoint": "http://[::1"}),
    "half-a-character": (_METADATA, {"authorization_endpoint": "http://127.0.0.1/\ud800"}),
    "a-script": (_METADATA, {"authorization_endpoint": "javascript:alert(1)"}),
    "no-keys": (_KEYS, b"{}"),
    "null-keys": (_KEYS, {"keys": None}),
    "odd-key": (_KEYS, {"keys": [{"kty": ["RSA"]}]}),
    "odd-curve": (_KEYS, {"keys": [{"kty": "EC", "crv": "P-9", "x": "AA", "y": "AA"}]}),
    "deep-keys": (_KEYS, b"[" * 100_000),
    "huge-metadata": (_METADATA, _HUGE),
    "huge-keys": (_KEYS, _HUGE),
    "huge-token": (_TOKEN, _HUGE),
    "slow-token": (_TOKEN, None),
}
"""Mode -> path and what is wrong there: entries, a body, or None for an answer without an end."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        issuer, path = self._issuer_and_path(parts.path)
        if path == _METADATA:
            self._json({
                "issuer": issuer, "authorization_endpoint": f"{issuer.rstrip('/')}/authorize",
                "token_endpoint": f"{issuer.rstrip('/')}/token",
                "jwks_uri": f"{issuer.rstrip('/')}/keys",
            })  # fmt: skip
        elif path == _KEYS:
            self._json({"keys": [_KEY.as_dict(private=False)]})
        elif path == "/authorize":
            assert query["response_type"] == "code"
            assert query["code_challenge_method"] == "S256"
            code = secrets.token_urlsafe(16)
            _CODES[code] = {**query, "issuer": issuer}
            answer = {"code": code, "state": query["state"]}
            self._answer(303, b"", {"Location": f"{query['redirect_uri']}?{urlencode(answer)}"})
        else:
            self._answer(404, b"")

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = _CODES.pop(form.get("code", ""), None)  # a code is good once
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            self.headers["Authorization"] != f"Basic {basic}"
            or asked is None
            or form["redirect_uri"] != asked["redirect_uri"]
            or base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != asked["code_challenge"]
        ):
            self._json({"error": "invalid_grant"}, 400)
            return
        self._json({"access_token": "a", "token_type": "Bearer", "id_token": self._token(asked)})

    def _token(self, asked: dict[str, str]) -> str:
        user = asked.get("user", "alice")
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": asked["issuer"],
            "aud": CLIENT, "sub": f"id-{user}", "preferred_username": user, "iat": now,
            "exp": now + 300, "nonce": asked["nonce"], "groups": USERS.get(user, ["data-team"]),
        } | FAULTS.get(user, {})  # fmt: skip
        claims["groups"] = ODD_GROUPS.get(user, claims["groups"])
        if user == "nonces":
            claims["nonce"] = [asked["nonce"]]
        claims = {name: value for name, value in claims.items() if value is not None}
        if user == "unsigned":
            parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
            return ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts) + "."
        if user == "shared-secret":  # signed with what everybody can read
            public = json.dumps(_KEY.as_dict(private=False)).encode()
            head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=").decode()
            body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
            mac = hashlib.sha256(public + f"{head}.{body}".encode()).digest()
            return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        key = _OTHER if user == "other-key" else _KEY
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)

    def _issuer_and_path(self, path: str) -> tuple[str, str]:
        """`/MODE` is a part of the issuer."""
        issuer = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        mode = path.split("/")[1]
        if mode in BROKEN or mode == "slash":
            return f"{issuer}/{mode}{'/' * (mode == 'slash')}", path.removeprefix(f"/{mode}")
        return issuer, path

    def _json(self, body: object, status: int = 200) -> None:
        at, wrong = BROKEN.get(self.path.split("/")[1], ("-", {}))
        if self._issuer_and_path(self.path)[1] == at:
            if wrong is None:
                self._trickle()
                return
            if isinstance(wrong, bytes):
                self._answer(200, wrong)
                return
            body = {**body, **wrong}  # type: ignore[dict-item]
        self._answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _trickle(self) -> None:
        """A byte now and then, so that no single read takes long."""
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            for _ in range(100):
                self.wfile.write(b" ")
                time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        """Be silent."""


@contextmanager
def oidc_provider() -> Iterator[str]:
    """A provider on a free port of loopback; its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-m", __name__, str(port)], env=here, cwd=ROOT)

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/keys", timeout=5):
                return True
        except OSError:
            return False

    try:
        wait_until(answers, "the provider answers", seconds=60, process=process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
