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
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from exporter_pipelines.contracts.privacy import ColumnPolicy
from exporter_pipelines.privacy.addresses import Address, is_nobodys, parsed, printed
from exporter_pipelines.privacy.candidates import CONTEXT, candidates_in
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
from exporter_pipelines.privacy.totals import Totals

_IS_SECRET = re.compile(SECRETS.encode())
_ONLY_V4 = re.compile(rb"(?:[0-9]{1,3}\.){3}[0-9]{1,3}$")

_OURS = re.compile(rb"user-[0-9a-f]{20}@host-[0-9a-f]{20}\.example")
_WHOLE_TOKENS = ("pseudonym", "hash", "redact", "generalise")

_MOST_KEPT = 100_000
"""Distinct candidates of a column that are kept until they are judged."""


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


class _Of(NamedTuple):
    """Where candidates are, and whether they are IPv4 addresses."""

    column: str
    is_masked: bool
    is_v4: bool


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
        self._addresses = addresses
        self.patterns = len(searched) + len(addresses)
        self._kept: dict[_Of, Totals] = {}
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
        found = candidates_in(to_arrow(values))
        distinct = found.texts().dictionary_encode()
        which = distinct.indices.to_numpy()
        are_v4 = np.array([bool(_ONLY_V4.match(t)) for t in distinct.dictionary.to_pylist()], bool)
        is_v4 = are_v4[which]
        alone = found.where(is_v4).are_alone()
        v4, other = found.where(is_v4).where(alone), found.where(~is_v4)
        self._keep(_Of(column, is_masked, True), v4.texts(), numbers[v4.rows])
        self._keep(_Of(column, is_masked, False), other.texts(CONTEXT), numbers[other.rows])

    def _keep(self, of: _Of, texts: pa.Array, numbers: np.ndarray) -> None:
        """Keep candidates until there are many, since the same ones are in many rows."""
        kept = self._kept.setdefault(of, Totals())
        kept.add(texts, numbers)
        if len(kept) > _MOST_KEPT:
            self._judge_all(of, self._kept.pop(of))

    def _judge_all(self, of: _Of, kept: Totals) -> None:
        for text, number in kept:
            if not of.is_v4:
                self._judge(of.column, text, number, is_masked=of.is_masked)
            elif (address := parsed(text.decode())) is not None:
                self._count_address(of.column, address, number, is_masked=of.is_masked)

    def _judge(self, column: str, context: bytes, number: int, *, is_masked: bool) -> None:
        """Count what a candidate is, given what surrounds it."""
        text = context[CONTEXT:-CONTEXT]
        if _IS_SECRET.match(text):
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
        """Judge what was found, and compare the addresses with those that were written."""
        for of, kept in self._kept.items():
            self._judge_all(of, kept)
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


def _identifiers(context: bytes) -> list[Found]:
    """The identifiers in a candidate, given what surrounds it."""
    before, text, after = (
        part.decode("utf-8", "replace")
        for part in (context[:CONTEXT], context[CONTEXT:-CONTEXT], context[-CONTEXT:])
    )
    start, end = len(before), len(before) + len(text)
    found = identifiers_in(before + text + after)
    return [each for each in found if each.start < end and each.end > start]
