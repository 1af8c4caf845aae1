"""Searches published text for raw identifiers: names of the day, and whatever looks like one.

RE2 finds candidates, another engine than the one that masked. Addresses are counted: a pseudonym of
`ipcrypt-pfx` is an address like any other, and may be the raw address of another device of the same
day. So an address is a leak only if it was found more often than it was written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa
import re2  # type: ignore[import-untyped]

from exporter_pipelines.contracts.privacy import ColumnPolicy
from exporter_pipelines.privacy.addresses import Address, is_nobodys, parsed, printed
from exporter_pipelines.privacy.escapes import HIDING, HIDING_IN_TEXT, unescaped, unescaped_json
from exporter_pipelines.privacy.identifiers import (
    SECRETS,
    Found,
    identifiers_in,
    without_secret,
)
from exporter_pipelines.privacy.json_text import ESCAPES, KeyRules, opened
from exporter_pipelines.privacy.known_names import KnownNames
from exporter_pipelines.privacy.signs import to_arrow
from exporter_pipelines.privacy.spans import bytes_of

_HEX = "[0-9A-Fa-f]"
_GROUPS = rf"{_HEX}{{1,4}}:{_HEX}{{1,4}}:{_HEX}{{1,4}}"
_LETTER = r"\w\x80-\xff"
# Over bytes, where each byte of a character that is not ASCII counts as a letter.
_CANDIDATES = re2.compile(
    (
        rf"(?:{SECRETS})"
        rf"|[{_LETTER}.+%-]*[{_LETTER}+%]@(?:[{_LETTER}-]+\.)+[{_LETTER}]{{2,}}"
        rf"|[0-9A-Fa-f:.]*(?:::|:{_GROUPS}:)[0-9A-Fa-f:.]*"
        r"|(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
        rf"|(?:{_HEX}{{2}}-){{5}}{_HEX}{{2}}"
        rf"|{_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}"
    ).encode("latin-1")
)
_IS_SECRET = re.compile(SECRETS.encode())
_ONLY_V4 = re.compile(rb"(?:[0-9]{1,3}\.){3}[0-9]{1,3}$")
_CONTEXT = 4
"""Bytes around a candidate that decide whether it is an identifier."""
_EDGE = bytes(_CONTEXT)
_BETWEEN = b"\0"
"""Between two texts; no identifier has it."""

_OURS = re.compile(rb"user-[0-9a-f]{20}@host-[0-9a-f]{20}\.example")
_DIGITS_AND_V = {*(b"%d" % digit for digit in range(10)), b"v", b"V"}
_WHOLE_TOKENS = ("pseudonym", "hash", "redact", "generalise")

MOST_REMEMBERED = 100_000
"""Candidates whose identifiers are remembered; IPv4 addresses are not among them."""


@dataclass
class Leaks:
    """What was found, without any value.

    Attributes:
        hits: (column, kind) -> number.
        addresses: Addresses in masked columns, pseudonyms included.
        size_bytes: Bytes of text that were searched.
    """

    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    addresses: int = 0
    size_bytes: int = 0


class LeakSearch:
    """Searches the columns of one file after the other.

    Args:
        names: Name -> kind, of names that no text may have.
        unsearched: Name -> kind, of names that only the columns and keys that mask them may not
            have.
        addresses: Raw addresses of the day.
        ordinary: Values that columns have in any case, such as the levels of a log.
        written: Address -> how often it was written into these files on purpose; None if that is
            not known.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        unsearched: Mapping[str, str],
        addresses: Set[Address],
        ordinary: Iterable[str] = (),
        written: Mapping[str, int] | None = None,
    ) -> None:
        self._written = written
        left_out = {word.lower() for word in ordinary}
        searched = {name: kind for name, kind in names.items() if name.lower() not in left_out}
        self._names = {False: KnownNames(searched), True: KnownNames(searched, ESCAPES)}
        self._whole = {n.strip().lower(): kind for n, kind in {**unsearched, **names}.items()}
        self._addresses = set(addresses)
        self.patterns = len(searched) + len(addresses)
        self._found: Counter[tuple[str, Address]] = Counter()  # (column, address), if masked
        self.leaks = Leaks()

    def search(
        self, column: str, texts: pa.Array, policy: ColumnPolicy | None, *, in_json: bool
    ) -> None:
        """Search a part of a column.

        Args:
            column: Its name.
            texts: As published.
            policy: What the policy does to it; None if it names nothing.
            in_json: Whether the texts are JSON documents.
        """
        distinct = texts.dictionary_encode()
        values = pl.Series(values=distinct.dictionary.cast(pa.large_string()))
        numbers = np.bincount(distinct.indices.drop_null().to_numpy(), minlength=len(values))
        self.leaks.size_bytes += texts.nbytes
        is_masked = policy is not None and policy.action != "keep"
        if policy is not None and policy.action in _WHOLE_TOKENS:
            self._search_whole(column, values, numbers)
        if policy is not None and policy.keys:
            self._search_keys(column, values, numbers, KeyRules(policy.keys))
        values = _readable(values, in_json=in_json)
        self._search_names(column, values, numbers, in_json=in_json)
        self._search_candidates(column, values, numbers, is_masked=is_masked)

    def _search_whole(self, column: str, values: pl.Series, numbers: np.ndarray) -> None:
        for value, number in zip(values, numbers.tolist(), strict=True):
            if kind := self._whole.get(value.strip().lower()):
                self.leaks.hits[column, kind] += number

    def _search_keys(
        self, column: str, values: pl.Series, numbers: np.ndarray, rules: KeyRules
    ) -> None:
        found = pl.DataFrame({"found": opened(values).str.extract_all(rules.pattern)})
        found = found.with_columns(number=pl.Series(numbers)).explode("found").drop_nulls()
        totals = found.group_by("found").agg(pl.col("number").sum())
        for match, number in totals.iter_rows():
            _, value = rules.value(match)
            if kind := self._whole.get(value.strip().lower()):
                self.leaks.hits[column, kind] += number

    def _search_names(
        self, column: str, values: pl.Series, numbers: np.ndarray, *, in_json: bool
    ) -> None:
        array, names = to_arrow(values), self._names[in_json]
        starts, _, which = names.find(array)
        rows = np.searchsorted(bytes_of(array)[1], starts, "right") - 1
        for row, number in zip(rows.tolist(), which, strict=True):
            self.leaks.hits[column, names.by[number]] += int(numbers[row])

    def _search_candidates(
        self, column: str, values: pl.Series, numbers: np.ndarray, *, is_masked: bool
    ) -> None:
        texts = [text.encode() for text in values]
        data = _EDGE + _BETWEEN.join(texts) + _EDGE
        ends = len(_EDGE) + np.cumsum([len(text) + 1 for text in texts])
        spans = [match.span() for match in _CANDIDATES.finditer(data)]
        rows = np.searchsorted(ends, [start for start, _ in spans], "right")
        weights = numbers[rows].tolist() if spans else []
        totals: dict[bytes, int] = {}
        for (start, end), number in zip(spans, weights, strict=True):
            context = data[start - _CONTEXT : end + _CONTEXT]
            totals[context] = totals.get(context, 0) + number
        for context, number in totals.items():
            self._judge(column, context, number, is_masked=is_masked)

    def _judge(self, column: str, context: bytes, number: int, *, is_masked: bool) -> None:
        """Count what a candidate is, given what surrounds it."""
        text = context[_CONTEXT:-_CONTEXT]
        if _ONLY_V4.match(text):
            address = _v4_in(context)
            if address is not None:
                self._count_address(column, address, number, is_masked=is_masked)
        elif _IS_SECRET.match(text):
            secret = text.decode("utf-8", "replace")
            if is_masked and without_secret(secret) != secret:
                self.leaks.hits[column, "secret"] += number
        elif ours := self._ours_in(text.decode("latin-1")):
            for address in ours:
                self._count_address(column, address, number, is_masked=is_masked)
        else:
            for each in _identifiers(context):
                if each.address is not None:
                    self._count_address(column, each.address, number, is_masked=is_masked)
                elif is_masked and not (each.kind == "email" and _OURS.search(text)):
                    self.leaks.hits[column, each.kind] += number

    def _ours_in(self, text: str) -> list[Address]:
        """IPv6 addresses that were written on purpose, whatever stands before or after them."""
        if not self._written or text.count(":") < 2 or "@" in text:
            return []
        edges = [-1, *(i for i, sign in enumerate(text) if sign == ":"), len(text)]
        found, done = [], 0
        for number, first in enumerate(edges):
            for last in edges[number + 2 : number + 10]:
                piece = text[first + 1 : last]
                if first >= done - 1 and piece in self._written and (address := parsed(piece)):
                    found.append(address)
                    done = last
                    break
        return found

    def _count_address(
        self, column: str, address: Address, number: int, *, is_masked: bool
    ) -> None:
        if is_masked:
            self.leaks.addresses += number
            if not is_nobodys(address):
                self._found[column, address] += number
        elif address in self._addresses:
            self.leaks.hits[column, "ip"] += number

    def finish(self) -> Leaks:
        """Compare the addresses that were found with those that were written."""
        written = self._written
        if written is None:
            return self.leaks
        total: Counter[Address] = Counter()
        for (_, address), number in self._found.items():
            total[address] += number
        for (column, address), number in self._found.items():
            more = total[address] - written.get(printed(address), 0)
            if more > 0:
                self.leaks.hits[column, "ip"] += min(more, number)
        return self.leaks


def _readable(values: pl.Series, *, in_json: bool) -> pl.Series:
    """The texts as a reader sees them: escapes that may hide an identifier are decoded."""
    rows = values.str.contains(HIDING if in_json else HIDING_IN_TEXT).arg_true()
    if len(rows):
        decoded = [
            unescaped_json(text)[0] if in_json else unescaped(text) for text in values.gather(rows)
        ]
        values = values.scatter(rows, pl.Series(decoded, dtype=pl.String))
    return opened(values) if in_json else values


def _v4_in(context: bytes) -> Address | None:
    """The address in four numbers, unless they are part of a version or of more numbers."""
    before, after = context[_CONTEXT - 2 : _CONTEXT], context[-_CONTEXT : -_CONTEXT + 2]
    if before[1:] in _DIGITS_AND_V or (before[1:] == b"." and before[:1].isdigit()):
        return None
    if after[:1].isdigit() or (after[:1] == b"." and after[1:].isdigit()):
        return None
    return parsed(context[_CONTEXT:-_CONTEXT].decode())


@lru_cache(MOST_REMEMBERED)
def _identifiers(context: bytes) -> list[Found]:
    """The identifiers in a candidate, given what surrounds it."""
    before, text, after = (
        part.decode("utf-8", "replace")
        for part in (context[:_CONTEXT], context[_CONTEXT:-_CONTEXT], context[-_CONTEXT:])
    )
    start, end = len(before), len(before) + len(text)
    found = identifiers_in(before + text + after)
    return [each for each in found if each.start < end and each.end > start]
