"""Keys of a policy: one for each scope, epoch and kind, derived from the key of the operator.

HKDF-SHA256, RFC 5869: https://www.rfc-editor.org/rfc/rfc5869
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from functools import cached_property

from exporter_pipelines.contracts.privacy import PrivacyConfig
from exporter_pipelines.errors import ConfigurationError

KEY_BYTES = 32
"""Fewest bytes of a key."""

_DISTINCT_BYTES = 12
"""32 random bytes have fewer distinct values once in 10^14 keys; `AAAA...` has one."""

HOW = "Create one: head -c 32 /dev/urandom | base64"


@dataclass(frozen=True)
class KeyRing:
    """The keys of one dataset and day.

    Attributes:
        master: The operator's key.
        scope: `shared`, or the dataset.
        epoch: `none`, a month, a quarter, or a text.
    """

    master: bytes = field(repr=False)
    scope: str
    epoch: str

    def key(self, kind: str, length: int = 32) -> bytes:
        """The key for one kind of pseudonym."""
        info = f"exporter/v1|{self.scope}|{self.epoch}|{kind}".encode()
        return _hkdf(self.master, info, length)

    @cached_property
    def key_id(self) -> str:
        """Names the operator's key without revealing it; may be published."""
        return hmac.new(self.master, b"key-id", hashlib.sha256).hexdigest()[:8]


def key_ring(policy: PrivacyConfig, dataset: str, day: str, text: str) -> KeyRing:
    """The keys of a dataset for one day.

    Args:
        policy: Its policy.
        dataset: Its name.
        day: Partition key.
        text: The operator's key in base64.

    Raises:
        ConfigurationError: the key is too short, or not in base64.
    """
    scope = "shared" if policy.scope == "shared" else f"dataset:{dataset}"
    return KeyRing(master_key(policy.key, text), scope, epoch_of(policy, day))


def epoch_of(policy: PrivacyConfig, day: str) -> str:
    """The epoch of a day: `2026-11` with `month`, `2026-q4` with `quarter`."""
    match policy.epoch:
        case "month":
            return day[:7]
        case "quarter":
            return f"{day[:4]}-q{(int(day[5:7]) + 2) // 3}"
        case text:
            return text


def master_key(name: str, text: str) -> bytes:
    """The bytes of a key.

    Args:
        name: Where it comes from, for messages.
        text: In base64, with either alphabet.

    Raises:
        ConfigurationError: it cannot be used. The message never contains it.
    """
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"The privacy key in {name} is not base64.", HOW) from None
    if len(key) < KEY_BYTES:
        raise ConfigurationError(
            f"The privacy key in {name} has {len(key)} bytes; at least {KEY_BYTES} are needed.", HOW
        )
    if len(set(key)) < _DISTINCT_BYTES:
        raise ConfigurationError(f"The privacy key in {name} is not random.", HOW)
    return key


def _hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF without a salt, which RFC 5869 allows for a secret that is random already."""
    pseudorandom = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    block, output = b"", b""
    for number in range(1, 2 + length // 32):
        block = hmac.new(pseudorandom, block + info + bytes([number]), hashlib.sha256).digest()
        output += block
    return output[:length]
