"""Two ways to recognise subjects.

`KnownSubjects` has the values. `HashedSubjects` has only tombstones, so it hashes what a text has:
each word, and if the word begins a subject, as many words as that subject has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from exporter_pipelines.contracts.erasure import ErasedSubject
from exporter_pipelines.contracts.privacy import PrivacyConfig
from exporter_pipelines.privacy.keys import KeyRing
from exporter_pipelines.privacy.subjects import (
    Shape,
    Subject,
    digest_of,
    family_of,
    first_digits,
    folded,
    shape_of,
)

_MOST_REMEMBERED = 100_000
"""Words whose shapes are remembered."""


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
        first, shape = shape_of(text)
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
            subject, family = each.subject, family_of(each.subject.kind)
            families.add(family)
            digests = self._digests.setdefault(each.secret, {})
            if (family, subject.digest) not in digests or subject.whole_rows:
                digests[family, subject.digest] = each
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
                for shape in firsts.get(first_digits(secret, word), ())
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
            each = digests.get((family, digest_of(secret, family, text)))
            if each is not None:
                self.found[Subject(each.subject.kind, text, written)] = each.label
                return each.label
        return None
