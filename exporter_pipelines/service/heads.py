"""The head of a request, as the checks of the guard read it: method, address, headers, peer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote

from starlette.types import Scope

from exporter_pipelines.service.refusals import Refusal

MAX_HEAD_BYTES = 32 * 1024
_ONCE = (
    "authorization", "content-length", "content-type", "host", "origin", "sec-fetch-dest",
    "sec-fetch-mode", "sec-fetch-site", "sec-websocket-key", "transfer-encoding",
)  # fmt: skip
"""Headers that two programs would read differently if a request had them twice."""
# Dots and separators that one program decodes before, and another after it chooses a route.
_UNCLEAR = re.compile(r"(\.|%2e){2}|%2f|%5c|\\|%[01][0-9a-f]|%7f|[^\x21-\x7e]", re.IGNORECASE)
_SECRET_NAMES = {"token", "access_token", "api_key", "apikey", "authorization", "password"}
TOKEN_FORM = re.compile(r"exporter_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
"""What every token of `exporter token add` looks like, and nothing else."""


@dataclass(frozen=True)
class Head:
    """What a request says before its body.

    Attributes:
        kind: `http` or `websocket`.
        method: In upper case; of a web socket `GET`.
        path: Decoded once, as routes see it, without the prefix of the service.
        query: As sent, without the question mark.
        headers: Lower-case name -> values in the order sent.
        peer: IP address of the other end of the connection; empty if it is not known.
        raw_path: As sent, with the prefix.
    """

    kind: str
    method: str
    path: str
    query: str
    headers: Mapping[str, tuple[str, ...]]
    peer: str
    raw_path: str = "/"

    @classmethod
    def of(cls, scope: Scope) -> Head:
        """Read the head of an ASGI scope."""
        headers: dict[str, tuple[str, ...]] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            headers[key] = (*headers.get(key, ()), value.decode("latin-1"))
        client = scope.get("client")
        raw = scope.get("raw_path")
        return cls(
            scope["type"],
            scope.get("method", "GET").upper(),
            scope["path"],
            scope.get("query_string", b"").decode("latin-1"),
            headers,
            client[0] if client else "",
            raw.decode("latin-1").partition("?")[0] if raw else scope["path"],
        )

    def one(self, name: str) -> str:
        """The value of a header; empty if it is missing."""
        return self.headers.get(name, ("",))[0].strip()

    @property
    def host(self) -> str:
        """The header Host in lower case."""
        return self.one("host").lower()

    @property
    def is_page_visit(self) -> bool:
        """Whether a browser opens the address in a tab, and not a part of a page."""
        if self.kind != "http" or self.method != "GET":
            return False
        if mode := self.one("sec-fetch-mode"):
            return mode == "navigate" and self.one("sec-fetch-dest") in ("", "document")
        return "text/html" in self.one("accept")

    def below(self, prefix: str) -> Head:
        """The same head with the path below `prefix`.

        Raises:
            Refusal: the path is outside of it.
        """
        if not prefix:
            return self
        if self.path != prefix and not self.path.startswith(f"{prefix}/"):
            raise Refusal(404, "outside_prefix", f"The service is at {prefix}/.")
        path = self.path.removeprefix(prefix) or "/"
        return replace(self, path=path)

    def refuse_what_is_long(self) -> None:
        """Raise a `Refusal` for a head that is too long: the server limits only parts of it."""
        headers = sum(
            len(name) * len(all_) + len("".join(all_)) for name, all_ in self.headers.items()
        )
        if len(self.raw_path) + len(self.query) + headers > MAX_HEAD_BYTES:
            limit = f"{MAX_HEAD_BYTES // 1024} KiB"
            raise Refusal(431, "long_head", f"The address and the headers are longer than {limit}.")

    def refuse_what_is_unclear(self) -> None:
        """Raise a `Refusal` for what two programs could read differently, and for secrets."""
        for name in _ONCE:
            if len(self.headers.get(name, ())) > 1:
                raise Refusal(400, "repeated_header", f"The header {name} may occur once.")
        if "content-length" in self.headers and "transfer-encoding" in self.headers:
            raise Refusal(400, "two_lengths", "A request has one of two lengths, not both.")
        if not self.raw_path.startswith("/") or self.raw_path.startswith("//"):
            raise Refusal(400, "path", "The address of a request begins with one slash.")
        if _UNCLEAR.search(self.raw_path):
            raise Refusal(400, "path", "The path has characters or dots that are not allowed.")
        self._refuse_secrets()

    def _refuse_secrets(self) -> None:
        """Addresses are kept in histories and logs of proxies, so a secret there is disclosed."""
        named = {name.lower() for name, _ in parse_qsl(self.query, keep_blank_values=True)}
        whole = unquote(f"{self.path}?{self.query}")
        if named & _SECRET_NAMES or TOKEN_FORM.search(whole):
            raise Refusal(
                400,
                "secret_in_address",
                "A token in the address of a request is refused. Revoke it, since the address may "
                "be in logs, and send a new one in the header Authorization.",
            )
