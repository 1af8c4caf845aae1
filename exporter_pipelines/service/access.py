"""Who may use the service, from the settings: one object that the guard and the login share."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from exporter_pipelines import extras, service_settings
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.service.addresses import Addresses, is_loopback
from exporter_pipelines.service.audit import Audit
from exporter_pipelines.service.identity import Identity
from exporter_pipelines.service.principals import ROLES
from exporter_pipelines.service.proxy_users import TrustedProxy
from exporter_pipelines.service.sessions import Sessions
from exporter_pipelines.service.tokens import TokenFile, read_tokens


@dataclass(frozen=True)
class Access:
    """What decides about a request.

    Attributes:
        addresses: Own hosts and origins.
        identity: Who sent a request.
        audit: Where changes and refusals are recorded.
        provider: The OpenID provider of the settings; None without one.
        prefix: Of every path.
    """

    addresses: Addresses
    identity: Identity
    audit: Audit
    provider: service_settings.Provider | None = None
    prefix: str = ""

    @classmethod
    def of(
        cls, *, port: int, host: str = "127.0.0.1", prefix: str = "", read_only: bool = False
    ) -> Access:
        """Read the settings.

        Raises:
            ConfigurationError: one is wrong, or the file of tokens is not usable.
        """
        provider, tokens_file = service_settings.provider(), service_settings.tokens_file()
        if provider:
            extras.require("oidc")
        read_tokens(tokens_file)
        tokens = TokenFile(tokens_file)
        key_file = tokens_file.with_name(f"{tokens_file.name}.session_key")
        sessions = Sessions(service_settings.session_key(), key_file, tokens, prefix, provider)
        _refuse_unknown_roles("EXPORTER_OIDC_ROLES", provider.roles if provider else {})
        identity = Identity(tokens, sessions, _proxy(), provider is not None, read_only)
        addresses = Addresses.of(service_settings.serve_addresses(), host, port)
        audit = Audit(service_settings.audit_file())
        return cls(addresses, identity, audit, provider, prefix)

    def refuse_to_listen_openly(self, host: str) -> None:
        """Raise a `ConfigurationError` if others could connect, and nothing tells users apart."""
        identity = self.identity
        usable = bool(read_tokens(identity.tokens.path)) or identity.proxy or identity.has_provider
        if usable or host == "localhost" or is_loopback(host):
            return
        raise ConfigurationError(
            f"{host} is reached from other machines, and there is no token yet.",
            "Add one: exporter token add NAME --role operator. Or listen on 127.0.0.1.",
        )


def access_of(connection: HTTPConnection) -> Access:
    """The access of the service that received a request."""
    access: Access = connection.app.state.access
    return access


def _proxy() -> TrustedProxy | None:
    found = service_settings.proxy()
    if found is None:
        return None
    _refuse_unknown_roles("EXPORTER_PROXY_ROLES", found.roles)
    try:
        peers = tuple(ipaddress.ip_network(peer) for peer in found.peers)
    except ValueError as error:
        raise ConfigurationError(
            f"EXPORTER_PROXY_PEERS has an entry that is no address or network: {error}.",
            "Write addresses such as 10.0.0.5 or 10.0.0.0/24, separated by spaces.",
        ) from None
    return TrustedProxy(peers, found.secret, found.user_header, found.roles)


def _refuse_unknown_roles(setting: str, roles: Mapping[str, frozenset[str]]) -> None:
    for name, given in roles.items():
        if unknown := sorted(given - set(ROLES)):
            raise ConfigurationError(
                f"{setting} gives {name} the role {unknown[0]!r}, which does not exist.",
                f"The roles are {', '.join(ROLES)}.",
            )
