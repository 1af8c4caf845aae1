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
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from exporter_pipelines.contracts.privacy import ColumnPolicy
from exporter_pipelines.privacy.addresses import Address, is_nobodys, parsed, printed
from exporter_pipelines.privacy.candidates import candidates_in
from exporter_pipelines.privacy.escapes import HIDING, HIDING_IN_TEXT, unescaped, unescaped_json
from exporter_pipelines.privacy.identifiers import (
    WITHOUT_SECRET,
    Found,
    identifiers_in,
    without_secret,
)
from exporter_pipelines.privacy.json_text import ESCAPES, KeyRules, opened
from exporter_pipelines.privacy.known_names import KnownNames
from exporter_pipelines.privacy.signs import to_arrow
from exporter_pipelines.privacy.spans import bytes_of
from exporter_pipelines.privacy.totals import Totals

_OURS = re.compile(r"(?:user|host|mac|hash|ip)-[0-9a-f]{20}(?:@host-[0-9a-f]{20}\.example)?")
_ADDRESS = re.compile(r"[0-9a-f:.]{7,}")
_MAPPED = re.compile(r"(?i:::ffff:)\Z")
_SHORTEST, _LONGEST = 7, 39
"""Characters of an address."""
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
    """Where texts were found, and what they are.

    Attributes:
        column: Its name.
        is_masked: Whether the policy changes it.
        what: `v4` is an IPv4 address, `secret` a secret, and `piece` a piece of text with another
            candidate. `key` is a key of the policy with its value, and `value` a whole value.
    """

    column: str
    is_masked: bool
    what: Literal["v4", "secret", "piece", "key", "value"]


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
        self._rules: dict[str, KeyRules] = {}
        self._kept: dict[_Of, Totals] = {}
        self._found: dict[tuple[str, str], int] = {}  # (column, address), if masked
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
            texts = distinct.dictionary.cast(pa.large_binary())
            self._keep(_Of(column, is_masked, "value"), texts, numbers)
        if policy is not None and policy.keys:
            if column not in self._rules:
                self._rules[column] = KeyRules(policy.keys)
            self._search_keys(column, values, numbers, self._rules[column])
        values = _readable(values, in_json=in_json)
        self._search_names(column, values, numbers, in_json=in_json)
        self._search_candidates(column, values, numbers, is_masked=is_masked)

    def _search_keys(
        self, column: str, values: pl.Series, numbers: np.ndarray, rules: KeyRules
    ) -> None:
        found = pl.DataFrame({"found": opened(values).str.extract_all(rules.pattern)})
        found = found.with_columns(number=pl.Series(numbers)).explode("found").drop_nulls()
        texts = to_arrow(found["found"]).cast(pa.large_binary())
        self._keep(_Of(column, True, "key"), texts, found["number"].to_numpy())

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
        found = candidates_in(to_arrow(values.str.replace_all(WITHOUT_SECRET, "\n")))
        are_v4 = found.are_v4()
        alone = are_v4 & found.are_alone()
        v4, other = found.where(alone), found.where(~alone)
        are_secrets = other.are_secrets()
        secrets, pieces = other.where(are_secrets), other.where(~are_secrets).pieces()
        v4 = v4.outside(pieces)
        self._keep(_Of(column, is_masked, "v4"), v4.texts(), numbers[v4.rows])
        self._keep(_Of(column, is_masked, "piece"), pieces.texts(), numbers[pieces.rows])
        if is_masked:
            self._keep(_Of(column, is_masked, "secret"), secrets.texts(), numbers[secrets.rows])

    def _keep(self, of: _Of, texts: pa.Array, numbers: np.ndarray) -> None:
        """Keep texts until there are many, since the same ones are in many rows."""
        kept = self._kept.setdefault(of, Totals())
        kept.add(texts, numbers)
        if len(kept) > _MOST_KEPT:
            self._judge_all(of, self._kept.pop(of))

    def _judge_all(self, of: _Of, kept: Totals) -> None:
        rules = self._rules.get(of.column)
        for found, number in kept:
            text = found.decode("utf-8", "replace")
            if of.what == "piece":
                self._judge(of.column, text, number, is_masked=of.is_masked)
            elif of.what == "v4":
                self._count_v4(of.column, text, number, is_masked=of.is_masked)
            elif of.what == "secret":
                if without_secret(text) != text:
                    self.leaks.hits[of.column, "secret"] += number
            else:
                value = text if rules is None else rules.value(text)[1]
                if kind := self._whole.get(value.strip().lower()):
                    self.leaks.hits[of.column, kind] += number

    def _judge(self, column: str, piece: str, number: int, *, is_masked: bool) -> None:
        """Count the identifiers in a piece of text."""
        if is_masked and piece in (self._written or ()):
            self.leaks.addresses += number
            self._add(column, piece, number)
            return
        found = identifiers_in(piece)
        if is_masked:
            self.leaks.addresses += number * sum(each.address is not None for each in found)
            if any(not self._is_written(piece, each) for each in found):
                # A pseudonym and what is directly beside it may look like something else.
                found = identifiers_in(piece, self._written_in(piece))
                found = [each for each in found if not self._is_cut(piece[each.start : each.end])]
        for each in found:
            if each.address is not None:
                self._count_address(column, each.address, number, is_masked=is_masked)
            elif is_masked and not _OURS.fullmatch(piece[each.start : each.end]):
                self.leaks.hits[column, each.kind] += number

    def _is_written(self, piece: str, found: Found) -> bool:
        text = piece[found.start : found.end]
        if found.address is None:
            return _OURS.fullmatch(text) is not None
        return self._written is None or printed(found.address) in self._written

    def _is_cut(self, text: str) -> bool:
        """Whether this is the rest of a pseudonym after a percent sign, which made an escape."""
        return any(f"{byte:02x}{text}" in (self._written or ()) for byte in range(256))

    def _written_in(self, piece: str) -> list[Found]:
        """The pseudonyms in a piece of text, whatever is before or after them."""
        found = [Found(m.start(), m.end(), "token") for m in _OURS.finditer(piece)]
        for run in _ADDRESS.finditer(piece) if self._written else ():
            start = run.start()
            while start < run.end():
                each = self._written_at(piece, start, run.end())
                if each and not any(f.start < each.end and each.start < f.end for f in found):
                    found.append(each)
                start = each.end if each else start + 1
        return sorted(found)

    def _written_at(self, piece: str, start: int, end: int) -> Found | None:
        """The longest address that was written on purpose and begins here."""
        for last in range(min(end, start + _LONGEST), start + _SHORTEST - 1, -1):
            text = piece[start:last]
            if text in self._written and (address := parsed(text)) and not is_nobodys(address):  # type: ignore[operator]
                mapped = _MAPPED.search(piece, 0, start)
                return Found(mapped.start() if mapped else start, last, "ip", address)
        return None

    def _count_v4(self, column: str, text: str, number: int, *, is_masked: bool) -> None:
        if is_masked and text in (self._written or ()):
            self.leaks.addresses += number
            self._add(column, text, number)
        elif (address := parsed(text)) is not None:
            self.leaks.addresses += number if is_masked else 0
            self._count_address(column, address, number, is_masked=is_masked)

    def _count_address(
        self, column: str, address: Address, number: int, *, is_masked: bool
    ) -> None:
        if is_masked:
            self._add(column, printed(address), number)
        elif address in self._addresses:
            self.leaks.hits[column, "ip"] += number

    def _add(self, column: str, address: str, number: int) -> None:
        self._found[column, address] = self._found.get((column, address), 0) + number

    def finish(self) -> Leaks:
        """Judge what was found, and compare the addresses with those that were written."""
        for of, kept in self._kept.items():
            self._judge_all(of, kept)
        written = self._written
        if written is None:
            return self.leaks
        total: dict[str, int] = {}
        for (_, address), number in self._found.items():
            total[address] = total.get(address, 0) + number
        for (column, address), number in self._found.items():
            more = total[address] - written.get(address, 0)
            if more > 0 and not is_nobodys(parsed(address) or bytes(16)):
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
