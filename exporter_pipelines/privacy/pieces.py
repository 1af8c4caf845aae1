"""Pieces of text that may hold an identifier, and the identifiers in them.

Polars finds the pieces of a column (1.2 M messages/s). A piece has all that decides about the
identifiers in it, so each distinct piece is examined once, exactly, by `identifiers`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from exporter_pipelines.privacy.identifiers import Found, identifiers_in
from exporter_pipelines.privacy.pseudonyms import MOST_REMEMBERED, Counts, Pseudonyms
from exporter_pipelines.privacy.signs import all_found, at_signs, to_arrow, with_sign
from exporter_pipelines.privacy.spans import NO_PARTS, Parts, Positions, bytes_of, strings

# All that `identifiers` looks at around an identifier, so that a piece can be examined alone.
_PIECE = r"[\w\p{N}.:@%+\-]*"
_HEX = "[0-9A-Fa-f]"
_MAY_HOLD = "|".join([
    r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]", f":{_HEX}{{0,4}}:", r"[\w\p{N}%+]@[\w\p{N}\-]",
    f"{_HEX}{{2}}-{_HEX}{{2}}-{_HEX}{{2}}-", rf"{_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}",
])  # fmt: skip
PIECES = f"{_PIECE}(?:{_MAY_HOLD}){_PIECE}"


class _Examined(NamedTuple):
    """The identifiers of a piece of text.

    Attributes:
        starts, ends: Positions in its bytes.
        by: What stands for each.
        kinds: Of each.
        addresses: Those that look like addresses.
    """

    starts: list[int]
    ends: list[int]
    by: list[str]
    kinds: list[str]
    addresses: list[str]


class Pieces:
    """Finds identifiers in columns of one dataset and day.

    Args:
        pseudonyms: Of the dataset and day.
    """

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        self._remembered: dict[str, _Examined] = {}

    def find(self, texts: pl.Series, array: pa.Array, sign: str, counts: Counts) -> Parts:
        """IP, MAC and e-mail addresses, with their pseudonyms.

        Args:
            texts: To search.
            array: The same texts.
            sign: Not in any text.
            counts: What was found is added.
        """
        found = all_found(texts, PIECES)
        if not len(found):
            return NO_PARTS
        distinct = found.dictionary_encode()
        pieces, which = distinct.dictionary.to_pylist(), distinct.indices.to_numpy()
        self._examine(pieces)
        examined = [self._remembered[piece] for piece in pieces]
        numbers = np.bincount(which, minlength=len(pieces)).tolist()
        kinds, written = counts.replaced, counts.addresses
        for each, number in zip(examined, numbers, strict=True):
            for kind in each.kinds:
                kinds[kind] = kinds.get(kind, 0) + number
            for address in each.addresses:
                written[address] = written.get(address, 0) + number
        marked = to_arrow(with_sign(texts, PIECES, sign))
        lengths = np.diff(bytes_of(found)[1])
        # A piece begins where its sign is, after the bytes that the signs before it replaced.
        begins = at_signs(marked, sign, NO_PARTS.by).starts - bytes_of(marked)[1][0]
        begins += np.cumsum(lengths - 1) - (lengths - 1) + bytes_of(array)[1][0]
        return _spread(examined, which, begins)

    def _examine(self, pieces: list[str]) -> None:
        """Find the identifiers in pieces that are not known yet."""
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.clear()
        new = {p: identifiers_in(p) for p in pieces if p not in self._remembered}
        self._pseudonyms.prepare(
            each.address for found in new.values() for each in found if each.address is not None
        )
        for piece, found in new.items():
            examined = self._remembered[piece] = _Examined([], [], [], [], [])
            for each in found:
                raw = piece[each.start : each.end]
                start = each.start if piece.isascii() else len(piece[: each.start].encode())
                examined.starts.append(start)
                examined.ends.append(start + len(raw.encode()))
                examined.by.append(self._pseudonym(each, raw, examined.addresses))
                examined.kinds.append(each.kind)

    def _pseudonym(self, found: Found, raw: str, addresses: list[str]) -> str:
        if found.address is None:
            return self._pseudonyms.of(found.kind, raw)
        text = self._pseudonyms.address(found.address)
        if self._pseudonyms.is_address(text):
            addresses.append(text)
        # IPv4 inside IPv6 stays so.
        return f"::ffff:{text}" if ":" in raw and self._pseudonyms.is_ipv4(text) else text


def _spread(examined: list[_Examined], which: Positions, begins: Positions) -> Parts:
    """The identifiers of all pieces.

    Args:
        examined: Of the distinct pieces.
        which: Number of the distinct piece, for each piece.
        begins: Position of each piece.
    """
    numbers = np.array([len(each.starts) for each in examined])
    first = np.cumsum(numbers) - numbers
    repeats = numbers[which]
    total = int(repeats.sum())
    within = np.arange(total) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    flat = np.repeat(first[which], repeats) + within
    base = np.repeat(begins, repeats)
    starts = np.array([s for each in examined for s in each.starts], np.int64)
    ends = np.array([e for each in examined for e in each.ends], np.int64)
    by = strings([b for each in examined for b in each.by])
    return Parts(base + starts[flat], base + ends[flat], by.take(pa.array(flat)))
