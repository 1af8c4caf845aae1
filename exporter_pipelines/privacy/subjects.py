"""How a subject to erase is written, and the two ways to recognise it.

`KnownSubjects` has the values. `HashedSubjects` has only tombstones, so it hashes what a text has:
each word, and if the word begins a subject, as many words as that subject has.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from exporter_pipelines.contracts.erasure import ErasedSubject, SubjectKind
from exporter_pipelines.contracts.privacy import PrivacyConfig
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.privacy.addresses import parsed, printed
from exporter_pipelines.privacy.keys import KeyRing
from exporter_pipelines.privacy.known_names import ORDINARY_WORDS, SHORTEST
from exporter_pipelines.privacy.pseudonyms import Pseudonyms, address_in

WORD = re.compile(r"[^\W_]+")
_MAC_DIGITS = re.compile(r"[0-9a-f]{12}(?:[0-9a-f]{4})?")
_FIRST_DIGITS = 8
_MOST_REMEMBERED = 1_000_000


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


class Subjects(Protocol):
    """Recognises subjects. A label says which one was found; it is the id of its request.

    Texts are composed (NFC). Upper and lower case make no difference.
    """

    @property
    def has_names(self) -> bool:
        """Whether there are users, hosts or e-mail addresses among the subjects."""
        ...

    @property
    def has_addresses(self) -> bool:
        """Whether there are IP addresses among the subjects."""
        ...

    @property
    def has_macs(self) -> bool:
        """Whether there are MAC addresses among the subjects."""
        ...

    def shapes(self, word: str, /) -> Sequence[Shape]:
        """The shapes of the names that begin with a word."""
        ...

    def name(self, text: str, /) -> str | None:
        """The label of a name."""
        ...

    def address(self, text: str, /) -> str | None:
        """The label of an IP address, as `addresses.printed` prints it."""
        ...

    def mac(self, digits: str, /) -> str | None:
        """The label of a MAC address, in lower-case digits."""
        ...


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
        if self.kind in ("ip", "mac", "email"):
            return False
        number = self.text.strip("+-").replace(".", "").replace(",", "").isdigit()
        return len(self.text) < SHORTEST or number or self.text in ORDINARY_WORDS

    def tombstone(self, secret: bytes, subject_id: str, key: str | None, key_id: str | None
                  ) -> ErasedSubject:  # fmt: skip
        """What is kept of it.

        Args:
            secret: For the HMAC.
            subject_id: The same in all datasets.
            key, key_id: Where the secret comes from.
        """
        first, shape = "", Shape(("", ""))
        if _family(self.kind) == "name":
            first, shape = _shape_of(self.written)
        return ErasedSubject(
            id=subject_id, kind=self.kind, digest=_digest(secret, _family(self.kind), self.text),
            first=_digest(secret, "word", first)[:_FIRST_DIGITS], signs=shape.signs,
            key=key, key_id=key_id,
        )  # fmt: skip

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


class KnownSubjects:
    """Recognises values that are known; see `Subjects`."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        self._macs: dict[str, str] = {}
        self._shapes: dict[str, set[Shape]] = {}

    @property
    def has_names(self) -> bool:
        """See `Subjects`."""
        return bool(self._names)

    @property
    def has_addresses(self) -> bool:
        """See `Subjects`."""
        return bool(self._addresses)

    @property
    def has_macs(self) -> bool:
        """See `Subjects`."""
        return bool(self._macs)

    def add(self, subject: Subject, label: str) -> None:
        """Add a subject; the label of one that is known stays."""
        if subject.kind == "ip":
            self.add_address(subject.text, label)
        elif subject.kind == "mac":
            self._macs.setdefault(subject.text, label)
        else:
            self.add_name(subject.written, label)

    def add_name(self, text: str, label: str) -> None:
        """Add a name; the label of one that is known stays."""
        first, shape = _shape_of(text)
        self._names.setdefault(folded(text), label)
        self._shapes.setdefault(first, set()).add(shape)

    def add_address(self, text: str, label: str) -> None:
        """Add an address as `addresses.printed` prints it."""
        self._addresses.setdefault(text, label)

    def shapes(self, word: str) -> Sequence[Shape]:
        """See `Subjects`."""
        return tuple(self._shapes.get(folded(word), ()))

    def name(self, text: str) -> str | None:
        """See `Subjects`."""
        return self._names.get(folded(text))

    def address(self, text: str) -> str | None:
        """See `Subjects`."""
        return self._addresses.get(text)

    def mac(self, digits: str) -> str | None:
        """See `Subjects`."""
        return self._macs.get(digits)


def add_masked(
    known: KnownSubjects, subject: Subject, label: str, policy: PrivacyConfig, keys: KeyRing
) -> None:
    """Add a subject as it is in columns that a policy changes.

    There an address is always a pseudonym: the subject's own address may be the pseudonym of
    another one.
    """
    names, addresses = subject.pseudonyms(policy, keys)
    for name in names:
        known.add_name(name, label)
    for address in addresses:
        known.add_address(address, label)
    if subject.kind != "ip":
        known.add(subject, label)


@dataclass(frozen=True)
class Tombstone:
    """A tombstone with what is needed to compare it."""

    subject: ErasedSubject
    secret: bytes
    label: str


class HashedSubjects:
    """Recognises subjects by their tombstones; see `Subjects`.

    Attributes:
        found: Subject -> label, of all that were recognised so far.
    """

    def __init__(self, tombstones: Iterable[Tombstone]) -> None:
        self.found: dict[Subject, str] = {}
        self._digests: dict[bytes, dict[tuple[str, str], Tombstone]] = {}
        self._firsts: dict[bytes, dict[str, set[Shape]]] = {}
        self._remembered: dict[str, tuple[Shape, ...]] = {}
        families = set()
        for each in tombstones:
            subject, family = each.subject, _family(each.subject.kind)
            families.add(family)
            self._digests.setdefault(each.secret, {})[family, subject.digest] = each
            if family == "name":
                shape = Shape(subject.signs)
                firsts = self._firsts.setdefault(each.secret, {})
                firsts.setdefault(subject.first, set()).add(shape)
        self.has_names = "name" in families
        self.has_addresses = "ip" in families
        self.has_macs = "mac" in families

    def shapes(self, word: str) -> Sequence[Shape]:
        """See `Subjects`."""
        known = self._remembered.get(word)
        if known is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            known = tuple({
                shape
                for secret, firsts in self._firsts.items()
                for shape in firsts.get(_digest(secret, "word", folded(word))[:_FIRST_DIGITS], ())
            })  # fmt: skip
            self._remembered[word] = known
        return known

    def name(self, text: str) -> str | None:
        """See `Subjects`."""
        return self._label("name", folded(text), text)

    def address(self, text: str) -> str | None:
        """See `Subjects`."""
        return self._label("ip", text, text)

    def mac(self, digits: str) -> str | None:
        """See `Subjects`."""
        return self._label("mac", digits, digits)

    def _label(self, family: str, text: str, written: str) -> str | None:
        for secret, digests in self._digests.items():
            each = digests.get((family, _digest(secret, family, text)))
            if each is not None:
                self.found[Subject(each.subject.kind, text, written)] = each.label
                return each.label
        return None


def _family(kind: SubjectKind) -> str:
    """Users, hosts and e-mail addresses are found in the same way."""
    return kind if kind in ("ip", "mac") else "name"


def _digest(secret: bytes, family: str, text: str) -> str:
    message = f"{family}\0{text}".encode("utf-8", "surrogatepass")
    return hmac.digest(secret, message, hashlib.sha256).hex()


def _shape_of(text: str) -> tuple[str, Shape]:
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
