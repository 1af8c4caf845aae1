"""The session of a browser: a signed cookie that says with what its user logged in.

It holds no roles: of a token only the begin of its hash, of a user of an OpenID provider only the
groups. A revoked or expired token ends its sessions at once, and other roles of groups count from
the next start.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from collections import OrderedDict
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from itsdangerous import BadSignature, TimestampSigner

from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.service.heads import Head
from exporter_pipelines.service.principals import ROLES, Principal
from exporter_pipelines.service.refusals import Refusal
from exporter_pipelines.service.tokens import Token, TokenFile
from exporter_pipelines.service_settings import Provider

SESSION_SECONDS = 12 * 3600
_NAME, _HOST = "exporter_session", "__Host-"
_MIN_KEY = 32
_ENDED = 10_000


class Sessions:
    """Makes, reads and ends sessions."""

    def __init__(
        self,
        key: str | None,
        key_file: Path,
        tokens: TokenFile,
        prefix: str = "",
        provider: Provider | None = None,
    ) -> None:
        """Prepare; nothing is read or written before a session begins.

        Args:
            key: Signs sessions; None for the key in `key_file`.
            key_file: Is made on first use.
            tokens: What sessions depend on.
            prefix: Path of the service.
            provider: Where users log in; sessions of another one do not count.
        """
        self._key, self._key_file, self._tokens = key, key_file, tokens
        self._provider = provider
        self._path = prefix or "/"
        self._ended: OrderedDict[str, None] = OrderedDict()

    @cached_property
    def signer(self) -> TimestampSigner:
        """Signs sessions, and what else goes through a browser and back."""
        return TimestampSigner(self._key or _key_in(self._key_file), salt="exporter.session")

    def of_token(self, token: Token) -> str:
        """A session of somebody who logged in with a token."""
        return self._sign({"token": token.prefix})

    def of_provider(self, name: str, groups: frozenset[str]) -> str:
        """A session of somebody whom the OpenID provider knows."""
        assert self._provider
        of = {"issuer": self._provider.issuer, "groups": sorted(groups)}
        return self._sign({"name": name, **of})

    def who(self, head: Head, *, https: bool) -> Principal | None:
        """Whose session a request has. Over TLS only the cookie counts that nobody else can set.

        Raises:
            Refusal: it has two different ones, and another site may have set one of them.
        """
        values = set(_cookies(head, (self._cookie_names[0] if https else _NAME,)))
        if len(values) > 1:
            raise Refusal(
                400,
                "two_sessions",
                "The browser sent two sessions. Delete the cookies of this site and log in again.",
            )
        return self._read(values.pop()) if values else None

    def end(self, head: Head) -> None:
        """Have the sessions of a request end here, also for somebody who has a copy of them.

        After a restart of the service a copy is valid again until its 12 hours are over.
        """
        for value in _cookies(head, self._cookie_names):
            self._ended[value] = None
            if len(self._ended) > _ENDED:
                self._ended.popitem(last=False)

    def cookie(self, value: str, *, https: bool) -> str:
        """The header Set-Cookie that starts a session; an empty value ends it."""
        name = self._cookie_names[0] if https else _NAME
        path = "/" if https and name.startswith(_HOST) else self._path
        parts = [f"{name}={value}", f"Path={path}"]
        parts += ["HttpOnly", "SameSite=Lax", f"Max-Age={SESSION_SECONDS if value else 0}"]
        return "; ".join([*parts, "Secure"] if https else parts)

    @property
    def _cookie_names(self) -> tuple[str, str]:
        """Over TLS a name that other hosts and insecure pages cannot set, and the plain one."""
        return (guarded_name(_NAME, self._path), _NAME)

    def _sign(self, what: dict[str, object]) -> str:
        what = {**what, "id": secrets.token_urlsafe(8)}  # so that each can end by itself
        text = base64.urlsafe_b64encode(json.dumps(what).encode()).decode().rstrip("=")
        return self.signer.sign(text).decode()

    def _read(self, value: str) -> Principal | None:
        if value in self._ended:
            return None
        try:
            text, signed_at = self.signer.unsign(value, SESSION_SECONDS, return_timestamp=True)
        except BadSignature:  # also: too old
            return None
        if signed_at.timestamp() > time.time() + 60:  # the clock was set back
            return None
        what = json.loads(base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
        if "token" in what:
            token = self._tokens.with_prefix(what["token"])
            return token.principal("session") if token else None
        if self._provider is None or what.get("issuer") != self._provider.issuer:
            return None  # before the settings were changed
        roles = self._provider.roles_of(what["groups"]) & set(ROLES)
        return Principal(what["name"], roles, "oidc") if roles else None


def guarded_name(name: str, path: str) -> str:
    """The name of a cookie over TLS: other hosts of the domain and insecure pages cannot set it.

    `__Host-` needs the path `/`; below a prefix only `__Secure-` is possible, which other hosts of
    the domain can set over TLS.
    """
    return f"{_HOST}{name}" if path == "/" else f"__Secure-{name}"


def _cookies(head: Head, names: tuple[str, ...]) -> list[str]:
    """All values of these cookies, also of one that occurs twice."""
    found = []
    for header in head.headers.get("cookie", ()):
        for part in header.split(";"):
            name, _, value = part.strip().partition("=")
            if name in names and value:
                found.append(value)
    return found


def cookie_of(head: Head, name: str) -> str:
    """The value of another cookie of the service; empty if there is none."""
    try:
        morsels = [SimpleCookie(header).get(name) for header in head.headers.get("cookie", ())]
    except CookieError:
        return ""
    return next((morsel.value for morsel in morsels if morsel), "")


def _key_in(path: Path) -> str:
    """The key in a file of this user, which is made on first use.

    Raises:
        ConfigurationError: others may read the file, or it has no key.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    key = path.read_text().strip()
    if os.stat(path).st_mode & 0o077 or len(key) < _MIN_KEY:
        raise ConfigurationError(
            f"{path} signs sessions, but other users may read it or it has no key.",
            f"Remove it, so that a new one is made: rm {path}.",
        )
    return key
