"""A subject to erase: how it is written, what stands for it under a policy, and its tombstone."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from exporter_pipelines.contracts.erasure import ErasedSubject, SubjectKind
from exporter_pipelines.contracts.privacy import PrivacyConfig
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.privacy.addresses import is_nobodys, parsed, printed
from exporter_pipelines.privacy.keys import KeyRing
from exporter_pipelines.privacy.known_names import ORDINARY_WORDS, SHORTEST
from exporter_pipelines.privacy.pseudonyms import Pseudonyms, address_in

WORD = re.compile(r"[^\W_]+")
_MAC_DIGITS = re.compile(r"[0-9a-f]{12}(?:[0-9a-f]{4})?")
_FIRST_DIGITS = 8


class Shape(NamedTuple):
    """Where in a text a subject may be that begins with a known word.

    Attributes:
        signs: What is before its first word, between its words, and after the last one.
    """

    signs: tuple[str, ...]

    @property
    def words(self) -> int:
        """The number of its words."""
        return len(self.signs) - 1


@dataclass(frozen=True)
class Subject:
    """A value to erase, in its normal form: spellings of one subject are equal.

    Attributes:
        kind: `ip` also for a name that is an address.
        text: `folded`; addresses as `addresses.printed` prints them, MAC addresses as digits.
        written: As the operator wrote it, composed (NFC).
    """

    kind: SubjectKind
    text: str
    written: str

    @classmethod
    def of(cls, kind: SubjectKind, value: str) -> Subject:
        """Read a value.

        Raises:
            ConfigurationError: it is not of its kind. The message does not contain it.
        """
        text = unicodedata.normalize("NFC", value.strip())
        if not text:
            raise ConfigurationError("The value to erase is empty.", "Write one value per line.")
        address = parsed(text) if kind == "ip" else address_in(text)
        if kind == "ip" and address is None:
            raise ConfigurationError(
                "A value to erase is not an IP address.",
                "Write it as in 10.1.2.3 or 2001:db8::7, without port and mask.",
            )
        if address is not None:
            return cls("ip", printed(address), text)
        if kind == "mac":
            digits = mac_digits(text)
            if not _MAC_DIGITS.fullmatch(digits):
                raise ConfigurationError(
                    "A value to erase is not a MAC address.", "Write it as in aa:bb:cc:dd:ee:01."
                )
            return cls("mac", digits, text)
        if kind == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+", text):
            raise ConfigurationError(
                "A value to erase is not an e-mail address.", "Write it as in name@example.com."
            )
        if not WORD.search(text):
            raise ConfigurationError(
                "A value to erase has no letter and no digit.", "It cannot be found in text."
            )
        return cls(kind, folded(text), text)

    @property
    def is_ordinary(self) -> bool:
        """Whether other people's rows may have it too: short, a number or an ordinary word."""
        if self.kind == "ip":
            return (address := parsed(self.text)) is not None and is_nobodys(address)
        if self.kind in ("mac", "email"):
            return False
        number = self.text.strip("+-").replace(".", "").replace(",", "").isdigit()
        return len(self.text) < SHORTEST or number or self.text in ORDINARY_WORDS

    def tombstone(
        self,
        secret: bytes,
        subject_id: str,
        key: str | None = None,
        key_id: str | None = None,
        *,
        whole_rows: bool = False,
    ) -> ErasedSubject:
        """What is kept of it.

        Args:
            secret: For the HMAC.
            subject_id: The same in all datasets.
            key, key_id: Where the secret comes from.
            whole_rows: See `ErasedSubject`.
        """
        first, shape = "", Shape(("", ""))
        if family_of(self.kind) == "name":
            first, shape = shape_of(self.written)
        return ErasedSubject(
            id=subject_id,
            kind=self.kind,
            digest=digest_of(secret, family_of(self.kind), self.text),
            first=first_digits(secret, first),
            signs=shape.signs,
            whole_rows=whole_rows,
            key=key,
            key_id=key_id,
        )

    def pseudonyms(self, policy: PrivacyConfig, keys: KeyRing) -> tuple[set[str], set[str]]:
        """What stands for it in the files of a day: names, and addresses.

        A name may be in a column of any kind, so its pseudonyms of all kinds are returned.

        Args:
            policy: Under which the day was exported; its `addresses` counts.
            keys: Of the day.
        """
        made = Pseudonyms(policy, keys)
        forms = {self.written, unicodedata.normalize("NFD", self.written)}
        cases = {
            case for each in forms for case in (each, each.lower(), each.upper(), each.title())
        }
        names = {made.token("hash", each) for each in cases}
        if self.kind == "ip":
            address = parsed(self.text)
            assert address is not None
            pseudonym = made.address(address)
            return (names, {pseudonym}) if parsed(pseudonym) else (names | {pseudonym}, set())
        if self.kind == "mac":
            names |= {made.mac(self.text), *(made.token("hash", m) for m in _spelled(self.text))}
            return names, set()
        for each in forms:
            if "@" in each:
                names.add(made.email(each))
            names |= {made.token(kind, each.lower()) for kind in ("user", "host")}
        return names, set()


def mac_digits(text: str) -> str:
    """The digits of a MAC address, whatever its spelling."""
    return "".join(filter(str.isalnum, text)).lower()


def folded(text: str) -> str:
    """A composed text without the difference of upper and lower case."""
    return text if text.isascii() and text.islower() else _folded(text)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def new_subject_id() -> str:
    """A random id."""
    return secrets.token_hex(8)


def family_of(kind: SubjectKind) -> str:
    """Users, hosts and e-mail addresses are found in the same way."""
    return kind if kind in ("ip", "mac") else "name"


def digest_of(secret: bytes, family: str, text: str) -> str:
    """The HMAC of a text that is found like a family of subjects."""
    message = f"{family}\0{text}".encode("utf-8", "surrogatepass")
    return hmac.digest(secret, message, hashlib.sha256).hex()


def first_digits(secret: bytes, word: str) -> str:
    """What a tombstone has of the first word of its subject."""
    return digest_of(secret, "word", folded(word))[:_FIRST_DIGITS]


def shape_of(text: str) -> tuple[str, Shape]:
    """The first word of a name, folded, and its shape."""
    words = list(WORD.finditer(text))
    edges = [0, *(edge for word in words for edge in word.span()), len(text)]
    signs = tuple(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))
    return folded(words[0][0]), Shape(signs)


def _spelled(digits: str) -> set[str]:
    """A MAC address in its usual spellings."""
    pairs = [digits[i : i + 2] for i in range(0, len(digits), 2)]
    fours = [digits[i : i + 4] for i in range(0, len(digits), 4)]
    lower = {":".join(pairs), "-".join(pairs), ".".join(fours), digits}
    return lower | {each.upper() for each in lower}
