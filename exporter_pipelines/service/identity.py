"""Who sent a request: a token, a session, a user of a proxy, or somebody on this machine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from exporter_pipelines.service.addresses import is_loopback
from exporter_pipelines.service.heads import Head
from exporter_pipelines.service.principals import ROLES, Principal
from exporter_pipelines.service.proxy_users import TrustedProxy, is_forwarded
from exporter_pipelines.service.refusals import Refusal
from exporter_pipelines.service.sessions import Sessions
from exporter_pipelines.service.throttle import Throttle
from exporter_pipelines.service.tokens import Token, TokenFile

_CHANGING = frozenset({"exporter", "operator"})
_ANCHOR = "a-token-is-missing-or-not-valid"
_CHALLENGE = {"www-authenticate": 'Bearer realm="exporter"'}
LOCAL = Principal("local", frozenset(ROLES), "loopback")
"""Every user of this machine, as long as no token, proxy or provider is set up."""


@dataclass(frozen=True)
class Identity:
    """Recognizes who sent a request.

    Attributes:
        tokens: The file of tokens.
        sessions: Those of browsers.
        proxy: Whom to believe names of users; None for no one.
        has_provider: Whether users log in at an OpenID provider.
        read_only: Nobody may change anything.
    """

    tokens: TokenFile
    sessions: Sessions
    proxy: TrustedProxy | None = None
    has_provider: bool = False
    read_only: bool = False
    throttle: Throttle = field(default_factory=Throttle)

    def of(self, head: Head, *, https: bool) -> Principal | None:
        """Who it is; None for somebody who has not said so. `https`: the browser uses TLS.

        Raises:
            Refusal: the token is wrong, or a proxy has nobody who it could be.
        """
        found = self._bearer(head) or self.sessions.who(head, https=https)
        if found and found.via == "oidc" and not self.has_provider:
            found = None  # the provider was removed from the settings
        if found is None and self.proxy:
            found = self.proxy.who(head)
        if found is None and not self.needs_login:
            found = self._local(head)
        if found and self.read_only and found.roles & _CHANGING:
            found = replace(found, roles=found.roles - _CHANGING | {"viewer"})
        return found

    @property
    def needs_login(self) -> bool:
        """Whether something is set up that says who may use the service."""
        return self.has_provider or self.proxy is not None or self.tokens.is_in_use

    def token(self, head: Head, value: str) -> Token:
        """The token that a client sent. A right one is found before wrong ones are counted.

        Raises:
            Refusal: it is not known, was revoked or has expired.
        """
        if found := self.tokens.find(value):
            return found
        self.count_wrong(head, "too_many_wrong_tokens", "wrong tokens")
        raise Refusal(
            401,
            "wrong_token",
            "The token is not known, was revoked or has expired.",
            _CHALLENGE,
            anchor=_ANCHOR,
        )

    def count_wrong(self, head: Head, why: str, what: str) -> None:
        """Count a wrong attempt of a client, whichever way it tried to log in.

        Args:
            head: Of the request.
            why: Reason of the refusal, for the audit file.
            what: What came too often, for the client.

        Raises:
            Refusal: it is one too many.
        """
        if seconds := self.throttle.wait_after_wrong(self.client_of(head)):
            raise Refusal(
                429,
                why,
                f"Too many {what} came from this address. Try again in {seconds} s.",
                {"retry-after": str(seconds)},
            )

    def client_of(self, head: Head) -> str:
        """The address of the client, also behind the trusted proxy."""
        return self.proxy.client_of(head) if self.proxy else head.peer

    def _bearer(self, head: Head) -> Principal | None:
        scheme, _, value = head.one("authorization").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer" or not value.strip():
            raise Refusal(
                401, "authorization", "The header Authorization is not `Bearer TOKEN`.", _CHALLENGE
            )
        return self.token(head, value.strip()).principal("bearer")

    @staticmethod
    def _local(head: Head) -> Principal | None:
        if not is_loopback(head.peer):
            return None
        if is_forwarded(head):
            raise Refusal(
                403,
                "forwarded_without_tokens",
                "A proxy passed this request on, and the service has no tokens to tell users "
                "apart. Add one: exporter token add NAME --role operator.",
            )
        return LOCAL


def who_are_you(detail: str = "Log in, or send a token: Authorization: Bearer TOKEN.") -> Refusal:
    """The answer to a request without credentials."""
    return Refusal(401, "no_credentials", detail, _CHALLENGE, anchor=_ANCHOR)
