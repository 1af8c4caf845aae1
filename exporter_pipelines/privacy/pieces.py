"""Pieces of text that may hold an identifier, and the identifiers in them.

Polars finds the pieces of a column (1.2 M messages/s). A piece has all that decides about the
identifiers in it, so each distinct piece is examined once, exactly, by `identifiers`.
"""

from __future__ import annotations

from array import array

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.privacy.addresses import Address, is_ipv4_text
from exporter_pipelines.privacy.identifiers import ALONE, Found, address_alone, identifiers_in
from exporter_pipelines.privacy.pseudonyms import MOST_REMEMBERED, Counts, Pseudonyms
from exporter_pipelines.privacy.signs import all_parts, series, to_arrow
from exporter_pipelines.privacy.spans import (
    NO_PARTS,
    Parts,
    Positions,
    joined,
    ranges,
    strings,
)

# All that `identifiers` looks at around an identifier, so that a piece can be examined alone.
_PIECE = r"[\w\p{N}.:@%+\-]*"
_HEX = "[0-9A-Fa-f]"
_MAY_HOLD = "|".join([
    r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]", f":{_HEX}{{0,4}}:", r"[\w\p{N}%+]@[\w\p{N}\-]",
    f"{_HEX}{{2}}-{_HEX}{{2}}-{_HEX}{{2}}-", rf"{_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}",
])  # fmt: skip
PIECES = f"{_PIECE}(?:{_MAY_HOLD}){_PIECE}"


_KINDS = ("ip", "mac", "email")


class _Remembered:
    """The identifiers of the pieces that were examined, in arrays: one after the other.

    Attributes:
        number_of: Piece -> its number.
        first, count: Of each piece, its first identifier and how many it has.
        starts, ends: Of each identifier, its position in the bytes of its piece.
        kinds: Of each identifier, the number of its kind.
        by: What stands for each identifier.
    """

    def __init__(self) -> None:
        self.number_of: dict[str, int] = {}
        self.first, self.count = array("q"), array("q")
        self.starts, self.ends, self.kinds = array("q"), array("q"), array("q")
        self.by: list[str] = []

    def add(self, piece: str, found: list[Found], by: list[str]) -> None:
        """Remember the identifiers of a piece, and what stands for them."""
        self.number_of[piece] = len(self.first)
        self.first.append(len(self.by))
        self.count.append(len(found))
        for start, end, kind, _ in found:
            self.starts.append(start if piece.isascii() else len(piece[:start].encode()))
            self.ends.append(end if piece.isascii() else len(piece[:end].encode()))
            self.kinds.append(_KINDS.index(kind))
        self.by += by


class Pieces:
    """Finds identifiers in columns of one dataset and day.

    Args:
        pseudonyms: Of the dataset and day.
    """

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        self._alone_known: dict[str, str | None] = {}
        self._remembered = _Remembered()

    def find(self, texts: pa.Array, sign: str, counts: Counts) -> Parts:
        """IP, MAC and e-mail addresses, with their pseudonyms.

        Args:
            texts: A `large_string` array without nulls.
            sign: Not in any text.
            counts: What was found is added.
        """
        begins, _, found = all_parts(texts, PIECES, sign)
        if not len(found):
            return NO_PARTS
        distinct = found.dictionary_encode()
        pieces, which = distinct.dictionary, distinct.indices.to_numpy()
        alone = to_arrow(series(pieces).str.extract(ALONE, 1))
        addresses = alone.dictionary_encode()
        by = strings(self._pseudonyms_of(addresses.dictionary.to_pylist()))
        by = by.take(addresses.indices)
        is_alone = np.asarray(by.is_valid())
        lengths = pc.binary_length(alone).fill_null(0).to_numpy()
        chosen = is_alone[which]
        first = self._alone(by, lengths, which[chosen], begins[chosen], counts)
        others = pieces.filter(pa.array(~is_alone)).to_pylist()
        number = np.cumsum(~is_alone) - 1  # in `others`
        return joined(first, self._others(others, number[which[~chosen]], begins[~chosen], counts))

    def _pseudonyms_of(self, texts: list[str]) -> list[str | None]:
        """What stands for addresses; None for a text that is none, such as 999.1.1.1."""
        known = self._alone_known
        if len(known) > MOST_REMEMBERED:
            known.clear()
        new = {text: address_alone(text) for text in texts if text not in known}
        self._pseudonyms.prepare(a for a in new.values() if a is not None)
        for text, address in new.items():
            known[text] = None if address is None else self._address(address, text)
        return [known[text] for text in texts]

    @staticmethod
    def _alone(
        by: pa.Array, lengths: Positions, which: Positions, begins: Positions, counts: Counts
    ) -> Parts:
        """The addresses of pieces that have nothing else but a port.

        Args:
            by: What stands for the address of each distinct piece.
            lengths: Of these addresses.
            which: The number of the distinct piece, for each piece.
            begins: Position of each piece.
            counts: What was found is added.
        """
        if not len(which):
            return NO_PARTS
        counts.replaced["ip"] += len(which)
        times = np.bincount(which, minlength=len(by))
        counts.wrote_addresses(by.drop_null(), times[np.asarray(by.is_valid())])
        return Parts(begins, begins + lengths[which], by.take(pa.array(which)))

    def _others(
        self, pieces: list[str], which: Positions, begins: Positions, counts: Counts
    ) -> Parts:
        """The identifiers of other pieces; see `_alone`."""
        if not pieces:
            return NO_PARTS
        self._examine(pieces)
        known = self._remembered
        numbers = np.fromiter(map(known.number_of.__getitem__, pieces), np.int64, len(pieces))
        first, count = (_now(each)[numbers] for each in (known.first, known.count))
        # The identifiers of the distinct pieces, and then those of all pieces.
        distinct = ranges(first, count)
        times = np.repeat(np.bincount(which, minlength=len(pieces)), count)
        by = strings([known.by[i] for i in distinct.tolist()])
        counts.wrote(by, times)
        kinds = np.bincount(_now(known.kinds)[distinct], times, len(_KINDS)).tolist()
        counts.replaced.update({k: int(n) for k, n in zip(_KINDS, kinds, strict=True) if n})
        repeats = count[which]
        flat = ranges((np.cumsum(count) - count)[which], repeats)
        base = np.repeat(begins, repeats)
        starts, ends = (_now(each)[distinct[flat]] for each in (known.starts, known.ends))
        return Parts(base + starts, base + ends, by.take(pa.array(flat)))

    def _examine(self, pieces: list[str]) -> None:
        """Find the identifiers in pieces that are not known yet."""
        if len(self._remembered.first) > MOST_REMEMBERED:
            self._remembered = _Remembered()
        known = self._remembered.number_of
        new = {piece: identifiers_in(piece) for piece in pieces if piece not in known}
        self._pseudonyms.prepare(
            each.address for found in new.values() for each in found if each.address is not None
        )
        for piece, found in new.items():
            by = [self._pseudonym(each, piece[each.start : each.end]) for each in found]
            self._remembered.add(piece, found, by)

    def _pseudonym(self, found: Found, raw: str) -> str:
        if found.address is None:
            return self._pseudonyms.of(found.kind, raw)
        return self._address(found.address, raw)

    def _address(self, address: Address, raw: str) -> str:
        text = self._pseudonyms.address(address)
        # IPv4 inside IPv6 stays so.
        return f"::ffff:{text}" if ":" in raw and is_ipv4_text(text) else text


def _now(numbers: array[int]) -> Positions:
    """The numbers so far; not to be kept while some are added."""
    return np.frombuffer(numbers, np.int64)
