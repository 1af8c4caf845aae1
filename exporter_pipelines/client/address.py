"""The address of a service and the token for it, checked before anything is sent.

A token must reach nobody but the service: it is never part of a URL, of a message or of a log, and
goes over an unencrypted connection only on the same machine, unless the user allows it.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import httpx

from exporter_pipelines.errors import ConfigurationError

_EXAMPLE = "Write it as https://exports.example.org or http://127.0.0.1:3000."


@dataclass(frozen=True)
class Address:
    """Where a service is.

    Attributes:
        url: With its path prefix, without a slash at the end.
        host: Name or IP address.
        is_loopback: Whether it is on this machine.
    """

    url: str
    host: str
    is_loopback: bool


def checked_address(url: str, token: str | None, *, allow_http: bool) -> Address:
    """The address in `url`.

    Raises:
        ConfigurationError: it is no address of a service, has a token in it, or would send the
            token over an unencrypted connection. The message has no secret.
    """
    url = url.strip()
    parts = _split(url)
    if parts.username is not None or parts.password is not None or (token and token in url):
        raise ConfigurationError(
            f"The address of the service {parts.hostname} has a password or token in it.",
            "Remove it, and set EXPORTER_API_TOKEN or use --token-file.",
        )
    if "?" in url or "#" in url:
        raise ConfigurationError(
            f"The address of the service {parts.hostname} has a query or a fragment.",
            f"A token belongs in EXPORTER_API_TOKEN or --token-file. {_EXAMPLE}",
        )
    host = parts.hostname or ""
    is_loopback = _is_loopback(host)
    if token and parts.scheme == "http" and not is_loopback and not allow_http:
        raise ConfigurationError(
            f"The token would be sent to {host} over an unencrypted connection.",
            "Use https. In a network where nobody else can listen, set EXPORTER_API_ALLOW_HTTP=1 "
            "(in Python allow_http=True).",
        )
    # The examples with curl have `/api/v1` in their address.
    return Address(url.rstrip("/").removesuffix("/api/v1"), host, is_loopback)


def checked_token(token: str | None) -> str | None:
    """The token without white space around it; None for none.

    Raises:
        ConfigurationError: it has characters that no header may have. The message has no token.
    """
    token = (token or "").strip()
    if not re.fullmatch(r"[\x21-\x7e]*", token):
        raise ConfigurationError(
            "The token has spaces, line breaks or other characters that no token has.",
            "Copy it again from the output of `exporter token add`.",
        )
    return token or None


def _split(url: str) -> SplitResult:
    wrong = ConfigurationError("The address of the service is not a URL with a host.", _EXAMPLE)
    if not re.fullmatch(r"(?i:https?)://[\x21-\x7e]+", url) or "\\" in url:
        raise wrong
    try:
        parts, sent_to = urlsplit(url), httpx.URL(url)
        _ = parts.port, sent_to.host  # both are checked when they are read
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, httpx.InvalidURL):  # a UnicodeError is a ValueError
        raise wrong from None
    # What is checked here must be where httpx connects to.
    if not host or "%" in host or sent_to.raw_host.decode().lower() != host:
        raise wrong
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
