"""Settings of the service `exporter serve`, and their checks.

Belongs here: `EXPORTER_SERVE_*`, tokens, sessions, proxy, OpenID provider, audit. All others, and
how variables are read, are in `settings`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from exporter_pipelines import settings
from exporter_pipelines.errors import ConfigurationError, MissingSettingError

_YES, _NO = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}
_MIN_SECRET = 16
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")
_HEADER = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True)
class Proxy:
    """A proxy whose user names are believed; see docs/service.md."""

    peers: tuple[str, ...]
    secret: str = field(repr=False)
    user_header: str
    roles: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Provider:
    """An OpenID provider at which users log in; see docs/service.md.

    Attributes:
        redirect_url: Where it sends users back to.
        groups_claim: Name of the claim with the groups of a user.
        roles: Group -> roles; `*` for every user.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_url: str
    groups_claim: str
    roles: Mapping[str, frozenset[str]]

    def roles_of(self, groups: Iterable[str]) -> frozenset[str]:
        """What the settings give to some groups; nothing to those that they do not name."""
        return frozenset().union(*(self.roles.get(group, frozenset()) for group in groups))


def serve_host(given: str | None = None) -> str:
    """`EXPORTER_SERVE_HOST`: the interface that the service listens on; `given` replaces it."""
    value = given or settings.text("EXPORTER_SERVE_HOST") or "127.0.0.1"
    if not _HOST.fullmatch(value):
        raise ConfigurationError(
            f"The host {value!r} (EXPORTER_SERVE_HOST) is neither an address nor a name.",
            "Write it as 127.0.0.1, ::1 or localhost, without a port.",
        )
    return value


def serve_port() -> int:
    """`EXPORTER_SERVE_PORT`: the port that it listens on."""
    value = settings.text("EXPORTER_SERVE_PORT") or "3000"
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
        raise ConfigurationError(f"EXPORTER_SERVE_PORT={value!r} is not a port, 1 to 65535.")
    return int(value)


def checked_prefix(given: str | None = None) -> str:
    """`EXPORTER_SERVE_PREFIX`: prefix of every path of the service; `given` replaces it."""
    value = settings.text("EXPORTER_SERVE_PREFIX") if given is None else given
    if value and (not _PREFIX.fullmatch(value) or ".." in value):
        raise ConfigurationError(
            f"The prefix {value!r} (EXPORTER_SERVE_PREFIX) is not a path.",
            "Write it as /exporter, without a slash at its end.",
        )
    return value


def serve_addresses() -> tuple[str, ...]:
    """`EXPORTER_SERVE_HOSTS` and the address of `EXPORTER_UI_URL`, as browsers reach them."""
    listed = _list("EXPORTER_SERVE_HOSTS")
    for entry in listed:
        _refuse_other_than_address("EXPORTER_SERVE_HOSTS", entry)
    ui = settings.ui_url()
    _refuse_other_than_address("EXPORTER_UI_URL", ui)
    return (*listed, ui)


def tokens_file() -> Path:
    """`EXPORTER_TOKENS_FILE`: the hashes of tokens and their roles."""
    return settings.path("EXPORTER_TOKENS_FILE", ".tokens")


def session_key() -> str | None:
    """`EXPORTER_SESSION_KEY`: signs sessions; None for a key that the service makes. A secret."""
    return _secret("EXPORTER_SESSION_KEY", 32)


def read_only() -> bool:
    """`EXPORTER_READ_ONLY`: nobody may change anything."""
    value = settings.text("EXPORTER_READ_ONLY").lower()
    if value not in _YES | _NO:
        raise ConfigurationError(f"EXPORTER_READ_ONLY={value!r} is neither true nor false.")
    return value in _YES


def audit_file() -> Path:
    """`EXPORTER_AUDIT_FILE`: one line per change and per refused request."""
    home = Path(settings.dagster_home() or ".")
    return settings.path("EXPORTER_AUDIT_FILE", str(home / ".dagster" / "audit.jsonl"))


def proxy() -> Proxy | None:
    """`EXPORTER_PROXY_*`: None if no proxy is trusted."""
    peers, secret = _list("EXPORTER_PROXY_PEERS"), _secret("EXPORTER_PROXY_SECRET", _MIN_SECRET)
    if not peers and secret is None:
        return None
    if not peers or secret is None:
        missing = "EXPORTER_PROXY_SECRET" if peers else "EXPORTER_PROXY_PEERS"
        raise MissingSettingError(
            f"A trusted proxy needs {missing}, which is not set.",
            "Without both, everybody who can connect could name himself a user.",
        )
    header = settings.text("EXPORTER_PROXY_USER_HEADER").lower()
    if header and not _HEADER.fullmatch(header):
        raise ConfigurationError(f"EXPORTER_PROXY_USER_HEADER={header!r} is not a header name.")
    return Proxy(peers, secret, header, _roles("EXPORTER_PROXY_ROLES"))


def provider() -> Provider | None:
    """`EXPORTER_OIDC_*`: None without an OpenID provider."""
    issuer = settings.text("EXPORTER_OIDC_ISSUER").rstrip("/")
    if not issuer:
        return None
    parts = _parts(issuer)
    local = parts is not None and parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts is None or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ConfigurationError(
            f"EXPORTER_OIDC_ISSUER={_shown(issuer)} is not an address that begins with https://.",
            "Everything that it says about users would otherwise come unprotected.",
        )
    client_id, secret = (
        settings.text("EXPORTER_OIDC_CLIENT_ID"),
        _secret("EXPORTER_OIDC_CLIENT_SECRET", 1),
    )
    for variable, value in (
        ("EXPORTER_OIDC_CLIENT_ID", client_id),
        ("EXPORTER_OIDC_CLIENT_SECRET", secret),
        ("EXPORTER_OIDC_ROLES", settings.text("EXPORTER_OIDC_ROLES")),
    ):
        if not value:
            raise MissingSettingError(
                f"EXPORTER_OIDC_ISSUER needs {variable}, which is not set.",
                "See Login through an OpenID provider in docs/service.md.",
            )
    redirect = f"{settings.ui_url()}/login/oidc/callback"
    claim = settings.text("EXPORTER_OIDC_GROUPS_CLAIM") or "groups"
    assert secret
    return Provider(issuer, client_id, secret, redirect, claim, _roles("EXPORTER_OIDC_ROLES"))


def _list(variable: str) -> tuple[str, ...]:
    return tuple(re.split(r"[\s,]+", value)) if (value := settings.text(variable)) else ()


def _roles(variable: str) -> dict[str, frozenset[str]]:
    """`name:role[+role], name:role`; a name may contain colons and spaces."""
    found = {}
    for entry in filter(None, (part.strip() for part in settings.text(variable).split(","))):
        name, _, roles = entry.rpartition(":")
        if not name or not roles:
            raise ConfigurationError(
                f"{variable} has the entry {entry!r}, which is not name:role[+role].",
                "Separate entries by commas: admins:operator, *:viewer.",
            )
        found[name.strip()] = frozenset(role.strip() for role in roles.split("+"))
    return found


def _secret(variable: str, characters: int) -> str | None:
    value = settings.text(variable)
    if value and len(value) < characters:
        raise ConfigurationError(
            f"{variable} has fewer than {characters} characters; its value is not shown.",
            "Make one with: openssl rand -hex 32.",
        )
    return value or None


def _refuse_other_than_address(variable: str, entry: str) -> None:
    parts = _parts(entry if "://" in entry else f"https://{entry}")
    good = parts is not None and parts.scheme in ("http", "https") and parts.port != 0
    if parts is None or not good or "@" in parts.netloc or "*" in parts.netloc:
        raise ConfigurationError(
            f"{variable} has {_shown(entry)}, which is not an address.",
            "Write https://exporter.example.org, or a host name with its port.",
        )


def _parts(url: str) -> SplitResult | None:
    """The parts of a URL with a host; None for one that cannot be read."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # may not be a number
    except ValueError:
        return None
    return parts if parts.hostname else None


def _shown(url: str) -> str:
    """A wrong address, for messages; not one that may have a password."""
    return repr(url) if "@" not in url else "a value with @, not shown"
