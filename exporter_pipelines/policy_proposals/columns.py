"""A column with sampled values, and what these values hold."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from exporter_pipelines.contracts.table_profile import Kind
from exporter_pipelines.privacy.escapes import unescaped
from exporter_pipelines.privacy.identifiers import SECRETS, identifiers_in
from exporter_pipelines.privacy.pseudonyms import address_in

_SECRET = re.compile(SECRETS)
_KEY = re.compile(r'"([^"\\]{1,40})"\s*:\s*(?:"([^"\\]{0,200})")?')
_SYSTEM_ID = re.compile(r"[0-9A-Fa-f-]{8,}|[0-9]+")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}")
_SHOWN = {
    "ip": ("IP address", "IP addresses"), "email": ("e-mail address", "e-mail addresses"),
    "mac": ("MAC address", "MAC addresses"), "secret": ("secret", "secrets"),
}  # fmt: skip
_MOST_KINDS, _REPEATS = 20, 5
_SENTENCE_WORDS = 4


@dataclass(frozen=True)
class SampledColumn:
    """An exported column and some of its values.

    Attributes:
        name: As it is exported.
        kind: Its type.
        values: As text; of equal number for all columns of a table.
        is_key, is_time: Whether it is the key or the time column.
        type_name: In the database; empty if it is not known.
        parts: Names of the columns that a key is joined from.
        is_extra: Whether no schema names it, so that its type is known when a day is opened.
    """

    name: str
    kind: Kind
    values: Sequence[str | None] = ()
    is_key: bool = False
    is_time: bool = False
    type_name: str = ""
    parts: tuple[str, ...] = ()
    is_extra: bool = False

    @cached_property
    def contents(self) -> Contents:
        """What its values hold."""
        return Contents.of([value for value in self.values if value is not None])


@dataclass(frozen=True)
class Contents:
    """What the values of a column hold, in numbers.

    Attributes:
        values, distinct: Values that are not null, and different ones among them.
        whole: Kind -> values that are an identifier of this kind and nothing else.
        inside: Kind -> identifiers inside of longer values.
        documents: Values that are JSON objects or arrays.
        sentences: Values of several words.
        system_ids: Values that are numbers, UUIDs or hashes.
        uuids: Those of them that are UUIDs.
        keys: Key in these documents -> its text values.
    """

    values: int = 0
    distinct: int = 0
    whole: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
    documents: int = 0
    sentences: int = 0
    system_ids: int = 0
    uuids: int = 0
    keys: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Sequence[str]) -> Contents:
        """Examine values."""
        whole: Counter[str] = Counter()
        inside: Counter[str] = Counter()
        keys: dict[str, list[str]] = {}
        documents = sentences = system_ids = uuids = 0
        for value, number in Counter(values).items():
            text = value.strip()
            if kind := _whole(text):
                whole[kind] += number
                continue
            inside.update({kind: n * number for kind, n in _inside(text).items()})
            sentences += number * (len(text.split()) >= _SENTENCE_WORDS)
            system_ids += number * bool(_SYSTEM_ID.fullmatch(text))
            uuids += number * bool(_UUID.fullmatch(text))
            if text[:1] in ("{", "["):
                documents += number
                for key, scalar in _keys(text):
                    keys.setdefault(key, []).append(scalar)
        return cls(
            len(values),
            len(set(values)),
            whole,
            inside,
            documents,
            sentences,
            system_ids,
            uuids,
            keys,
        )

    @property
    def are_kinds(self) -> bool:
        """Whether a few values are repeated, as those of a level or a status are."""
        return 0 < self.distinct <= _MOST_KINDS and self.values >= _REPEATS * self.distinct

    @property
    def are_uuids(self) -> bool:
        """Whether all values are UUIDs."""
        return 0 < self.values == self.uuids

    def counted(self) -> str:
        """`12 IP addresses, 1 secret`: what was found in all values; empty for nothing."""
        numbers = self.whole + self.inside
        return ", ".join(
            f"{numbers[kind]:,} {one if numbers[kind] == 1 else more}"
            for kind, (one, more) in _SHOWN.items()
            if numbers[kind]
        )

    def mostly(self, number: int) -> bool:
        """Whether this is more than half of the values."""
        return 2 * number > self.values


def _whole(text: str) -> str | None:
    """The kind of identifier that a whole value is."""
    if address_in(text) is not None:
        return "ip"
    found = identifiers_in(text) if "@" in text or len(text) <= 23 else []
    return found[0].kind if [(f.start, f.end) for f in found] == [(0, len(text))] else None


def _inside(text: str) -> Counter[str]:
    plain = unescaped(text)
    found = Counter({"secret": len(_SECRET.findall(plain))})
    found.update(each.kind for each in identifiers_in(_SECRET.sub(" ", plain)))
    return +found


def _keys(document: str) -> Iterator[tuple[str, str]]:
    """(key, value) of all text values at any depth, and (key, "") of all other ones."""
    try:
        yield from _pairs(json.loads(document))
    except (ValueError, RecursionError):  # cut off, or only similar to JSON
        for match in _KEY.finditer(document):
            yield match[1], match[2] or ""


def _pairs(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield key, each if isinstance(each, str) else ""
            yield from _pairs(each)
    elif isinstance(value, list):
        for each in value:
            yield from _pairs(each)
