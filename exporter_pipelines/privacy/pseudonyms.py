"""The pseudonyms of one dataset and day: the same value always gets the same one.

Pseudonyms are remembered, so each distinct value costs once. What was written is counted by the
caller (`Counts`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Set

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.privacy import ColumnPolicy, PrivacyConfig
from exporter_pipelines.privacy.addresses import (
    Address,
    is_nobodys,
    network_of,
    parsed,
    prefix_pseudonyms,
    printed,
    whole_pseudonyms,
)
from exporter_pipelines.privacy.keys import KeyRing
from exporter_pipelines.privacy.totals import Totals

_TOKEN_DIGITS = 20
"""80 bits: that two of ten million values have the same token is one in 24 billion."""

MOST_REMEMBERED = 100_000
"""Distinct values of a kind that are remembered, some 20 MB; then they are computed again."""

_MASK = re.compile(r"^(?P<address>[^/%]+)(?P<rest>(?:%[\w.-]+)?(?:/\d{1,3})?)$")
_MAY_BE_AN_ADDRESS = r"^[0-9a-f]*[.:][0-9a-f.:]*(?:[/%].*)?$"
"""As addresses are written, with a mask or zone."""
_LIKE_AN_ADDRESS = re.compile(r"[0-9A-Fa-f]*[.:]")


class Counts:
    """What was replaced in the rows of one file.

    Attributes:
        replaced: Kind -> number of values.
    """

    def __init__(self) -> None:
        self.replaced: Counter[str] = Counter()
        self._written = Totals()

    def wrote(self, texts: pa.Array, numbers: np.ndarray) -> None:
        """Count texts that were written; those that are no addresses are left out.

        Args:
            texts: Strings.
            numbers: How often each.
        """
        may_be = pc.match_substring_regex(texts, _MAY_BE_AN_ADDRESS).fill_null(False)
        which = np.flatnonzero(may_be)
        self.wrote_addresses(texts.take(pa.array(which)), numbers[which])

    def wrote_addresses(self, texts: pa.Array, numbers: np.ndarray) -> None:
        """Count texts that were written in place of addresses."""
        self._written.add(texts.cast(pa.large_binary()), numbers)

    @property
    def addresses(self) -> dict[str, int]:
        """Address that was written -> how often; without masks and zones, and IPv4 as IPv4."""
        found: Counter[str] = Counter()
        for text, number in self._written:
            address = parsed(text.decode().partition("/")[0].partition("%")[0])
            if address is not None:
                found[printed(address)] += number
        return found


class Pseudonyms:
    """Pseudonyms under one policy, for one dataset and day.

    Args:
        policy: Chooses the scheme of addresses.
        keys: Of the dataset and day.
    """

    def __init__(self, policy: PrivacyConfig, keys: KeyRing) -> None:
        self._scheme, self._keys = policy.addresses, keys
        self._addresses: dict[Address, str] = {}
        self._raw: set[Address] = set()
        self._values: dict[str, dict[str, str]] = defaultdict(dict)
        self._hmacs: dict[str, hmac.HMAC] = {}
        self._cipher_key = keys.key(f"ip-{self._scheme}", 16 if self._scheme == "whole" else 32)

    def prepare(self, addresses: Iterable[Address]) -> None:
        """Compute the pseudonyms of many addresses at once; `address` then finds them."""
        if len(self._addresses) > MOST_REMEMBERED:
            self._addresses.clear()
        new = set(addresses).difference(self._addresses)
        secret = [address for address in new if not is_nobodys(address)]
        self._addresses.update((a, printed(a)) for a in new.difference(secret))
        self._addresses.update(zip(secret, self._encrypted(secret), strict=True))
        self._raw.update(secret)

    @property
    def raw_addresses(self) -> Set[Address]:
        """The addresses that were replaced; as many as the day has."""
        return self._raw

    def _encrypted(self, addresses: list[Address]) -> list[str]:
        match self._scheme:
            case "prefix":
                return list(map(printed, prefix_pseudonyms(addresses, self._cipher_key)))
            case "whole":
                return list(map(printed, whole_pseudonyms(addresses, self._cipher_key)))
            case _:
                return [self.token("ip", printed(address)) for address in addresses]

    def address(self, address: Address) -> str:
        """The pseudonym of an address; addresses that identify nobody stay as they are."""
        known = self._addresses.get(address)
        if known is None:
            self.prepare([address])
            known = self._addresses[address]
        return known

    def token(self, kind: str, value: str) -> str:
        """A keyed hash with its kind in front, such as `user-1f0c...`."""
        if kind not in self._hmacs:
            self._hmacs[kind] = hmac.new(self._keys.key(kind), None, hashlib.sha256)
        mac = self._hmacs[kind].copy()
        mac.update(value.encode("utf-8", "surrogatepass"))
        return f"{kind}-{mac.hexdigest()[:_TOKEN_DIGITS]}"

    def of(self, kind: str, value: str) -> str:
        """The pseudonym of a value in a column or under a key of `kind`.

        A name that is an address gets the pseudonym of the address, wherever it stands. Upper and
        lower case, and spaces around a value, make no difference.
        """
        values = self._values[kind]
        known = values.get(value)
        if known is None:
            if len(values) >= MOST_REMEMBERED:
                values.clear()
            known = values[value] = self._of(kind, value)
        return known

    def _of(self, kind: str, value: str) -> str:
        text = value.strip()
        if not text:
            return value
        if kind == "hash":
            return self.token("hash", value)
        if kind == "mac":
            return self.mac(text)
        if kind != "email" and (found := self._masked_address(text)) is not None:
            return found
        if "@" in text and kind != "host":
            return self.email(text)
        return self.token(kind if kind != "email" else "user", text.lower())

    def of_many(self, kind: str, values: list[str]) -> list[str]:
        """The pseudonyms of distinct values; addresses are computed at once."""
        known = self._values[kind]
        new = [value for value in values if value not in known]
        if len(known) + len(new) > MOST_REMEMBERED:
            known.clear()
            new = values
        if kind in ("ip", "user", "host"):
            self.prepare(a for value in new if (a := address_in(value)) is not None)
        known.update((value, self._of(kind, value)) for value in new)
        return [known[value] for value in values]

    def _masked_address(self, text: str) -> str | None:
        address = address_in(text)
        if address is None:
            return None
        rest = re.search(r"[%/].*", text) if "%" in text or "/" in text else None
        return self.address(address) + (rest[0] if rest else "")

    def email(self, text: str) -> str:
        """`user-...@host-...example`: the local part is the pseudonym of the user of this name."""
        user, _, host = text.lower().rpartition("@")
        return f"{self.token('user', user)}@{self.token('host', host.rstrip('.'))}.example"

    def mac(self, text: str) -> str:
        """The pseudonym of a MAC address, whatever its spelling."""
        digits = "".join(filter(str.isalnum, text)).lower()
        return self.token("mac", digits)

    def coarse(self, policy: ColumnPolicy, value: str) -> str:
        """The network of an address, as `generalise` writes it; other text becomes a token."""
        assert isinstance(policy.to, tuple)
        address = address_in(value)
        if address is None:
            return self.of("ip", value)
        if not is_nobodys(address):
            self._raw.add(address)
        return network_of(address, policy.to)


def address_in(value: str) -> Address | None:
    """The address that a whole value is, without spaces, a zone or a network mask."""
    text = value.strip()
    if not _LIKE_AN_ADDRESS.match(text):
        return None
    if "%" not in text and "/" not in text:
        return parsed(text)
    match = _MASK.match(text)
    return parsed(match["address"]) if match else None
