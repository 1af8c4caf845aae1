"""Users whom a proxy in front of the service knows, such as oauth2-proxy, Authelia or Pomerium."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from exporter_pipelines.service.heads import Head
from exporter_pipelines.service.principals import Principal

SECRET_HEADER = "x-exporter-proxy-secret"  # noqa: S105 - a name
EVERYBODY = "*"
_FORWARDED = ("forwarded", "via", "x-real-ip")
_MAX_NAME = 128


@dataclass(frozen=True)
class TrustedProxy:
    """A proxy that adds the name of its user to each request, and a secret that only it has.

    Attributes:
        peers: Networks it connects from.
        secret: Value of the header X-Exporter-Proxy-Secret.
        user_header: The header with the name, in lower case; empty if it names no users.
        roles: Name -> roles; `*` for all others whom the proxy knows.
    """

    peers: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    secret: str
    user_header: str
    roles: Mapping[str, frozenset[str]]

    def sent(self, head: Head) -> bool:
        """Whether the request came through this proxy."""
        values = head.headers.get(SECRET_HEADER, ())
        if len(values) != 1 or not self._is_peer(head.peer):
            return False
        return hmac.compare_digest(values[0].encode("latin-1"), self.secret.encode())

    def who(self, head: Head) -> Principal | None:
        """The user that the proxy names; None without a name or without roles."""
        names = head.headers.get(self.user_header, ()) if self.user_header else ()
        if len(names) != 1 or not self.sent(head):
            return None
        name = names[0].strip()
        if not name or len(name) > _MAX_NAME or not name.isprintable() or name == EVERYBODY:
            return None
        roles = self.roles.get(name, self.roles.get(EVERYBODY, frozenset()))
        return Principal(name, roles, "proxy") if roles else None

    def client_of(self, head: Head) -> str:
        """Whose address the proxy saw, for the audit file: the last that it added."""
        last = ",".join(head.headers.get("x-forwarded-for", ())).rpartition(",")[2].strip()
        try:
            return str(ipaddress.ip_address(last)) if self.sent(head) else head.peer
        except ValueError:
            return head.peer

    def _is_peer(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False  # not known
        return any(address in network for network in self.peers)


def is_forwarded(head: Head) -> bool:
    """Whether a proxy passed the request on, so that the peer is not who asks."""
    return any(name in _FORWARDED or name.startswith("x-forwarded-") for name in head.headers)
