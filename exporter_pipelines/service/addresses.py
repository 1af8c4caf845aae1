"""Which hosts and origins are the service's own, and which requests another site may cause."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from exporter_pipelines.service.heads import Head
from exporter_pipelines.service.refusals import Refusal

_LINKED_WITH_QUERY = ("/runs", "/assets", "/locations", "/exports", "/docs", "/login")
"""Pages that only show something: links in alerts and mails may have a query string."""
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_ALL_INTERFACES = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Addresses:
    """Where the service may be reached.

    Attributes:
        hosts: Values of the header Host, in lower case, with the port unless it is the usual one.
        origins: Values of the header Origin of pages of the service.
    """

    hosts: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def of(cls, urls: Iterable[str], host: str, port: int) -> Addresses:
        """Of the addresses in the settings, the loopback interface and where the service listens.

        Args:
            urls: `https://host[:port]`, `http://host[:port]` or `host[:port]`, which is https.
            host, port: Where the service listens.
        """
        here = (*_LOCAL_NAMES, *(() if host in _ALL_INTERFACES else (_bracketed(host),)))
        own = [f"http://{name}:{port}" for name in here]
        origins = {_origin(url if "://" in url else f"https://{url}") for url in (*own, *urls)}
        return cls(frozenset(origin.partition("://")[2] for origin in origins), frozenset(origins))

    def refuse_other_host(self, head: Head) -> None:
        """Raise a `Refusal` for a host name that is not one of the service."""
        if head.host not in self.hosts:
            raise Refusal(
                421,
                "host",
                "The service does not answer to this host name. EXPORTER_SERVE_HOSTS lists the "
                "names that it has.",
            )

    def refuse_foreign(self, head: Head) -> None:
        """Raise a `Refusal` for what a page of another site causes; the path has no prefix."""
        origin = head.one("origin")
        foreign = bool(origin) and not self.is_own(head)
        site = head.one("sec-fetch-site").lower()
        if (foreign or site not in ("", "none", "same-origin")) and not self._is_a_link(head):
            raise Refusal(403, "foreign_origin", "A page of another site caused this request.")

    def is_own(self, head: Head) -> bool:
        """Whether the header Origin is there, and names the address of this request."""
        origin = head.one("origin").lower()
        return origin in self.origins and origin.partition("://")[2] == head.host

    def is_https(self, head: Head) -> bool:
        """Whether browsers reach this address over TLS, which a proxy may end."""
        return f"https://{head.host}" in self.origins

    @staticmethod
    def _is_a_link(head: Head) -> bool:
        """Whether somebody followed a link, as in a mail: it opens a page in a tab."""
        if not head.is_page_visit or head.one("origin") or not head.one("sec-fetch-mode"):
            return False
        with_query = head.path.startswith(tuple(f"{page}/" for page in _LINKED_WITH_QUERY))
        return not head.query or with_query or head.path in _LINKED_WITH_QUERY


def address_of(host: str, port: int, prefix: str = "") -> str:
    """The address that a browser on this machine opens."""
    return f"http://{_bracketed('127.0.0.1' if host in _ALL_INTERFACES else host)}:{port}{prefix}"


def _origin(url: str) -> str:
    """As browsers send it: without the usual port."""
    parts = urlsplit(url.lower())
    port = "" if parts.port in (None, _USUAL_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{_bracketed(parts.hostname or '')}{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def is_loopback(peer: str) -> bool:
    """Whether the other end is on this machine. One that is not known, as it has gone, is not."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
