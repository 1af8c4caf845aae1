"""Login through an OpenID provider: authorization code flow with PKCE.

https://openid.net/specs/openid-connect-core-1_0.html. Needs the extra `oidc`. The provider of the
settings is the only address that the service itself asks for anything.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from exporter_pipelines.service.principals import ROLES
from exporter_pipelines.service.provider_answers import MOST_SECONDS, BoundedClient
from exporter_pipelines.service.proxy_users import EVERYBODY
from exporter_pipelines.service_settings import Provider

_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures of the provider; never one with a shared secret or none."""
_KEPT_SECONDS, _LEEWAY_SECONDS = 600.0, 60
_MAX_NAME = 128
_NOT_VALID = "The provider's answer is not valid. Log in again."


class LoginError(Exception):
    """Why a login failed, in one sentence for the user.

    Args:
        status: 403 if the user may not log in, 400 for an answer that cannot be right, 502 if the
            provider does not answer.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass(frozen=True)
class Attempt:
    """A login that has begun; it comes back in a signed cookie of the same browser."""

    state: str
    nonce: str
    verifier: str
    next: str


@dataclass
class OpenIdLogin:
    """The service as a client of the provider."""

    provider: Provider
    _known: dict[str, tuple[float, Any]] = field(default_factory=dict)

    async def begin(self, next_path: str) -> tuple[str, Attempt]:
        """Where to send a browser, and what it has to bring back.

        Raises:
            LoginError: the provider does not answer.
        """
        attempt = Attempt(generate_token(32), generate_token(32), generate_token(64), next_path)
        metadata = await self._metadata()
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"],
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return url, attempt

    async def finish(
        self, attempt: Attempt, answer: Mapping[str, str]
    ) -> tuple[str, frozenset[str]]:
        """Name of the user whom the provider has sent back, and the groups with a role here.

        Raises:
            LoginError: the answer belongs to another login, or the user has no role.
        """
        if answer.get("state") != attempt.state:
            raise LoginError(400, "This answer belongs to another login. Log in again.")
        if "error" in answer or not answer.get("code"):
            raise LoginError(403, "The provider did not let you in. Log in again.")
        metadata = await self._metadata()
        if answer.get("iss", metadata["issuer"]) != metadata["issuer"]:  # RFC 9207
            raise LoginError(400, "This answer is from another provider. Log in again.")
        try:
            async with self._client() as client:
                token = await client.fetch_token(
                    metadata["token_endpoint"],
                    code=answer["code"],
                    code_verifier=attempt.verifier,
                    grant_type="authorization_code",
                )
        except OAuthError:
            raise LoginError(403, "The provider refused the login. Log in again.") from None
        except Exception as error:  # whatever the network and its libraries raise
            raise LoginError(502, _no_answer(error)) from None
        claims = await self._claims(str(token.get("id_token", "")), attempt.nonce)
        return _name_of(claims), self._groups_of(claims)

    async def _claims(self, id_token: str, nonce: str) -> Mapping[str, Any]:
        """What the provider says of the user, if it says it to us, now, and about this login."""
        issuer = (await self._metadata())["issuer"]
        wanted = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": self.provider.client_id},
            exp={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        claims = await self._signed(id_token)
        try:
            wanted.validate(claims)
        except (JoseError, ValueError):
            raise LoginError(400, _NOT_VALID) from None
        if claims["nonce"] != nonce:  # joserfc is content with a list that has it
            raise LoginError(400, _NOT_VALID)
        is_shared = claims["aud"] not in (self.provider.client_id, [self.provider.client_id])
        us = "" if is_shared else self.provider.client_id
        if claims.get("azp", us) != self.provider.client_id:
            raise LoginError(400, "The provider's answer is for another program.")
        return claims

    async def _signed(self, id_token: str) -> dict[str, Any]:
        """What a token says, if a key of the provider signed it."""
        for fresh in (False, True):  # the provider may have new keys
            keys = await self._keys(fresh=fresh)
            with suppress(Exception):  # joserfc lets through what odd keys and tokens raise
                known = KeySet.import_key_set(keys)
                return dict(jwt.decode(id_token, known, algorithms=_ALGORITHMS).claims)
        raise LoginError(400, _NOT_VALID)

    def _groups_of(self, claims: Mapping[str, Any]) -> frozenset[str]:
        given = claims.get(self.provider.groups_claim)
        listed = given if isinstance(given, list) else [given]
        named = {group for group in listed if isinstance(group, str)}
        groups = frozenset({*(self.provider.roles.keys() & named), EVERYBODY})
        if not self.provider.roles_of(groups) & set(ROLES):
            raise LoginError(403, "None of your groups has a role here. Ask who runs the service.")
        return groups

    async def _metadata(self) -> Mapping[str, Any]:
        url = f"{self.provider.issuer}/.well-known/openid-configuration"
        found: Mapping[str, Any] = await self._read(url, fresh=False)
        if str(found.get("issuer", "")).rstrip("/") != self.provider.issuer:
            raise LoginError(502, "The provider calls itself by another name than in the settings.")
        schemes = {"https", self.provider.issuer.partition(":")[0]}
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not _is_address(found.get(name), schemes):
                raise LoginError(502, f"The provider has no usable {name}.")
        return found

    async def _keys(self, *, fresh: bool) -> Any:
        return await self._read((await self._metadata())["jwks_uri"], fresh=fresh)

    async def _read(self, url: str, *, fresh: bool) -> Any:
        at, found = self._known.get(url, (0.0, None))
        if found is not None and not fresh and time.monotonic() - at < _KEPT_SECONDS:
            return found
        try:
            async with self._client() as client:
                answer = await client.request("GET", url, withhold_token=True)
            answer.raise_for_status()
            found = answer.json()
        except Exception as error:  # whatever the network and its libraries raise
            raise LoginError(502, _no_answer(error)) from None
        if not isinstance(found, dict):
            raise LoginError(502, "The provider's answer is not valid.")
        self._known[url] = (time.monotonic(), found)
        return found

    def _client(self) -> BoundedClient:
        return BoundedClient(
            self.provider.client_id,
            self.provider.client_secret,
            scope="openid profile email",
            redirect_uri=self.provider.redirect_url,
            code_challenge_method="S256",
            timeout=MOST_SECONDS,
        )


def _is_address(url: Any, schemes: set[str]) -> bool:
    """Whether a browser and the service can be sent there."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)


def _name_of(claims: Mapping[str, Any]) -> str:
    for claim in ("preferred_username", "email", "sub"):
        name = claims.get(claim)
        if isinstance(name, str) and name and name.isprintable() and len(name) <= _MAX_NAME:
            return name
    raise LoginError(400, "The provider's answer has no name that can be used.")


def _no_answer(error: Exception) -> str:
    return f"The provider does not answer ({type(error).__name__}). Try again later."
